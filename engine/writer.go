package engine

import (
	"context"
	"errors"
	"runtime"

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

// group is what is committed together: first applied, then made durable and
// visible, then answered.
type group struct {
	work     *work
	answers  []answer
	position codec.Position
	err      error // the commit failed: whoever waits is told so
	offered  bool  // others were let in before it goes
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

// write is the writer: it applies all that waits, in order. While one group is
// being committed it fills the next one, which goes as soon as the committer is
// free: it never waits to fill one.
func (s *store) write() {
	defer close(s.applied)
	var g *group // in progress; nil: none
	for {
		requests, ok := s.await(&g)
		if !ok {
			return
		}
		for rest := requests; len(rest) > 0; {
			if x, ok := rest[0].Command.(*exclusive); ok {
				s.runAlone(&g, x, rest[0].Done)
				rest = rest[1:]
				continue
			}
			if g == nil {
				g = s.newGroup()
			}
			rest = s.apply(g, rest)
			if s.machine.full(len(g.answers)) {
				<-s.free
				s.hand(&g)
			}
		}
		s.queue.giveBack(requests)
	}
}

// await waits for requests, and meanwhile for the committer to be free for the
// group in progress. ok is false when there are no more.
func (s *store) await(g **group) (requests []*Request, ok bool) {
	for *g != nil {
		select {
		case <-s.free:
			if !(*g).offered {
				(*g).offered = true
				runtime.Gosched() // who is about to bring a command does so now
				if requests, ok = s.queue.poll(); len(requests) > 0 {
					s.free <- struct{}{}
					return requests, ok
				}
			}
			s.hand(g)
		case <-s.queue.wake:
			if requests, ok = s.queue.poll(); len(requests) > 0 {
				return requests, ok
			}
		}
	}
	return s.queue.take()
}

// newGroup begins a group. Whoever waits for its turn sees it visible, or none
// of it.
func (s *store) newGroup() *group {
	s.turn.RLock()
	var g *group
	select {
	case g = <-s.groups:
	default:
		g = new(group)
	}
	select {
	case g.work = <-s.works:
	default:
		g.work = new(work)
	}
	s.machine.begin(g.work, s.clock.ms())
	return g
}

// apply applies requests up to an exclusive one, as many as make a group. It
// returns those that are left.
func (s *store) apply(g *group, requests []*Request) []*Request {
	m := s.machine
	m.advance(s.clock.ms()) // a deadline may have passed since the group began
	m.refuse = s.refusing()
	for len(requests) > 0 && !m.full(len(g.answers)) {
		r := requests[0]
		if _, ok := r.Command.(*exclusive); ok {
			break
		}
		requests = requests[1:]
		if s.failure.Load() != nil {
			g.answers = append(g.answers, answer{done: r.Done, err: errStopped()})
			continue
		}
		reply, err := m.apply(r)
		if err != nil {
			err = s.refusal(r, err)
		}
		g.answers = append(g.answers, answer{r.Done, reply, err})
	}
	return requests
}

// hand hands the group in progress to the committer, which is free: so the one
// before is visible, or failed.
func (s *store) hand(g **group) {
	if !s.machine.idle() {
		s.machine.seal(s.state.Load().commit + 1)
	}
	s.stats.Groups.Observe(int64(len((*g).answers)))
	s.applied <- *g
	*g = nil
}

// runAlone runs a function when everything before it is committed, and nothing
// else is under way.
func (s *store) runAlone(g **group, x *exclusive, done func(codec.Reply, error)) {
	<-s.free
	if *g != nil {
		s.hand(g)
		<-s.free
	}
	s.turn.RLock()
	err := errStopped()
	if s.failure.Load() != nil {
		s.turn.RUnlock()
		s.finished <- &group{answers: []answer{{done: done, err: err}}}
	} else {
		failed := x.run()
		s.turn.RUnlock()
		s.finished <- &group{answers: []answer{{done, &codec.SetReply{}, failed}}, position: s.Position()}
	}
	s.free <- struct{}{}
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
