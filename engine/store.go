package engine

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/settkv/sett/codec"
)

// store is the engine: a writer that changes a machine and commits to a
// backend, and readers that see the last durable commit.
//
// # Goroutines
//
// The writer owns the machine. The finisher answers what the writer committed.
// The expirer proposes what is past its deadline. The collector reclaims the
// value log. Close waits for all of them.
type store struct {
	options  Options
	log      *slog.Logger
	stats    *Stats
	identity keptIdentity
	key      []byte // of an encrypted store
	clock    clock

	machine *machine // the writer's
	cache   cache
	outbox  *outbox
	queue   queue

	deadlines *deadlines
	state     atomic.Pointer[state] // what readers see
	published atomic.Uint64         // counts twice for each state: odd while it changes

	// turn is held, for reading, by each group from reading the clock until it
	// is visible. Who holds it for writing knows that no group is between the
	// two.
	turn sync.RWMutex

	applied   chan *group   // from the writer to the committer
	works     chan *work    // to be filled again
	groups    chan *group   // the same
	free      chan struct{} // holds a value while the committer has nothing to do
	finished  chan *group   // from the committer to the finisher
	stop      chan struct{} // closed for the expirer and the collector
	held      atomic.Bool   // writes wait for Release
	diskLow   atomic.Bool   // writes wait for room, but for those that only remove
	diskFull  atomic.Bool   // these too
	killed    bool          // no clean close preceded the opening
	restores  atomic.Uint64 // counts them, so that a backup of what was replaced ends
	restoring sync.Mutex    // held by the one that is under way
	closing   sync.Once
	closed    atomic.Bool // from the beginning of Close on
	closeErr  error
	failure   atomic.Pointer[error] // why the store stopped by itself
	done      chan struct{}         // closed when it did
	helpers   sync.WaitGroup        // the expirer and the collector
	workers   sync.WaitGroup        // the writer and the finisher
}

// state is the store after one commit. It is never changed.
type state struct {
	commit   uint64
	index    *snapshot
	counters counters
	backend  backend
}

func (st *state) position() codec.Position {
	return codec.Position{StoreRevision: st.counters.revision, Epoch: st.counters.epoch}
}

// clock is monotonic: it starts at the wall clock, or at the last recorded time
// if that is later, and then counts what passes, so that a wall clock that
// jumps expires nothing early and recorded time never goes back.
type clock struct {
	now   func() time.Time
	sleep func(time.Duration) <-chan time.Time
	start time.Time
	base  int64
}

func newClock(now func() time.Time, sleep func(time.Duration) <-chan time.Time, recordedMs int64) clock {
	if now == nil {
		now = time.Now
	}
	if sleep == nil {
		sleep = time.After
	}
	start := now()
	return clock{now: now, sleep: sleep, start: start, base: max(start.UnixMilli(), recordedMs)}
}

// after receives a value once so many milliseconds have passed.
func (c *clock) after(ms int64) <-chan time.Time {
	return c.sleep(time.Duration(ms) * time.Millisecond)
}

// ms is the time in Unix milliseconds.
func (c *clock) ms() int64 { return c.base + c.now().Sub(c.start).Milliseconds() }

// Position implements [Feed].
func (s *store) Position() codec.Position { return s.state.Load().position() }

// Status implements [Reader].
func (s *store) Status() codec.StatusReply {
	st := s.state.Load()
	announced, waiting := s.outbox.waiting()
	return codec.StatusReply{
		Position: st.position(),
		StoreID:  s.identity.StoreID, Version: s.options.Version,
		Keys: st.counters.keys, Instances: st.counters.inst, Bytes: st.backend.Size(),
		Feed: codec.FeedStatus{
			AckedRevision:   announced,
			OutboxRevisions: int64(st.counters.revision - min(announced, st.counters.revision)),
			OutboxBytes:     waiting,
		},
		Limits:  codec.ContractLimits(),
		Reasons: s.reasons(),
	}
}

// Failed implements [Maintenance].
func (s *store) Failed() <-chan struct{} { return s.done }

// Err implements [Maintenance].
func (s *store) Err() error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// fail stops the store: after a failed commit nobody may read, or write, what
// the disk may have lost. It never tries the commit again.
func (s *store) fail(err error) {
	err = s.discreet(err)
	if s.failure.CompareAndSwap(nil, &err) {
		s.log.Error("the store stops: a commit failed", "error", err)
		close(s.done)
	}
}

// failed turns an error of the backend into one for a client, and logs it.
func (s *store) failed(err error) error {
	if errors.Is(err, errClosed) {
		return errUnavailable()
	}
	err = s.discreet(err)
	s.log.Error("reading the store failed", "error", err)
	return codec.AsError(err)
}

// down says why the store takes no more calls, if it does not.
func (s *store) down() error {
	switch {
	case s.failure.Load() != nil:
		return codec.Errorf(codec.Unavailable, "the store has stopped after a failed commit; its log says why")
	case s.closed.Load():
		return errUnavailable()
	}
	return nil
}

func errUnavailable() *codec.Error {
	return codec.Errorf(codec.Unavailable, "the store is stopping or stopped")
}

// Close implements [Maintenance].
func (s *store) Close() error {
	s.closing.Do(func() {
		s.closed.Store(true)
		close(s.stop)
		s.helpers.Wait()
		if s.stuck() {
			s.closeErr = s.Err() // waiting for the commit would never end
			return
		}
		s.writeBeats()
		s.queue.close()
		s.workers.Wait()
		if s.Err() == nil {
			s.closeErr = s.markClean()
		}
		if err := s.roomToClose(); err != nil {
			s.closeErr = errors.Join(s.closeErr, err)
			return // everything is on disk: only tidying up is left
		}
		s.closeErr = errors.Join(s.closeErr, s.state.Load().backend.Close())
	})
	return s.closeErr
}

// markClean notes that the store was closed with everything in place, and when:
// what was past its deadline by then stays gone.
func (s *store) markClean() error {
	s.machine.counters.nowMs = max(s.machine.counters.nowMs, s.clock.ms())
	writes := s.outbox.forget(nil)
	st := s.state.Load()
	if err := st.backend.Commit(st.commit+1, append(writes, s.metaWrite(&s.machine.counters, true))); err != nil {
		return err
	}
	return s.identity.change(func(id *identity) { id.Committed = st.commit + 1 })
}

// collect reclaims the value log now and then until the store is closed.
func (s *store) collect() {
	ticker := time.NewTicker(s.options.gcInterval())
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
		}
		if err := s.state.Load().backend.CollectGarbage(); err != nil && !errors.Is(err, errClosed) {
			s.log.Warn("collecting the value log failed; it will be tried again", "error", err)
		}
	}
}
