package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/settkv/sett/codec"
)

const (
	// A group ends at any of these: measured, larger ones only add to latency.
	// Message ids count by themselves, since they are stored as one entry.
	groupCommands = 1024
	groupBytes    = 512 << 10
	groupIDs      = 256 << 10
	// metBytes bounds the events of the deadlines that one command meets.
	metBytes = 512 << 10
	// largestGroup is what a group that is not yet full becomes by the largest
	// command: its records, its events, the deadlines that it meets, and its
	// own remembered reply. Opening a store proves that a commit takes it.
	largestGroup  = groupBytes + codec.MaxBatch + codec.MaxEvents + metBytes + groupIDs + codec.MaxOps*320
	largestWrites = groupCommands + 4*codec.MaxOps + 2*maxTrim
	// maxTrim bounds what a commit deletes of the outbox, and of message ids:
	// the rest waits for the next one. Otherwise a group that comes after a
	// long silence of the feed, or of clients, would outgrow a commit.
	maxTrim = 1024
)

// queue is where requests wait for the writer: bounded, in order, and taken
// over whole, so that a wake-up costs one for a group and not one for each.
type queue struct {
	mu          sync.Mutex
	waiting     []*Request
	spare       []*Request // the slice that the writer has emptied
	bytes       int
	maxCommands int
	maxBytes    int
	closed      bool
	wake        chan struct{} // holds a value while anything waits
}

func (q *queue) put(r *Request) error {
	size := len(r.Payload) + requestOverhead
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return errUnavailable()
	}
	if len(q.waiting) >= q.maxCommands || q.bytes+size > q.maxBytes {
		q.mu.Unlock()
		return codec.Errorf(codec.Overloaded, "too many commands are waiting; try again")
	}
	q.waiting = append(q.waiting, r)
	q.bytes += size
	first := len(q.waiting) == 1
	q.mu.Unlock()
	if first {
		q.signal()
	}
	return nil
}

// putAhead queues a request whatever the bounds are: deadlines go on while
// writers are refused. It reports false once the queue is closed.
func (q *queue) putAhead(r *Request) bool {
	q.mu.Lock()
	ok := !q.closed
	if ok {
		q.waiting = append(q.waiting, r)
	}
	q.mu.Unlock()
	q.signal()
	return ok
}

// requestOverhead is about what a waiting request costs beyond its payload.
const requestOverhead = 256

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns everything that waits; ok is false once the queue is closed and
// empty. It blocks until there is something.
func (q *queue) take() (requests []*Request, ok bool) {
	for {
		q.mu.Lock()
		requests, q.waiting = q.waiting, q.spare[:0]
		q.spare, q.bytes = nil, 0
		closed := q.closed
		q.mu.Unlock()
		if len(requests) > 0 {
			return requests, true
		}
		q.giveBack(requests)
		if closed {
			return nil, false
		}
		<-q.wake
	}
}

// giveBack returns a slice that take gave, for the next one.
func (q *queue) giveBack(requests []*Request) {
	clear(requests)
	q.mu.Lock()
	q.spare = requests[:0]
	q.mu.Unlock()
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
}

// group is what was committed together, on its way to be answered.
type group struct {
	answers  []answer
	position codec.Position
	err      error // the commit failed: whoever waits is told so
}

// answer is the outcome of one request.
type answer struct {
	done  func(codec.Reply, error)
	reply codec.Reply
	err   error
}

// Submit implements [Commands].
func (s *store) Submit(r *Request) error {
	if err := s.down(); err != nil {
		return err
	}
	if s.held.Load() {
		return errHeld()
	}
	return s.queue.put(r)
}

// Apply implements [Commands].
func (s *store) Apply(ctx context.Context, cmd codec.Command) (codec.Reply, error) {
	if err := cmd.Validate(); err != nil {
		return nil, err
	}
	return s.submit(ctx, cmd)
}

