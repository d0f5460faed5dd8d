package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// load is 64 clients that write, and know what the store must have
// afterwards. Each writes keys of its own, so what it was told last is so.
type load struct {
	t       testing.TB
	clients []*client
	stop    chan struct{}
	running sync.WaitGroup
	present atomic.Pointer[interruption] // what requests under way end with
}

// interruption is a context that is replaced when it ends.
type interruption struct {
	context.Context
	cancel context.CancelFunc
}

// interrupt gives up the requests under way, whose outcome nobody will tell,
// and lets the clients go on.
func (l *load) interrupt() {
	ctx, cancel := context.WithCancel(context.Background())
	if before := l.present.Swap(&interruption{ctx, cancel}); before != nil {
		before.cancel()
	}
}

// loadClients is how many clients write at the same time.
const loadClients = 64

// client is one of them.
type client struct {
	id    int
	nc    *nats.Conn
	under func() context.Context // of a request: it ends when no answer will come
	goOn  bool                   // after an interruption
	n     int                    // requests so far
	acked int                    // of them, answered with a success
	known map[string]*expectation
	told  []acknowledgement // of changes, in order

	failures []error // what no answer may be
}

// expectation is what must be under a key.
type expectation struct {
	value    string // as acknowledged last, with
	revision int64  // its revision
	gone     bool   // acknowledged last: it was deleted
	maybe    []write
}

// acknowledgement is a change that a client was told of.
type acknowledgement struct {
	write
	key      string
	revision int64
}

// write is one whose outcome nobody knows.
type write struct {
	value string
	gone  bool
}

// request is one request of a load: a command and what it does to keys.
type loadRequest struct {
	subject string
	payload []byte
	does    map[string]write
}

// loadReply is what a load reads of a reply.
type loadReply struct {
	Code     string
	Message  string
	Revision int64
	Epoch    int64
	Results  []struct{ Revision int64 }
}

func newLoad(t testing.TB) *load {
	l := &load{t: t}
	for i := range loadClients {
		l.clients = append(l.clients, &client{id: i, known: make(map[string]*expectation)})
	}
	return l
}

// start lets all clients write, each waiting for its answers. With untilLost
// they end when their connection does.
func (l *load) start(url string, untilLost bool) {
	l.t.Helper()
	l.stop = make(chan struct{})
	l.interrupt()
	const connections = 8
	for i := range connections {
		opts := []nats.Option{nats.MaxReconnects(-1)}
		under := func() context.Context { return l.present.Load() }
		if untilLost {
			lost, cancel := context.WithCancel(l.t.Context())
			opts = []nats.Option{nats.NoReconnect(), nats.DisconnectErrHandler(func(*nats.Conn, error) { cancel() })}
			under = func() context.Context { return lost }
		}
		nc := connect(l.t, url, opts...)
		for j := i; j < len(l.clients); j += connections {
			c := l.clients[j]
			c.nc, c.under, c.goOn = nc, under, !untilLost
			l.running.Go(func() { c.run(l.stop) })
		}
	}
}

// end stops the clients and waits for them; what no client may ever be
// answered fails the test.
func (l *load) end() (acked int) {
	l.t.Helper()
	close(l.stop)
	return l.wait()
}

// wait waits until the clients have ended by themselves.
func (l *load) wait() (acked int) {
	l.t.Helper()
	l.running.Wait()
	var failures []error
	for _, c := range l.clients {
		acked += c.acked
		failures = append(failures, c.failures...)
		c.acked, c.failures = 0, nil
	}
	if len(failures) > 0 {
		l.t.Errorf("%d answers that no client may get: %v", len(failures), joined(failures))
	}
	return acked
}

func (c *client) run(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		c.n++
		r := c.next()
		reply, err := c.send(r)
		if !c.note(r, reply, err) {
			return
		}
	}
}

// next makes the client's next request: mostly a set of one of twenty keys,
// sometimes a delete, and a batch that keeps three keys the same.
func (c *client) next() loadRequest {
	key := fmt.Sprintf("load/%d/%d", c.id, c.n%20)
	value := fmt.Sprintf("%d-%d", c.id, c.n)
	switch {
	case c.n%7 == 0:
		return loadRequest{"kv.delete", fmt.Appendf(nil, `{"key":%q}`, key), map[string]write{key: {gone: true}}}
	case c.n%5 == 0:
		does, ops := make(map[string]write), ""
		for _, part := range []string{"x", "y", "z"} {
			key := fmt.Sprintf("load/%d/batch/%s", c.id, part)
			does[key] = write{value: value}
			ops += fmt.Sprintf(`,{"op":"kv.set","key":%q,"value":%q}`, key, value)
		}
		return loadRequest{"batch.apply", fmt.Appendf(nil, `{"ops":[%s]}`, ops[1:]), does}
	}
	return loadRequest{"kv.set", fmt.Appendf(nil, `{"key":%q,"value":%q}`, key, value), map[string]write{key: {value: value}}}
}

// errLost says that no answer will come to a request under way.
var errLost = errors.New("the connection was lost")

// loadTimeout is what a request gets before its outcome counts as unknown.
const loadTimeout = 10 * time.Second

