package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// order is a command of a writer, and what it was told of it.
type order struct {
	subject string
	ops     []want // of a batch several
	id      string // its Nats-Msg-Id; "": none
	fate    fate
	reply   orderReply
}

// want is what one operation is meant to do. A value is used once only.
type want struct {
	op, key, value string
	ttlMs          int64
}

// fate is what became of an order.
type fate string

// Fates. Of what is unknown the feed may have one trace or none.
const (
	acknowledged fate = "acknowledged"
	refusedOrder fate = "refused"
	unknown      fate = "unknown"
)

// orderReply is what a reply tells of an order.
type orderReply struct {
	outcome
	Code          string
	Message       string
	Epoch         int64
	StoreRevision int64 `json:"store_revision"`
	Results       []outcome
	Duplicate     bool
}

// outcome is what a reply tells of one operation. Value is that of an
// increment.
type outcome struct {
	Revision int64
	Created  bool
	Deleted  *bool
	Value    int64
}

// outcomes are those of an order's operations, in order.
func (o *order) outcomes() []outcome {
	if o.subject == "batch.apply" {
		return o.reply.Results
	}
	return []outcome{o.reply.outcome}
}

// writers are 64 clients that write: keys of their own, keys that all of them
// write, counters, batches over these, and keys that expire. Half of the
// commands have a message id and are repeated until they are answered.
type writers struct {
	t       testing.TB
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	all     []*writer
	present atomic.Pointer[interruption] // what requests under way end with
}

// writer is one of them.
type writer struct {
	*writers
	id      int
	nc      *nats.Conn
	random  *rand.Rand
	n       int
	history []*order
	wrong   []error
}

func startWriters(t testing.TB, url string, seed uint64) *writers {
	w := &writers{t: t}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	t.Cleanup(w.cancel)
	w.interrupt()
	var conns []*nats.Conn
	for range 8 {
		conns = append(conns, connect(t, url))
	}
	for i := range loadClients {
		c := &writer{writers: w, id: i, nc: conns[i%len(conns)], random: rand.New(rand.NewPCG(seed, uint64(i+1)))}
		w.all = append(w.all, c)
		w.running.Go(c.run)
	}
	return w
}

// interrupt gives up the requests under way.
func (w *writers) interrupt() {
	ctx, cancel := context.WithCancel(w.ctx)
	if before := w.present.Swap(&interruption{ctx, cancel}); before != nil {
		before.cancel()
	}
}

// end stops the writers and has everything they sent come to its end.
func (w *writers) end() {
	w.t.Helper()
	w.cancel()
	w.running.Wait()
	var wrong []error
	for i, c := range w.all {
		wrong = append(wrong, c.wrong...)
		if i < 8 { // one on each connection, whose commands are applied in order
			set(w.t, c.nc, fmt.Sprint("end/", i), "1")
		}
	}
	if len(wrong) > 0 {
		w.t.Errorf("%d answers that no writer may get: %v", len(wrong), joined(wrong))
	}
}

// orders are those of all writers, when these have ended.
func (w *writers) orders() (all []*order) {
	for _, c := range w.all {
		all = append(all, c.history...)
	}
	return all
}

func (c *writer) run() {
	for c.ctx.Err() == nil {
		o := c.next()
		c.history = append(c.history, o)
		for o.fate = c.send(o); o.fate != acknowledged && o.id != "" && c.ctx.Err() == nil; {
			rest(c.ctx, 5*time.Millisecond)
			// Refused after it was unknown is unknown still.
			if again := c.send(o); again == acknowledged || o.fate == refusedOrder {
				o.fate = again
			}
		}
		if o.fate != acknowledged {
			rest(c.ctx, 5*time.Millisecond)
		}
	}
}

