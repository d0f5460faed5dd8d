package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// benchBatch is how many sets a measured batch has, if there are so many keys
// and they fit.
const benchBatch = 100

// benchRow is one thing that is measured. Its clients are made for each round.
type benchRow struct {
	name    string
	clients int
	ops     int                                 // of a request
	beside  string                              // the row that it is compared with; "": it is that
	idle    bool                                // begins when the feed has nothing left to do
	client  func(number int) (ask func() error) // makes one of the clients

	latency  latencies
	refused  uint64
	measured time.Duration
}

// rows are what is measured, in the order in which they take turns: first what
// has one client, while nothing of another row is left to be done. Without a
// subject of an echo there is nothing to compare with.
func (b *bench) rows(echo string, events *eventTap) []*benchRow {
	set, get := b.s.prefix.Wrap(subjects.KVSet.Subject), b.s.prefix.Wrap(subjects.KVGet.Subject)
	n, batch := b.batchOps(), b.s.prefix.Wrap(subjects.BatchApply.Subject)
	rows := []*benchRow{
		{name: "echo, 1 client", clients: 1, ops: 1, client: b.asks(echo, (*benchWork).set)},
		{name: "set to event, 1 client", clients: 1, ops: 1, beside: "echo, 1 client", idle: true, client: func(number int) func() error {
			request := b.asks(set, (*benchWork).setEvent)(number)
			return func() error { return events.after(request, b.s.timeout) }
		}},
		{name: "echo", clients: b.clients, ops: 1, client: b.asks(echo, (*benchWork).set)},
		{name: "kv.get", clients: b.clients, ops: 1, beside: "echo", client: b.asks(get, (*benchWork).get)},
		{name: "kv.set", clients: b.clients, ops: 1, beside: "echo", client: b.asks(set, (*benchWork).set)},
		{name: fmt.Sprintf("batch.apply of %d", n), clients: b.clients, ops: n, beside: "echo",
			client: b.asks(batch, func(w *benchWork) []byte { return w.sets(w.rng.IntN(w.b.keys), n) })},
	}
	if echo == "" {
		rows = slices.DeleteFunc(rows, func(r *benchRow) bool { return r.beside == "" })
	}
	return rows
}

// asks makes clients that ask on a subject, spread over the connections.
func (b *bench) asks(subject string, payload func(w *benchWork) []byte) func(number int) func() error {
	return func(number int) func() error {
		conn, w := b.load[number%len(b.load)].nc, b.work()
		return func() error { return exchange(conn, subject, payload(w), b.s.timeout) }
	}
}

// batchOps is how many sets fit a batch.
func (b *bench) batchOps() int {
	const overhead = 64 // of a set, beside key and value
	return max(1, min(benchBatch, b.keys, codec.MaxBatch/(b.valueBytes+len(b.key(0))+overhead)))
}

// benchWork makes the requests of one client.
type benchWork struct {
	b     *bench
	rng   *rand.Rand
	value []byte
	buf   []byte
}

func (b *bench) work() *benchWork {
	w := &benchWork{b: b, rng: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), value: make([]byte, b.valueBytes)}
	for i := range w.value {
		w.value[i] = byte(w.rng.Uint32()) // does not compress, as much of what is stored
	}
	return w
}

func (w *benchWork) key() string { return w.b.key(w.rng.IntN(w.b.keys)) }

func (w *benchWork) set() []byte { return w.setKey(w.key()) }

func (w *benchWork) setEvent() []byte { return w.setKey(w.b.eventKey(w.rng.IntN(w.b.keys))) }

func (w *benchWork) setKey(key string) []byte {
	if len(w.value) > 0 {
		w.value[w.rng.IntN(len(w.value))]++
	}
	return w.encode(&codec.Set{Key: key, Value: w.value})
}

func (w *benchWork) get() []byte { return w.encode(&codec.Get{Key: w.key()}) }

// sets is a batch that writes keys beside each other.
func (w *benchWork) sets(from, n int) []byte {
	batch := codec.Batch{}
	for i := range n {
		batch.Ops = append(batch.Ops, &codec.Set{Key: w.b.key((from + i) % w.b.keys), Value: w.value})
	}
	return w.encode(&batch)
}

func (w *benchWork) encode(request any) []byte {
	w.buf = codec.Append(w.buf[:0], codec.Msgpack, request)
	return w.buf
}

// exchange asks once. It does not read the answer, but for a refusal.
func exchange(conn *nats.Conn, subject string, payload []byte, timeout time.Duration) error {
	m, err := conn.Request(subject, payload, timeout)
	if err != nil {
		return fmt.Errorf("%s: %w", subject, err)
	}
	return subjects.ReplyError(m)
}

// startEcho answers on a subject of its own, on a connection of its own, with
// as many bytes as a kv.set is answered with.
func (b *bench) startEcho() (subject string, s *session, err error) {
	if s, err = b.a.open(); err != nil {
		return "", nil, err
	}
	written := codec.Written{Position: codec.Position{StoreRevision: 1 << 40, Epoch: 1 << 40}, Revision: 1 << 40}
	reply := codec.Append(nil, codec.Msgpack, &codec.SetReply{Written: written})
	subject = s.nc.NewInbox()
	_, err = s.nc.Subscribe(subject, func(m *nats.Msg) { _ = m.Respond(reply) }) // who asked notices
	if err == nil {
		err = s.nc.FlushTimeout(b.s.timeout)
	}
	if err == nil {
		err = exchange(b.load[0].nc, subject, []byte("x"), b.s.timeout)
	}
	if err != nil {
		s.close()
		return "", nil, err
	}
	return subject, s, nil
}

// eventFolder holds the keys whose events are waited for, apart from those of
// the load: its events would drown them.
const eventFolder = "event/"

// eventTap hears the events of these keys.
type eventTap struct {
	s   *session
	sub *nats.Subscription
}

func (b *bench) tapEvents() (*eventTap, error) {
	s, err := b.a.open()
	if err != nil {
		return nil, err
	}
	sub, err := s.nc.SubscribeSync(subjects.KVChanged.Under(b.s.prefix, b.prefix+eventFolder))
	if err == nil {
		err = s.nc.FlushTimeout(b.s.timeout)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return &eventTap{s, sub}, nil
}

// after waits for the event of a set. Only one client writes these keys, and
// waits here each time, so the next event is that of this set.
func (t *eventTap) after(set func() error, timeout time.Duration) error {
	if err := set(); err != nil {
		return err
	}
	if _, err := t.sub.NextMsg(timeout); err != nil {
		return fmt.Errorf("no event came: %w", err)
	}
	return nil
}
