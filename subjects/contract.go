package subjects

import (
	"reflect"
	"strings"

	"github.com/settkv/sett/codec"
)

// The commands: a reply comes after the command is durable.
var (
	KVSet         = write[codec.Set, codec.SetReply]("kv.set", Keyed, "Store a value under a key.", codec.Conflict)
	KVDelete      = write[codec.Delete, codec.DeleteReply]("kv.delete", Keyed, "Remove a key.", codec.Conflict)
	KVTouch       = write[codec.Touch, codec.TouchReply]("kv.touch", Keyed, "Move a key's deadline.", codec.NotFound, codec.Conflict)
	KVIncrement   = write[codec.Increment, codec.IncrementReply]("kv.increment", Keyed, "Add to a number kept as decimal text.", codec.Conflict)
	KVClear       = write[codec.Clear, codec.ClearReply]("kv.clear", Scoped, "Delete the keys below a prefix, a page at a time.")
	SvcRegister   = write[codec.Register, codec.RegisterReply]("svc.register", Named, "Register or renew an instance of a service.", codec.Conflict)
	SvcHeartbeat  = write[codec.Heartbeat, codec.HeartbeatReply]("svc.heartbeat", Named, "Keep an instance alive.", codec.NotFound, codec.Conflict)
	SvcDeregister = write[codec.Deregister, codec.DeregisterReply]("svc.deregister", Named, "Remove an instance.", codec.Conflict)
	BatchApply    = limit(write[codec.Batch, codec.BatchReply]("batch.apply", Scoped, "Apply all of several commands, or none.", codec.NotFound, codec.Conflict), codec.MaxBatch)
)

// The reads: they may be repeated freely.
var (
	KVGet       = read[codec.Get, codec.GetReply]("kv.get", Keyed, "Read a key.", codec.NotFound)
	KVList      = read[codec.List, codec.ListReply]("kv.list", Scoped, "Read a page of keys in byte order.")
	BatchGet    = read[codec.BatchGet, codec.BatchGetReply]("batch.get", Scoped, "Read several keys from one snapshot.")
	SvcGet      = read[codec.GetService, codec.GetServiceReply]("svc.get", Named, "Find the instances of a service.")
	SvcList     = read[codec.ListServices, codec.ListServicesReply]("svc.list", Bare, "Read a page of service names.")
	StoreStatus = read[codec.Status, codec.StatusReply]("store.status", Bare, "Say how the store is.")
	StoreBackup = stream[codec.Backup, codec.BackupChunk, codec.BackupReply]("store.backup", "Send a backup of the whole store, in chunks that are acknowledged.")
)

// The events that the store publishes.
var (
	KVChanged     = event[codec.Change]("kv.changed", "<key>", "A key was set, deleted, or expired.")
	SvcChanged    = event[codec.Change]("svc.changed", "<name>.<id>", "An instance was registered, deregistered, or expired.")
	StoreChanged  = event[codec.Change]("store.changed", "<reason>", "A new epoch began: load again.")
	StoreRejected = event[codec.Rejected]("store.rejected", "<command>", "A command that nobody waits for failed.")
)

// All lists every endpoint of the contract: the commands, then the reads.
func All() []*Info {
	return []*Info{
		KVSet.Info, KVDelete.Info, KVTouch.Info, KVIncrement.Info, KVClear.Info,
		SvcRegister.Info, SvcHeartbeat.Info, SvcDeregister.Info, BatchApply.Info,
		KVGet.Info, KVList.Info, BatchGet.Info, SvcGet.Info, SvcList.Info, StoreStatus.Info, StoreBackup.Info,
	}
}

// Events lists every event of the contract.
func Events() []*EventInfo {
	return []*EventInfo{KVChanged.EventInfo, SvcChanged.EventInfo, StoreChanged.EventInfo, StoreRejected.EventInfo}
}

// Parse says which endpoint a subject, without prefix, belongs to and what is
// appended to it. It returns nil for what is none of the store's subjects.
func Parse(subject string) (info *Info, tail string) {
	root := strings.IndexByte(subject, '.') + 1
	verb, tail, appended := strings.Cut(subject[root:], ".")
	if appended && tail == "" {
		return nil, "" // an empty token; NATS never delivers one
	}
	return byName[subject[:root+len(verb)]], tail
}

var byName = func() map[string]*Info {
	m := make(map[string]*Info)
	for _, info := range All() {
		m[info.Subject] = info
	}
	return m
}()

func write[Req, Resp any](subject string, form Form, doc string, codes ...codec.Code) Endpoint[Req, Resp] {
	e := read[Req, Resp](subject, form, doc, codes...)
	e.Write = true
	return e
}

func read[Req, Resp any](subject string, form Form, doc string, codes ...codec.Code) Endpoint[Req, Resp] {
	return Endpoint[Req, Resp]{&Info{
		Subject: subject, Form: form, Doc: doc, Codes: codes,
		Request: reflect.TypeFor[Req](), Reply: reflect.TypeFor[Resp](),
	}}
}

func limit[Req, Resp any](e Endpoint[Req, Resp], bytes int) Endpoint[Req, Resp] {
	e.maxBytes = bytes
	return e
}
