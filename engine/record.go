package engine

import (
	"strings"
	"sync/atomic"

	"github.com/settkv/sett/codec"
)

// Prefixes of the stored keys.
const (
	kvPrefix     = "kv:"  // kv:<key>                a codec.Record
	svcPrefix    = "svc:" // svc:<name> 0x00 <id>    a codec.Record around a codec.InstanceRecord
	outboxPrefix = "out:" // out:<first revision>    a row of codec.Events
	idsPrefix    = "ids:" // ids:<commit>            the message ids of one commit
	metaKey      = "meta" // counters, in each commit
)

// record is what the index holds of a live key or instance: all but its value.
// It is never changed once it is in the index, but for the cache's own field.
type record struct {
	revision uint64
	created  uint64       // the revision that created it
	life     *life        // nil: a key that never expires
	size     uint32       // of the value, bytes
	cached   atomic.Int32 // where the cache has the value
}

// life is what only records with a deadline, and instances, have.
type life struct {
	ttlMs     int64
	expiresMs int64 // 0: never
	instance  *codec.InstanceRecord
	due       *due // its place in the queue of deadlines
	// renewedMs is the deadline that heartbeats gave it since it was written.
	renewedMs atomic.Int64
}

func keyPath(key string) string { return kvPrefix + key }

func instancePath(name, id string) string { return svcPrefix + name + "\x00" + id }

// instancesPath is what the paths of all instances of a name begin with.
func instancesPath(name string) string { return svcPrefix + name + "\x00" }

// splitInstance takes a service's path apart.
func splitInstance(path string) (name, id string) {
	name, id, _ = strings.Cut(path[len(svcPrefix):], "\x00")
	return name, id
}

func isKey(path string) bool { return strings.HasPrefix(path, kvPrefix) }

// expires is the deadline in Unix milliseconds; 0: never.
func (r *record) expires() int64 {
	if r.life == nil {
		return 0
	}
	return max(r.life.expiresMs, r.life.renewedMs.Load())
}

func (r *record) ttl() int64 {
	if r.life == nil {
		return 0
	}
	return r.life.ttlMs
}

// dead reports whether the record is past its deadline: invisible from the
// deadline itself on.
func (r *record) dead(nowMs int64) bool {
	at := r.expires()
	return at != 0 && at <= nowMs
}

// newLife returns nil where there is nothing to remember.
func newLife(ttlMs, expiresMs int64) *life {
	if ttlMs == 0 && expiresMs == 0 {
		return nil
	}
	return &life{ttlMs: ttlMs, expiresMs: expiresMs}
}

// deadline is when a TTL that begins now ends; 0 for none.
func deadline(nowMs, ttlMs int64) int64 {
	if ttlMs == 0 {
		return 0
	}
	return nowMs + ttlMs
}

// entry is a key's record as reads return it, without its value.
func (i item) entry() codec.Entry {
	return codec.Entry{
		Key: i.path[len(kvPrefix):], Revision: i.rec.revision, CreatedRevision: i.rec.created,
		TTLMs: i.rec.ttl(), ExpiresAtMs: i.rec.expires(),
	}
}

// instance is an instance's record as reads return it.
func (i item) instance() codec.Instance {
	in := i.rec.life.instance.Instance
	in.TTLMs, in.ExpiresAtMs = i.rec.ttl(), i.rec.expires()
	in.Revision, in.CreatedRevision = i.rec.revision, i.rec.created
	return in
}
