package consumer

import (
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// handler answers one read: it decodes the request, asks the store, and
// appends the reply to dst. The encoding is that of the request.
type handler func(dst []byte, tail string, payload []byte) ([]byte, codec.Encoding, error)

// handlers are the reads that a consumer answers, by endpoint.
type handlers map[*subjects.Info]handler

// handle makes the handler of an endpoint from what answers it.
func handle[Req, Resp any](c *consumer, e subjects.Endpoint[Req, Resp], f func(*Req, codec.Fit) (*Resp, error)) {
	c.handlers[e.Info] = func(dst []byte, tail string, payload []byte) ([]byte, codec.Encoding, error) {
		req, enc, err := e.Decode(tail, payload)
		if err != nil {
			return dst, enc, err
		}
		resp, err := f(req, codec.Fit{Encoding: enc, MaxBytes: int(c.maxReply.Load())})
		if err != nil {
			return dst, enc, err
		}
		return codec.Append(dst, enc, resp), enc, nil
	}
}

func (c *consumer) allHandlers() {
	c.handlers = make(handlers)
	handle(c, subjects.KVGet, func(r *codec.Get, _ codec.Fit) (*codec.GetReply, error) { return c.store.ReadKey(r) })
	handle(c, subjects.KVList, c.store.ListKeys)
	handle(c, subjects.BatchGet, c.store.ReadKeys)
	handle(c, subjects.SvcGet, c.store.ReadService)
	handle(c, subjects.SvcList, c.store.ReadServices)
	handle(c, subjects.StoreStatus, c.status)
}

// complete fails where an endpoint of the contract would not be answered.
func (h handlers) complete() error {
	for _, info := range subjects.All() {
		if info.Write {
			if codec.NewCommand(info.Subject) == nil {
				return fmt.Errorf("nothing applies the command %s", info.Subject)
			}
		} else if h[info] == nil && info.Chunk == nil {
			return fmt.Errorf("nothing answers %s", info.Subject)
		}
	}
	return nil
}

// reader answers reads, as one of several that share a channel.
func (c *consumer) reader() error {
	var buf []byte
	for m := range c.reads {
		c.stats.Reads.Add(1)
		c.bound.reads.Add(payloadSize(m))
		if buf = c.read(buf[:0], m); cap(buf) > maxKeptBuffer {
			buf = nil
		}
	}
	return nil
}

// read answers one request. It returns the buffer to be used again.
func (c *consumer) read(buf []byte, m *nats.Msg) []byte {
	info, _, tail := c.endpoint(m.Subject)
	reply := c.replySubject(m.Reply)
	if info == nil || info.Write || reply == "" {
		c.stats.Foreign.Add(1)
		return buf
	}
	defer c.stats.measure(info).stop()
	if c.bound.exceeded(c.reads) {
		c.refuse(reply, encodingOf(m.Data), info.Subject, "", tooMuch())
		return buf
	}
	if info == subjects.StoreBackup.Info {
		c.backups.take(reply, tail, m.Data)
		return buf
	}
	buf, enc, err := c.handlers[info](buf, tail, m.Data)
	if most := c.maxReply.Load(); err == nil && int64(len(buf)) > most {
		e := codec.Errorf(codec.TooLarge, "the reply has %d bytes, the broker takes %d", len(buf), most)
		e.Limit, err = most, e
	}
	if err != nil {
		c.refuse(reply, enc, info.Subject, "", err)
		return buf
	}
	c.publish(reply, enc, buf)
	return buf
}

// status adds to what the engine knows how the store is served.
func (c *consumer) status(*codec.Status, codec.Fit) (*codec.StatusReply, error) {
	s := c.store.Status()
	s.StoreID = c.o.StoreID
	if c.o.Version != "" {
		s.Version = c.o.Version
	}
	s.Feed = c.relay.status(s.Feed, c.now().UnixMilli())
	s.UptimeMs = codec.Millis(c.now().Sub(c.began))
	s.Limits = codec.ContractLimits()
	s.Limits.MaxPayload = c.conn.MaxPayload()
	if !c.relay.out.connected() {
		s.Reasons = append(s.Reasons, "the change feed has no broker")
	}
	s.Ready = len(s.Reasons) == 0
	return &s, nil
}