// next makes up an order.
func (c *writer) next() *order {
	o := &order{}
	c.n++
	switch c.random.IntN(10) {
	case 0:
		o.subject, o.ops = "kv.delete", []want{{op: "kv.delete", key: c.key()}}
	case 1:
		o.subject, o.ops = "kv.increment", []want{{op: "kv.increment", key: fmt.Sprint("counter/", c.random.IntN(5))}}
	case 2:
		o.subject = "kv.set"
		o.ops = []want{{op: "kv.set", key: fmt.Sprintf("timed/%d/%d", c.id, c.n%5), value: c.value(0), ttlMs: 20 + c.random.Int64N(300)}}
	case 3, 4:
		o.subject = "batch.apply"
		for i := range 2 + c.random.IntN(5) {
			o.ops = append(o.ops, c.op(i))
		}
	default:
		o.subject, o.ops = "kv.set", []want{{op: "kv.set", key: c.key(), value: c.value(0)}}
	}
	if c.random.IntN(2) == 0 {
		o.id = fmt.Sprintf("%d-%d", c.id, c.n)
	}
	return o
}

// op is one of a batch. Two may be about the same key.
func (c *writer) op(i int) want {
	switch c.random.IntN(5) {
	case 0:
		return want{op: "kv.delete", key: c.key()}
	case 1:
		return want{op: "kv.increment", key: fmt.Sprint("counter/", c.random.IntN(5))}
	}
	return want{op: "kv.set", key: c.key(), value: c.value(i)}
}

// key is one of the writer's own or, one time in four, one that all write.
func (c *writer) key() string {
	if c.random.IntN(4) == 0 {
		return fmt.Sprint("shared/", c.random.IntN(20))
	}
	return fmt.Sprintf("own/%d/%d", c.id, c.random.IntN(10))
}

// value names the writer, its command and the operation in it.
func (c *writer) value(i int) string { return fmt.Sprintf("%d-%d-%d", c.id, c.n, i) }

// payload is the order as a request.
func (o *order) payload() string {
	var ops []string
	for _, w := range o.ops {
		fields := []string{fmt.Sprintf(`"key":%q`, w.key)}
		if o.subject == "batch.apply" {
			fields = append(fields, fmt.Sprintf(`"op":%q`, w.op))
		}
		if w.op == "kv.set" {
			fields = append(fields, fmt.Sprintf(`"value":%q`, w.value))
		}
		if w.ttlMs > 0 {
			fields = append(fields, fmt.Sprintf(`"ttl_ms":%d`, w.ttlMs))
		}
		ops = append(ops, "{"+strings.Join(fields, ",")+"}")
	}
	if o.subject == "batch.apply" {
		return `{"ops":[` + strings.Join(ops, ",") + `]}`
	}
	return ops[0]
}

// send sends an order once and notes the answer.
func (c *writer) send(o *order) fate {
	parent := c.present.Load()
	ctx, cancel := context.WithTimeout(parent, loadTimeout)
	defer cancel()
	m := &nats.Msg{Subject: o.subject, Data: []byte(o.payload())}
	if o.id != "" {
		m.Header = nats.Header{"Nats-Msg-Id": {o.id}}
	}
	answer, err := c.nc.RequestMsgWithContext(ctx, m)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return refusedOrder
	case err != nil && (parent.Err() != nil || errors.Is(err, context.DeadlineExceeded)):
		return unknown
	case err != nil:
		c.wrong = append(c.wrong, fmt.Errorf("%s %s: %w", o.subject, o.payload(), err))
		return unknown
	}
	var reply orderReply
	if err := json.Unmarshal(answer.Data, &reply); err != nil {
		c.wrong = append(c.wrong, fmt.Errorf("%s %s: %w in %s", o.subject, o.payload(), err, answer.Data))
		return unknown
	}
	switch reply.Code {
	case "":
		o.reply = reply
		return acknowledged
	case "unavailable", "overloaded":
		return refusedOrder
	}
	c.wrong = append(c.wrong, fmt.Errorf("%s %s: %s", o.subject, o.payload(), answer.Data))
	return unknown
}

// sets are the values that an order would store.
func (o *order) sets() (values []string) {
	for _, w := range o.ops {
		if w.op == "kv.set" {
			values = append(values, w.value)
		}
	}
	return slices.Clip(values)
}
