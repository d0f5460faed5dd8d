package codec

// Reply is the answer to a command: a *[SetReply], *[DeleteReply], ... It
// comes after the command is durable. In the results of a batch a reply
// carries no position.
type Reply interface {
	// At is the store's position, filled in when the command was applied.
	At() *Position
	// Changed is the revision of the change, of the record where nothing
	// changed, and 0 where there is none.
	Changed() uint64
	// MarkDuplicate says that the reply repeats that of an earlier command
	// with the same message id.
	MarkDuplicate()
}

// Written is the part that all replies to commands share.
type Written struct {
	Position
	Revision  uint64 `wire:"revision"`
	Duplicate bool   `wire:"duplicate,omitempty"`
}

// Changed returns the revision.
func (w *Written) Changed() uint64 { return w.Revision }

// MarkDuplicate sets Duplicate.
func (w *Written) MarkDuplicate() { w.Duplicate = true }

// SetReply answers kv.set.
type SetReply struct {
	Written
	Created     bool   `wire:"created"`
	ExpiresAtMs int64  `wire:"expires_at_ms,omitempty"`
	Previous    *Entry `wire:"previous,omitempty"`
}

// DeleteReply answers kv.delete.
type DeleteReply struct {
	Written
	Deleted  bool   `wire:"deleted"`
	Previous *Entry `wire:"previous,omitempty"`
}

// TouchReply answers kv.touch; Revision is the record's, unchanged.
type TouchReply struct {
	Written
	ExpiresAtMs int64 `wire:"expires_at_ms,omitempty"`
}

// IncrementReply answers kv.increment with the new number.
type IncrementReply struct {
	Written
	Created bool  `wire:"created"`
	Value   int64 `wire:"value"`
}

// ClearReply answers kv.clear; More says that keys are left.
type ClearReply struct {
	Written
	Deleted int64 `wire:"deleted"`
	More    bool  `wire:"more"`
}

// RegisterReply answers svc.register.
type RegisterReply struct {
	Written
	ID          string `wire:"id"`
	Created     bool   `wire:"created"`
	ExpiresAtMs int64  `wire:"expires_at_ms,omitempty"`
}

// HeartbeatReply answers svc.heartbeat.
type HeartbeatReply struct {
	Written
	ExpiresAtMs int64 `wire:"expires_at_ms,omitempty"`
}

// DeregisterReply answers svc.deregister.
type DeregisterReply struct {
	Written
	Deregistered bool `wire:"deregistered"`
}

// BatchReply answers batch.apply: one result for each op, of the op's own
// reply type. To decode one, fill Results with empty replies first, as
// [Batch.NewReply] does.
type BatchReply struct {
	Written
	Results []Reply `wire:"results"`
}

// NewReply returns a *[SetReply].
func (*Set) NewReply() Reply { return &SetReply{} }

// NewReply returns a *[DeleteReply].
func (*Delete) NewReply() Reply { return &DeleteReply{} }

// NewReply returns a *[TouchReply].
func (*Touch) NewReply() Reply { return &TouchReply{} }

// NewReply returns an *[IncrementReply].
func (*Increment) NewReply() Reply { return &IncrementReply{} }

// NewReply returns a *[ClearReply].
func (*Clear) NewReply() Reply { return &ClearReply{} }

// NewReply returns a *[RegisterReply].
func (*Register) NewReply() Reply { return &RegisterReply{} }

// NewReply returns a *[HeartbeatReply].
func (*Heartbeat) NewReply() Reply { return &HeartbeatReply{} }

// NewReply returns a *[DeregisterReply].
func (*Deregister) NewReply() Reply { return &DeregisterReply{} }

// NewReply returns a *[BatchReply] with an empty result for each op.
func (c *Batch) NewReply() Reply {
	r := &BatchReply{Results: make([]Reply, len(c.Ops))}
	for i, op := range c.Ops {
		r.Results[i] = op.NewReply()
	}
	return r
}
