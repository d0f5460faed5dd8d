package codec

// Kinds of change.
const (
	OpSet        = "set"
	OpDelete     = "delete"
	OpExpire     = "expire"
	OpRegister   = "register"
	OpDeregister = "deregister"
	OpChanged    = "changed" // the store itself: see Reason
)

// Reasons of an OpChanged. Each opens a new epoch: followers load again.
const (
	ReasonRestored = "restored" // the contents were replaced by a backup
	ReasonRewound  = "rewound"  // an older state of the store came back
	ReasonGap      = "gap"      // changes may be missing from the feed
)

// Change is an event of the change feed. Every change has its own revision;
// revisions are dense within an epoch.
type Change struct {
	Revision         uint64    `wire:"revision"`
	Epoch            uint64    `wire:"epoch"`
	Op               string    `wire:"op"`
	Reason           string    `wire:"reason,omitempty"` // of an OpChanged
	Key              string    `wire:"key,omitempty"`
	Name             string    `wire:"name,omitempty"`
	ID               string    `wire:"id,omitempty"`
	PreviousRevision uint64    `wire:"previous_revision"` // 0: there was none
	CommitRevision   uint64    `wire:"commit_revision"`   // the last revision of the same command
	TimeMs           int64     `wire:"time_ms"`
	Value            []byte    `wire:"value,omitempty"` // of an OpSet, never nil there
	TTLMs            int64     `wire:"ttl_ms,omitempty"`
	ExpiresAtMs      int64     `wire:"expires_at_ms,omitempty"`
	Instance         *Instance `wire:"instance,omitempty"` // when it goes: the last one
}

// Rejected is announced on store.rejected.<command> when a command that nobody
// waits for fails. It never tells a key or a value.
type Rejected struct {
	Code    Code   `wire:"code"`
	Command string `wire:"command"`
	ID      string `wire:"id,omitempty"` // the Nats-Msg-Id, if there was one
}