// submit waits for a command that is known to be valid.
func (s *store) submit(ctx context.Context, cmd codec.Command) (codec.Reply, error) {
	type outcome struct {
		reply codec.Reply
		err   error
	}
	waiting := make(chan outcome, 1)
	err := s.Submit(&Request{Command: cmd, Done: func(reply codec.Reply, err error) { waiting <- outcome{reply, err} }})
	if err != nil {
		return nil, err
	}
	select {
	case o := <-waiting:
		return o.reply, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// write is the writer: it takes all that waits, commits it in groups and never
// waits to fill one.
func (s *store) write() {
	defer close(s.finished)
	for {
		requests, ok := s.queue.take()
		if !ok {
			return
		}
		for rest := requests; len(rest) > 0; {
			var g *group
			g, rest = s.commit(rest)
			s.finished <- g
		}
		s.queue.giveBack(requests)
	}
}

// finish answers what was committed, in order, while the writer goes on.
func (s *store) finish() {
	for g := range s.finished {
		for i := range g.answers {
			if a := &g.answers[i]; a.done != nil {
				a.done(a.outcome(g))
			}
		}
	}
}

// outcome gives an answer the position of its group.
func (a *answer) outcome(g *group) (codec.Reply, error) {
	if g.err != nil {
		return nil, g.err
	}
	if a.err == nil {
		*a.reply.At() = g.position
		return a.reply, nil
	}
	if refused, ok := errors.AsType[*codec.Error](a.err); ok {
		refused.Position = g.position
	}
	return nil, a.err
}

// commit applies as many requests as make a group, makes them durable and then
// visible, in this order. It returns the requests that are left.
func (s *store) commit(requests []*Request) (*group, []*Request) {
	s.turn.Lock()
	defer s.turn.Unlock()
	m := s.machine
	if s.failure.Load() != nil {
		return &group{answers: answersOf(requests), err: errStopped()}, nil
	}
	m.begin(s.clock.ms())
	m.refuse = s.refusing()
	g := &group{answers: make([]answer, 0, min(len(requests), groupCommands))}
	for len(requests) > 0 && !m.full(len(g.answers)) {
		r := requests[0]
		if x, ok := r.Command.(*exclusive); ok {
			if len(g.answers) > 0 {
				break // a group of its own, the next one
			}
			g.answers = append(g.answers, answer{r.Done, &codec.SetReply{}, x.run()})
			g.position = s.Position()
			return g, requests[1:]
		}
		requests = requests[1:]
		reply, err := m.apply(r)
		if err != nil {
			err = s.refusal(r, err)
		}
		g.answers = append(g.answers, answer{r.Done, reply, err})
	}
	s.stats.Groups.Observe(int64(len(g.answers)))
	g.err = s.persist(s.state.Load())
	g.position = s.Position()
	return g, requests
}

// full reports whether a group of n commands should be committed.
func (m *machine) full(n int) bool {
	return n >= groupCommands || len(m.writes) >= groupCommands || len(m.arena.buf) >= groupBytes ||
		m.dedup.size >= groupIDs
}

// refusal is an error as its client gets it; what is ours goes to the log.
func (s *store) refusal(r *Request, err error) error {
	if refused, ok := errors.AsType[*codec.Error](err); ok {
		return refused
	}
	s.log.Error("a command failed", "command", r.Command.Op(), "error", err)
	return codec.AsError(err)
}

// persist makes the machine's group durable, on top of a state, and shows it to
// readers.
func (s *store) persist(st *state) error {
	m := s.machine
	if len(m.writes) == 0 && len(m.events) == 0 && m.dedup.idle() {
		return nil // nothing but refusals, and commands that changed nothing
	}
	next := st.commit + 1
	parts := m.seal(next)
	m.writes = s.outbox.forget(m.writes)
	m.writes = append(m.writes, s.metaWrite(false))
	if err := s.reserve(m.counters.revision); err != nil {
		s.fail(err)
		return errStopped()
	}
	err := s.stats.commit(func() error { return st.backend.Commit(next, m.writes) })
	if err != nil {
		s.fail(fmt.Errorf("engine: commit %d: %w", next, err))
		return errStopped()
	}
	s.publish(&state{commit: next, counters: m.counters, backend: st.backend})
	s.outbox.append(parts)
	return nil
}

// publish shows a commit to readers, and lets go of what it replaced.
func (s *store) publish(next *state) {
	s.published.Add(1)
	var fresh []*cachedValue
	next.index = s.machine.index.publish(func(v *cachedValue) { fresh = append(fresh, v) })
	before := s.state.Swap(next)
	s.published.Add(1)
	for _, v := range fresh {
		s.cache.add(v)
	}
	for _, rec := range s.machine.stale {
		s.cache.drop(rec)
		s.deadlines.drop(rec, next.index)
	}
	for _, rec := range s.machine.lives {
		s.deadlines.schedule(rec)
	}
	s.machine.lives = s.machine.lives[:0]
	if before != nil && before.backend == next.backend {
		next.backend.Forget(before.commit)
	}
}

func errStopped() error {
	return codec.Errorf(codec.Internal, "the commit failed and the store has stopped; the command may have been applied")
}

func answersOf(requests []*Request) []answer {
	answers := make([]answer, len(requests))
	for i, r := range requests {
		answers[i].done = r.Done
	}
	return answers
}
