package engine

import (
	"errors"
	"fmt"

	"github.com/settkv/sett/codec"
)

// commit is the committer: it makes groups durable and then visible, in this
// order.
func (s *store) commit() {
	defer close(s.finished)
	for g := range s.applied {
		g.err = s.persist(g.work, s.state.Load())
		g.position = s.Position()
		s.turn.RUnlock()
		select {
		case s.works <- g.work:
		default:
		}
		g.work = nil
		s.finished <- g
		s.free <- struct{}{}
	}
}

// commitNow commits what the machine was told since begin, on top of a state,
// where no group is under way.
func (s *store) commitNow(st *state) error {
	s.machine.seal(st.commit + 1)
	return s.persist(s.machine.work, st)
}

// persist makes a sealed group durable, on top of a state, and shows it to
// readers.
func (s *store) persist(w *work, st *state) error {
	if s.failure.Load() != nil {
		return errStopped()
	}
	if w.commit == 0 {
		return nil
	}
	w.writes = s.outbox.forget(w.writes)
	w.writes = append(w.writes, s.metaWrite(&w.after, false))
	err := s.reserve(w.after.revision)
	if err == nil {
		err = s.stats.commit(func() error { return st.backend.Commit(w.commit, w.writes) })
	}
	if err != nil {
		s.fail(fmt.Errorf("engine: commit %d: %w", w.commit, err))
		return errStopped()
	}
	s.publish(w, st.backend)
	s.outbox.append(w.parts)
	return nil
}

// publish shows a commit to readers, and lets go of what it replaced.
func (s *store) publish(w *work, b backend) {
	next := &state{commit: w.commit, counters: w.after, index: w.keys, backend: b}
	s.published.Add(1)
	for slot, i := range w.shown {
		slot.now.Store(i.rec)
	}
	before := s.state.Swap(next)
	s.published.Add(1)
	for _, rec := range w.stale {
		s.cache.drop(rec)
		s.deadlines.drop(rec, next.index)
	}
	for _, i := range w.shown { // into the places that became free
		if i.fresh != nil {
			s.cache.add(i.fresh)
		}
	}
	for _, rec := range w.lives {
		s.deadlines.schedule(rec)
	}
	if before != nil && before.backend == next.backend {
		next.backend.Forget(min(before.commit, s.outbox.oldest()))
	}
}

func errStopped() error {
	return codec.Errorf(codec.Internal, "the commit failed and the store has stopped; the command may have been applied")
}

// finish answers what was committed, in order, while the writer goes on.
func (s *store) finish() {
	for g := range s.finished {
		for i := range g.answers {
			if a := &g.answers[i]; a.done != nil {
				a.done(a.outcome(g))
			}
		}
		clear(g.answers)
		*g = group{answers: g.answers[:0]}
		select {
		case s.groups <- g:
		default:
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
