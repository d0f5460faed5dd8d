package engine

import (
	"errors"

	"github.com/settkv/sett/codec"
)

// FeedMode implements [Continuity].
func (s *store) FeedMode() string { return s.outbox.feedMode() }

// BeginFeed implements [Continuity].
func (s *store) BeginFeed(mode string) error {
	return s.alone(func() error {
		before := s.identity.get().Feed
		switch {
		case mode == codec.FeedLive && s.killed:
			// Nobody knows which changes were announced.
		case mode == codec.FeedDurable && before == codec.FeedLive:
			if err := s.dropOutbox(); err != nil {
				return err
			}
		default:
			return s.use(mode)
		}
		if _, err := s.beginEpoch(codec.ReasonGap, codec.Position{}); err != nil {
			return err
		}
		return s.use(mode)
	})
}

// use records a mode. It comes after the epoch that it may want: cut off in
// between, the next process opens another.
func (s *store) use(mode string) error {
	s.killed = false
	s.outbox.use(mode)
	if s.identity.get().Feed == mode {
		return nil
	}
	return s.identity.change(func(id *identity) { id.Feed = mode })
}

// dropOutbox deletes what the outbox holds: a stream never gets what was
// announced without one.
func (s *store) dropOutbox() error {
	s.outbox.announce(s.Position().StoreRevision)
	for {
		writes := s.outbox.forget(nil)
		if len(writes) == 0 {
			return nil
		}
		s.machine.begin(new(work), s.clock.ms())
		s.machine.writes = writes
		if err := s.commitNow(s.state.Load()); err != nil {
			return err
		}
	}
}

// NewEpoch implements [Continuity].
func (s *store) NewEpoch(reason string, above codec.Position) (at codec.Position, err error) {
	err = s.alone(func() error {
		at, err = s.beginEpoch(reason, above)
		return err
	})
	return at, err
}

// beginEpoch commits a new epoch, in the writer's turn.
func (s *store) beginEpoch(reason string, above codec.Position) (codec.Position, error) {
	s.machine.begin(new(work), s.clock.ms())
	if _, err := s.machine.apply(&Request{Command: s.epochCommand(reason, above)}); err != nil {
		return codec.Position{}, err
	}
	if err := s.commitNow(s.state.Load()); err != nil {
		return codec.Position{}, err
	}
	at := s.Position()
	s.log.Warn("a new epoch begins; followers load again", "reason", reason, "epoch", at.Epoch, "revision", at.StoreRevision)
	return at, nil
}

// epochCommand opens an epoch above all that this store has shown, and above
// another position.
func (s *store) epochCommand(reason string, above codec.Position) *newEpoch {
	return &newEpoch{epoch: max(uint64(s.clock.ms()), above.Epoch+1), above: above.StoreRevision, reason: reason}
}

// alone runs a function in the writer's turn, whether or not writes are held.
func (s *store) alone(run func() error) error {
	if err := s.down(); err != nil {
		return err
	}
	var err error
	ran := false
	s.propose(&exclusive{run: func() error {
		ran, err = true, run()
		return err
	}})
	if !ran {
		return errors.Join(s.down(), err)
	}
	return err
}

// Release implements [Continuity].
func (s *store) Release() {
	if s.held.CompareAndSwap(true, false) {
		s.deadlines.wake()
	}
}

func errHeld() *codec.Error {
	return codec.Errorf(codec.Unavailable, "the store has not seen the stream of its change feed since it began; try again")
}

func errOutboxFull() error {
	return codec.Errorf(codec.Unavailable, "too many changes wait to be announced: the change feed's broker is away or too slow")
}

func errDiskLow() error {
	return codec.Errorf(codec.Unavailable, "the store's disk is almost full; until there is room again it takes only what removes")
}

func errDiskFull() error {
	return codec.Errorf(codec.Unavailable, "the store's disk is full; writes go on when there is room again")
}

// refusing is what the writer refuses of clients: while the disk is almost full
// whatever does more than remove, while it is full whatever writes, while the
// outbox is full whatever is announced.
func (s *store) refusing() (r refusal) {
	if s.diskLow.Load() {
		r.records = errDiskLow
	}
	if s.diskFull.Load() {
		r.writes = errDiskFull
	}
	if s.outbox.full() {
		r.changes = errOutboxFull
	}
	return r
}

// reasons says why writes are refused.
func (s *store) reasons() (list []string) {
	if s.held.Load() {
		list = append(list, "the stream of the change feed was not yet seen")
	}
	if s.diskLow.Load() {
		list = append(list, "the disk is almost full")
	}
	if s.outbox.full() {
		list = append(list, "too many changes wait to be announced")
	}
	return list
}
