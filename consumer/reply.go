package consumer

import (
	"errors"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// maxReplySubject keeps the store's own protocol lines below the 4,096 bytes
// at which a broker disconnects whoever sends them.
const maxReplySubject = 3500

// replySubject is where to answer, or "" where nobody is to be answered: the
// requester chooses the reply subject, but the store's rights publish there.
// So JetStream's subjects, the store's private ones and its own commands
// count as none.
func (c *consumer) replySubject(reply string) string {
	if reply == "" || reply[0] == '$' || len(reply) > maxReplySubject || strings.HasPrefix(reply, "_sett.") {
		return ""
	}
	if bare, ok := c.prefix.Strip(reply); ok {
		switch root, _, _ := strings.Cut(bare, "."); root {
		case "kv", "svc", "batch", "store":
			return ""
		}
	}
	return reply
}

// buffers hold replies while they are encoded; Publish copies them.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

const maxKeptBuffer = 64 << 10

func keepBuffer(buf *[]byte) {
	if cap(*buf) <= maxKeptBuffer {
		buffers.Put(buf)
	}
}

// answer publishes a success. It has no headers: they would cost every reply
// a quarter more.
func (c *consumer) answer(subject string, enc codec.Encoding, reply any) {
	buf := buffers.Get().(*[]byte)
	*buf = codec.Append((*buf)[:0], enc, reply)
	c.publish(subject, enc, *buf)
	keepBuffer(buf)
}

// publish sends a reply's payload.
func (c *consumer) publish(subject string, enc codec.Encoding, payload []byte) {
	err := c.conn.Publish(subject, payload)
	if errors.Is(err, nats.ErrMaxPayload) {
		// The limits of the contract rule this out. The command was applied,
		// so that only internal is true.
		err = c.publishError(subject, enc, c.asError(err))
	}
	if err != nil {
		c.stats.Unsent.Add(1)
	}
}

// refuse answers with an error, or announces that a command failed for which
// nobody waits.
func (c *consumer) refuse(reply string, enc codec.Encoding, command, id string, err error) {
	e := c.asError(err)
	c.stats.failed(command, e.Code)
	if reply == "" {
		c.reject(command, id, e.Code)
		return
	}
	if err := c.publishError(reply, enc, e); err != nil {
		c.stats.Unsent.Add(1)
	}
}

func (c *consumer) publishError(subject string, enc codec.Encoding, e *codec.Error) error {
	return c.conn.PublishMsg(subjects.ErrorReply(subject, enc, e))
}

// asError makes what goes over the wire of an error, which is not changed:
// the engine may return one of codec's own.
func (c *consumer) asError(err error) *codec.Error {
	e := *codec.AsError(err)
	c.stats.Errors.Add(1)
	switch e.Code {
	case codec.Internal:
		c.stats.Internal.Add(1)
		if c.logged.allow(c.now()) {
			c.log.Error("a request failed", "error", err)
		}
	case codec.Overloaded:
		c.stats.Overloaded.Add(1)
	}
	if e.Message == "" {
		e.Message = "the store says " + string(e.Code)
	}
	e.Temporary = e.Code.Temporary()
	if e.Position == (codec.Position{}) {
		e.Position = c.store.Position()
	}
	return &e
}

// reject announces the failure of a command that nobody waits for: without a
// key or a value, and not without end.
func (c *consumer) reject(command, id string, code codec.Code) {
	c.stats.Rejected.Add(1)
	if !c.rejected.allow(c.now()) {
		return
	}
	event := codec.Rejected{Code: code, Command: command, ID: id}
	subject := c.prefix.Wrap(subjects.StoreRejected.Subject + "." + command)
	if err := c.conn.Publish(subject, codec.Append(nil, codec.JSON, &event)); err != nil {
		c.stats.Unsent.Add(1)
	}
}
