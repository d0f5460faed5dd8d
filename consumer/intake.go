package consumer

import (
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/engine"
	"github.com/settkv/sett/subjects"
)

// call is a command on its way through the engine, with what its answer needs.
// Calls are used again: Done is the engine's last use of a request.
type call struct {
	engine.Request
	c     *consumer
	op    string // the command's subject, without prefix and tail
	reply string // "": nobody waits
	enc   codec.Encoding
	watch stopwatch
}

func (c *consumer) newCall() any {
	q := &call{c: c}
	q.Done = q.done
	return q
}

// intake takes the commands one after the other, so that they are applied in
// the order in which they came. It never waits: what the engine cannot take
// now is refused.
func (c *consumer) intake() error {
	for m := range c.commands {
		c.stats.Commands.Add(1)
		c.bound.commands.Add(payloadSize(m))
		c.command(m)
	}
	return nil
}

func (c *consumer) command(m *nats.Msg) {
	info, subject, tail := c.endpoint(m.Subject)
	if info == nil || !info.Write {
		c.stats.Foreign.Add(1)
		return
	}
	q := c.calls.Get().(*call)
	q.op, q.reply, q.Subject = info.Subject, c.replySubject(m.Reply), subject
	q.watch = c.stats.measure(info)
	if c.bound.exceeded(c.commands) {
		q.enc = encodingOf(m.Data)
		c.refuse(q.reply, q.enc, q.op, messageID(m), tooMuch())
		q.release()
		return
	}
	err := q.decode(info, tail, m)
	if err == nil {
		c.flight.submit()
		if err = c.store.Submit(&q.Request); err == nil {
			return // it is the engine's, which calls q.done
		}
		c.flight.finish()
	}
	c.refuse(q.reply, q.enc, q.op, q.ID, err)
	q.release()
}

// decode reads the command, and its message id where it has one.
//
// A command is not empty and without a reply subject at once. Such messages
// come from JetStream, which answers a pull or an acknowledgement on whatever
// reply subject its user has named: kv.delete.other.key would be one.
func (q *call) decode(info *subjects.Info, tail string, m *nats.Msg) (err error) {
	if ids := m.Header[subjects.HeaderMsgID]; len(ids) > 0 {
		if len(ids[0]) < 1 || len(ids[0]) > codec.MaxMsgID {
			q.enc = encodingOf(m.Data)
			return codec.Invalidf(subjects.HeaderMsgID, "must have 1 to %d bytes", codec.MaxMsgID)
		}
		q.ID = ids[0]
	}
	if q.reply == "" && len(m.Data) == 0 {
		return codec.Invalidf("payload", "must not be empty where nobody waits for the reply: {} says the same")
	}
	q.Payload = m.Data // also without an id: the engine bounds its queue by it
	q.Command, q.enc, err = info.Command(tail, m.Data)
	return err
}

// done answers the command. The engine calls it when the command is durable or
// refused; what it publishes goes into the connection's buffer.
func (q *call) done(reply codec.Reply, err error) {
	c := q.c
	switch {
	case err != nil:
		c.refuse(q.reply, q.enc, q.op, q.ID, err)
	case q.reply != "":
		c.answer(q.reply, q.enc, reply)
	}
	q.release()
	c.flight.finish()
}

// release gives the call back: its request was answered.
func (q *call) release() {
	q.watch.stop()
	*q = call{c: q.c, Request: engine.Request{Done: q.Done}}
	q.c.calls.Put(q)
}

// endpoint says what a message's subject asks for. The subscription through
// which it came says nothing: a JetStream consumer can deliver anything
// anywhere.
func (c *consumer) endpoint(subject string) (info *subjects.Info, bare, tail string) {
	bare, ok := c.prefix.Strip(subject)
	if !ok {
		return nil, "", ""
	}
	info, tail = subjects.Parse(bare)
	return info, bare, tail
}

// messageID is the id to be told in an event: "" where there is no valid one.
func messageID(m *nats.Msg) string {
	if id := m.Header.Get(subjects.HeaderMsgID); len(id) <= codec.MaxMsgID {
		return id
	}
	return ""
}

// encodingOf is the encoding to refuse a request in that was not decoded.
func encodingOf(payload []byte) codec.Encoding {
	if len(payload) == 0 || payload[0] == '{' {
		return codec.JSON
	}
	return codec.Msgpack
}

func tooMuch() error {
	return codec.Errorf(codec.Overloaded, "more requests wait than the store's queue takes")
}

// bound limits what waits between NATS and the store. A channel subscription
// counts no bytes and drops silently when its channel is full, so the store
// looks itself: whoever takes a message off a channel asks whether too much is
// left behind it.
type bound struct {
	conn      *nats.Conn
	most      int   // messages in one channel
	mostBytes int64 // payload in both

	commands atomic.Int64 // bytes that were taken off the channels
	_        [56]byte
	reads    atomic.Int64
	_        [56]byte
	others   atomic.Int64 // bytes that arrived for someone else
}

// fewMessages are not worth a look at their bytes.
const fewMessages = 32

func (b *bound) exceeded(ch chan *nats.Msg) bool {
	n := len(ch)
	return n > fewMessages && (n > b.most || b.waiting() > b.mostBytes)
}

// waiting is how many bytes arrived on the connection and were not yet taken.
func (b *bound) waiting() int64 {
	taken := b.commands.Load() + b.reads.Load() + b.others.Load()
	return int64(atomic.LoadUint64(&b.conn.InBytes)) - taken
}

// settle counts what the connection received beside commands and reads. It is
// only true while the channels are empty.
func (b *bound) settle(empty bool) {
	if empty {
		b.others.Add(b.waiting())
	}
}

// payloadSize is what nats.go counts as InBytes.
func payloadSize(m *nats.Msg) int64 {
	return int64(m.Size() - len(m.Subject) - len(m.Reply))
}
