package codec

import "time"

// Limits of the contract, in bytes unless they say otherwise. They are fixed:
// a program that keeps within them works with every store.
const (
	MaxKey      = 1024
	MaxSubject  = 3000 // a key's or name's subject tokens
	MaxValue    = 512 << 10
	MaxName     = 255 // a service's name, an instance's id
	MaxAddress  = 255
	MaxNote     = 1024
	MaxTags     = 64 // tags of an instance
	MaxTag      = 255
	MaxMeta     = 64 // meta entries of an instance
	MaxMetaKey  = 128
	MaxMetaVal  = 512
	MaxOps      = 1000 // ops, and conditions, of a batch
	MaxBatch    = 900 << 10
	MaxKeys     = 1000 // keys of a batch.get
	MaxEvents   = 2 << 20
	MaxMsgID    = 128
	MinPayload  = 1 << 20 // the least max_payload that a broker must allow
	DefaultPage = 1000    // entries of a page
	MaxPage     = 10_000
	MaxCursor   = 4096
	MinTTL      = 10 * time.Millisecond
	MaxTTL      = 10 * 365 * 24 * time.Hour
)

// How long and how many message ids are remembered (Nats-Msg-Id).
const (
	DedupWindow = 2 * time.Minute
	DedupMin    = 5 * time.Second // none younger is ever forgotten
	DedupMax    = 1_000_000
)

// Limits is what store.status tells about the limits of a store.
type Limits struct {
	Key        int64 `wire:"key"`
	Subject    int64 `wire:"subject"`
	Value      int64 `wire:"value"`
	Name       int64 `wire:"name"`
	Tags       int64 `wire:"tags"`
	Meta       int64 `wire:"meta"`
	Ops        int64 `wire:"ops"`
	Batch      int64 `wire:"batch"`
	Events     int64 `wire:"events"`
	MaxPayload int64 `wire:"max_payload"`
	MinTTLMs   int64 `wire:"min_ttl_ms"`
	MaxTTLMs   int64 `wire:"max_ttl_ms"`
}

// ContractLimits are the limits that every store keeps; the broker's
// max_payload is the caller's to fill in.
func ContractLimits() Limits {
	return Limits{
		Key: MaxKey, Subject: MaxSubject, Value: MaxValue, Name: MaxName, Tags: MaxTags, Meta: MaxMeta,
		Ops: MaxOps, Batch: MaxBatch, Events: MaxEvents,
		MinTTLMs: MinTTL.Milliseconds(), MaxTTLMs: MaxTTL.Milliseconds(),
	}
}
