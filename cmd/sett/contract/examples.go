package contract

import (
	"crypto/sha256"
	"fmt"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// example is a request to the bare subject as people would write it, and its
// answer.
type example struct {
	request, reply any
	chunk          any // where chunks come before the reply
}

// occurrence is an example of an event: what is announced behind which
// subject.
type occurrence struct {
	tail string
	body any
}

const (
	exampleEpoch = 1_795_421_071_607
	exampleTime  = 1_795_421_080_000
	exampleTTL   = 30_000
)

func at(revision uint64) codec.Position {
	return codec.Position{StoreRevision: revision, Epoch: exampleEpoch}
}

func written(revision uint64) codec.Written {
	return codec.Written{Position: at(revision), Revision: revision}
}

var (
	hostEntry = codec.Entry{Key: "config/host", Value: []byte("10.0.0.1"), Revision: 1, CreatedRevision: 1}
	web       = codec.Instance{
		Name: "web", ID: "10.0.0.5:8080", Address: "10.0.0.5", Port: 8080, Tags: []string{"v2"}, Meta: map[string]string{"zone": "eu-1"},
		Status: codec.Passing, TTLMs: exampleTTL, ExpiresAtMs: exampleTime + exampleTTL, Revision: 4, CreatedRevision: 4,
	}
	touched int64 = exampleTTL

	backupData = []byte("\x00sett\x00\xff")
)

// examples are those of the endpoints.
var examples = map[string]example{
	"kv.set": {
		request: &codec.Set{Key: "config/host", Value: []byte("10.0.0.1"), IfRevision: codec.Revision(0)},
		reply:   &codec.SetReply{Written: written(1), Created: true},
	},
	"kv.delete": {
		request: &codec.Delete{Key: "config/old", ReturnPrevious: true},
		reply:   &codec.DeleteReply{Written: written(9), Deleted: true, Previous: &codec.Entry{Key: "config/old", Value: []byte("\x00\xff"), Revision: 2, CreatedRevision: 2}},
	},
	"kv.touch": {
		request: &codec.Touch{Key: "lock/nightly", TTLMs: &touched, IfRevision: codec.Revision(3)},
		reply:   &codec.TouchReply{Written: codec.Written{Position: at(9), Revision: 3}, ExpiresAtMs: exampleTime + exampleTTL},
	},
	"kv.increment": {
		request: &codec.Increment{Key: "visits", By: 2},
		reply:   &codec.IncrementReply{Written: written(10), Created: true, Value: 2},
	},
	"kv.clear": {
		request: &codec.Clear{Prefix: "session/"},
		reply:   &codec.ClearReply{Written: written(17), Deleted: 7},
	},
	"svc.register": {
		request: &codec.Register{Name: "web", Address: "10.0.0.5", Port: 8080, Tags: []string{"v2"}, Meta: map[string]string{"zone": "eu-1"}, TTLMs: exampleTTL},
		reply:   &codec.RegisterReply{Written: written(4), ID: "10.0.0.5:8080", Created: true, ExpiresAtMs: exampleTime + exampleTTL},
	},
	"svc.heartbeat": {
		request: &codec.Heartbeat{Name: "web", ID: "10.0.0.5:8080", Status: codec.Passing},
		reply:   &codec.HeartbeatReply{Written: codec.Written{Position: at(17), Revision: 4}, ExpiresAtMs: exampleTime + exampleTTL},
	},
	"svc.deregister": {
		request: &codec.Deregister{Name: "web", ID: "10.0.0.6:8080"},
		reply:   &codec.DeregisterReply{Written: written(18), Deregistered: true},
	},
	"batch.apply": {
		request: &codec.Batch{
			Ops: []codec.Command{
				&codec.Set{Key: "config/host", Value: []byte("10.0.0.2")},
				&codec.Delete{Key: "config/old"},
			},
			If: []codec.Condition{{Key: "config/lock", Revision: codec.Revision(3)}},
		},
		reply: &codec.BatchReply{Written: written(20), Results: []codec.Reply{
			&codec.SetReply{Written: codec.Written{Revision: 19}},
			&codec.DeleteReply{Written: codec.Written{Revision: 20}, Deleted: true},
		}},
	},
	"kv.get": {
		request: &codec.Get{Key: "config/host"},
		reply:   &codec.GetReply{Position: at(20), Entry: hostEntry},
	},
	"kv.list": {
		request: &codec.List{Prefix: "config/", Limit: 2, ReturnValues: true},
		reply: &codec.ListReply{
			Position: at(20), Next: "kgECow",
			Entries: []codec.Entry{hostEntry, {Key: "config/port", Value: []byte("80"), Revision: 5, CreatedRevision: 2, TTLMs: exampleTTL, ExpiresAtMs: exampleTime}},
		},
	},
	"batch.get": {
		request: &codec.BatchGet{Keys: []string{"config/host", "config/none"}},
		reply:   &codec.BatchGetReply{Position: at(20), Entries: []codec.Entry{hostEntry}},
	},
	"svc.get": {
		request: &codec.GetService{Name: "web", Tags: []string{"v2"}, Pick: codec.PickRandom, Limit: 1},
		reply:   &codec.GetServiceReply{Position: at(20), Instances: []codec.Instance{web}},
	},
	"svc.list": {
		request: &codec.ListServices{Prefix: "w"},
		reply:   &codec.ListServicesReply{Position: at(20), Services: []codec.Service{{Name: "web", Count: 2, Tags: []string{"v2"}}}},
	},
	"store.status": {
		request: &codec.Status{},
		reply: &codec.StatusReply{
			Position: at(20), StoreID: "3ecb6d8b75269cd8", Version: "1.0.0", Keys: 5, Instances: 2, Bytes: 4096,
			Feed:     codec.FeedStatus{Mode: "live", AckedRevision: 20},
			UptimeMs: 60_000, Limits: statusLimits(), Ready: true,
		},
	},
	"store.backup": {
		request: &codec.Backup{},
		chunk:   &codec.BackupChunk{Seq: 1, Data: backupData},
		reply: &codec.BackupReply{
			Position: at(20), Done: true, Chunks: 1, Bytes: int64(len(backupData)), Keys: 5, Instances: 2,
			SHA256: fmt.Sprintf("%x", sha256.Sum256(backupData)),
		},
	},
}

func statusLimits() codec.Limits {
	limits := codec.ContractLimits()
	limits.MaxPayload = codec.MinPayload
	return limits
}

// refused is the example of a refusal.
var refused = &codec.Error{
	Position: at(20), Code: codec.Conflict, Message: `"config/host" has revision 1, not 0`,
	Key: "config/host", Revision: codec.Revision(1),
}

// announced are the examples of the events.
var announced = map[string]occurrence{
	"kv.changed": {"config.host", &codec.Change{
		Revision: 1, Epoch: exampleEpoch, Op: codec.OpSet, Key: "config/host", CommitRevision: 1, TimeMs: exampleTime, Value: []byte("10.0.0.1"),
	}},
	"svc.changed": {"web." + subjects.Tokens(web.ID), &codec.Change{
		Revision: 21, Epoch: exampleEpoch, Op: codec.OpExpire, Name: "web", ID: web.ID,
		PreviousRevision: 4, CommitRevision: 21, TimeMs: exampleTime + exampleTTL, Instance: &web,
	}},
	"store.changed": {codec.ReasonRestored, &codec.Change{
		Revision: 22, Epoch: exampleEpoch + 1, Op: codec.OpChanged, Reason: codec.ReasonRestored, CommitRevision: 22, TimeMs: exampleTime,
	}},
	"store.rejected": {"kv.set", &codec.Rejected{Code: codec.Conflict, Command: "kv.set", ID: "job-17"}},
}