func (c *client) send(r loadRequest) (reply loadReply, err error) {
	parent := c.under()
	ctx, cancel := context.WithTimeout(parent, loadTimeout)
	defer cancel()
	m, err := c.nc.RequestWithContext(ctx, r.subject, r.payload)
	if err != nil {
		if parent.Err() != nil {
			return reply, errLost
		}
		return reply, err
	}
	err = json.Unmarshal(m.Data, &reply)
	return reply, err
}

// note learns from an answer, and says whether the client goes on.
func (c *client) note(r loadRequest, reply loadReply, err error) bool {
	switch {
	case err == nil && reply.Code == "":
		c.acked++
		c.acknowledge(r, reply)
		return true
	case err == nil && (reply.Code == "unavailable" || reply.Code == "overloaded"), errors.Is(err, nats.ErrNoResponders):
		return c.goOn // surely not applied
	case errors.Is(err, errLost), errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionReconnecting):
	case c.goOn && errors.Is(err, context.DeadlineExceeded):
	default:
		c.failures = append(c.failures, fmt.Errorf("%s %s: %v %v", r.subject, r.payload, err, reply))
	}
	for key, w := range r.does {
		e := c.expect(key)
		e.maybe = append(e.maybe, w)
	}
	return c.goOn
}

// acknowledge takes a success as the new truth.
func (c *client) acknowledge(r loadRequest, reply loadReply) {
	for key, w := range r.does {
		e := c.expect(key)
		if w.gone && reply.Revision == 0 && e.revision > 0 && !e.gone && len(e.maybe) == 0 {
			c.failures = append(c.failures, fmt.Errorf("%s was acknowledged and is not there to be deleted", key))
		}
		*e = expectation{value: w.value, gone: w.gone, revision: reply.Revision}
		if last := key[len(key)-1]; len(reply.Results) > 0 {
			e.revision = reply.Results[last-'x'].Revision
		}
		if e.revision > 0 {
			c.told = append(c.told, acknowledgement{w, key, e.revision})
		}
	}
}

func (c *client) expect(key string) *expectation {
	e := c.known[key]
	if e == nil {
		e = &expectation{gone: true}
		c.known[key] = e
	}
	return e
}

// entry is a key as the store has it.
type entry struct {
	Value    string
	Revision int64
}

// contents lists everything below a prefix, page by page.
func contents(t testing.TB, nc *nats.Conn, prefix string) map[string]entry {
	t.Helper()
	all, cursor := make(map[string]entry), ""
	for {
		m, err := nc.Request("kv.list", fmt.Appendf(nil, `{"prefix":%q,"return_values":true,"cursor":%q}`, prefix, cursor), patience)
		if err != nil {
			t.Fatalf("kv.list: %v", err)
		}
		var page struct {
			Code    string
			Entries []struct {
				Key string
				entry
			}
			Next string
		}
		if err := json.Unmarshal(m.Data, &page); err != nil || page.Code != "" {
			t.Fatalf("kv.list: %v %s", err, clip(m.Data))
		}
		for _, e := range page.Entries {
			all[e.Key] = e.entry
		}
		if cursor = page.Next; cursor == "" {
			return all
		}
	}
}

// verify compares the store with what the clients were told: every
// acknowledged write is there or was overwritten by one of unknown outcome,
// nothing else is, and the keys of a batch are the same. What is found is the
// truth from then on.
func (l *load) verify(nc *nats.Conn) {
	l.t.Helper()
	found := contents(l.t, nc, "load/")
	var wrong []error
	expected := 0
	for _, c := range l.clients {
		for key, e := range c.known {
			have, ok := found[key]
			if err := e.check(have, ok); err != nil {
				wrong = append(wrong, fmt.Errorf("%s: %w", key, err))
			}
			if ok {
				expected++
			}
			*e = expectation{value: have.Value, revision: have.Revision, gone: !ok}
		}
		if err := c.checkBatch(found); err != nil {
			wrong = append(wrong, err)
		}
	}
	if expected != len(found) {
		wrong = append(wrong, fmt.Errorf("the store has %d keys that nobody wrote", len(found)-expected))
	}
	if len(wrong) > 0 {
		l.t.Errorf("%d keys are wrong: %v", len(wrong), joined(wrong))
	}
}

// check compares what the store has under a key with what it may have.
func (e *expectation) check(have entry, ok bool) error {
	if ok && !e.gone && have.Value == e.value && have.Revision == e.revision || !ok && e.gone {
		return nil
	}
	for _, w := range e.maybe {
		if ok && have.Value == w.value && have.Revision > e.revision || !ok && w.gone {
			return nil
		}
	}
	return fmt.Errorf("is %+v (there: %v), acknowledged was %+v", have, ok, *e)
}

// checkBatch looks whether a batch was applied by half.
func (c *client) checkBatch(found map[string]entry) error {
	prefix := "load/" + strconv.Itoa(c.id) + "/batch/"
	x, y, z := found[prefix+"x"], found[prefix+"y"], found[prefix+"z"]
	if x.Value != y.Value || y.Value != z.Value || x.Revision != 0 && (y.Revision != x.Revision+1 || z.Revision != y.Revision+1) {
		return fmt.Errorf("the batch of client %d is applied by half: %v %v %v", c.id, x, y, z)
	}
	return nil
}
