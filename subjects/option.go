package subjects

import (
	"time"

	"github.com/settkv/sett/codec"
)

// TTL is how long a key lives, at least 10 ms, with millisecond precision
// (rounded up): an option of Set, Create, Update, Touch, and of Increment
// where it creates. TTL(0) takes a deadline off.
func TTL(d time.Duration) Option {
	ms := codec.Millis(d)
	if d < 0 {
		ms = -1 // which no rule takes; rounding up could have made it 0
	}
	return func(c *call) {
		switch r := c.req.(type) {
		case *codec.Set:
			r.TTLMs = ms
		case *codec.Touch:
			r.TTLMs = &ms
		case *codec.Increment:
			r.TTLMs = ms
		case *codec.Register:
			r.TTLMs = ms
		default:
			c.misused("TTL")
		}
	}
}

// KeepTTL leaves the deadline that the key has: an option of Set and Update,
// which otherwise take it off.
func KeepTTL() Option {
	return func(c *call) {
		if r, ok := c.req.(*codec.Set); ok {
			r.KeepTTL = true
			return
		}
		c.misused("KeepTTL")
	}
}

// IfRevision makes a command happen only if the record's revision is exactly
// this, and 0 only if there is none. Otherwise the error is
// [codec.ErrConflict] and has the current revision.
func IfRevision(revision uint64) Option {
	return func(c *call) {
		switch r := c.req.(type) {
		case *codec.Set:
			r.IfRevision = &revision
		case *codec.Delete:
			r.IfRevision = &revision
		case *codec.Touch:
			r.IfRevision = &revision
		case *codec.Increment:
			r.IfRevision = &revision
		case *codec.Register:
			r.IfRevision = &revision
		case *codec.Heartbeat:
			r.IfRevision = &revision
		case *codec.Deregister:
			r.IfRevision = &revision
		default:
			c.misused("IfRevision")
		}
	}
}

// ReturnPrevious makes Set, Create, Update and Delete answer with the entry
// that was there before. A reply that is a duplicate comes without it.
func ReturnPrevious() Option {
	return func(c *call) {
		switch r := c.req.(type) {
		case *codec.Set:
			r.ReturnPrevious = true
		case *codec.Delete:
			r.ReturnPrevious = true
		default:
			c.misused("ReturnPrevious")
		}
	}
}

// MsgID gives a command an id of the caller's own, 1 to 128 bytes, instead of
// a new one: a repeat with the same id and the same fields within
// [codec.DedupWindow] is not applied again, and its reply says Duplicate. Use
// it to repeat a command whose outcome is unknown.
func MsgID(id string) Option {
	return func(c *call) {
		if _, ok := c.req.(codec.Command); !ok {
			c.misused("MsgID")
			return
		}
		if id == "" {
			c.err = codec.Invalidf(HeaderMsgID, "must not be empty")
		}
		c.msgID = id
	}
}

func (c *call) misused(option string) {
	c.err = codec.Invalidf("option", "%s is none of %T", option, c.req)
}
