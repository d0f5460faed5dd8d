package main

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/settkv/sett/codec"
)

// fakeCommand ends when it is told to; a stubborn one when it is killed.
type fakeCommand struct {
	done     chan struct{}
	stubborn bool
	over     bool
	endedAt  time.Time // when it was asked to end
	killedAt time.Time
	relayed  []os.Signal
}

func newFakeCommand() *fakeCommand { return &fakeCommand{done: make(chan struct{})} }

func (f *fakeCommand) ended() <-chan struct{} { return f.done }
func (f *fakeCommand) relay(sig os.Signal)    { f.relayed = append(f.relayed, sig) }

func (f *fakeCommand) end() {
	f.endedAt = time.Now()
	if !f.stubborn {
		f.finish()
	}
}

func (f *fakeCommand) kill() {
	f.killedAt = time.Now()
	f.finish()
}

func (f *fakeCommand) finish() {
	if !f.over {
		f.over = true
		close(f.done)
	}
}

// holding is a hold whose store and clocks the test plays.
type holding struct {
	hold
	c       *fakeCommand
	signals chan os.Signal
	result  chan error

	mono, wall atomic.Int64 // what the clocks are ahead of the ticker's
	refusal    atomic.Pointer[error]
	slow       atomic.Int64 // how long the store takes
	asked      atomic.Int64
	lastSent   atomic.Int64 // unix nanoseconds of the last that succeeded
}

const testTTL = 15 * time.Second

func newHolding() *holding {
	x := &holding{c: newFakeCommand(), signals: make(chan os.Signal, 1), result: make(chan error, 1)}
	start := time.Now()
	x.now = func() instant {
		gone := time.Since(start)
		return instant{mono: gone + time.Duration(x.mono.Load()), wall: gone + time.Duration(x.wall.Load())}
	}
	x.ttl = testTTL
	x.lastSent.Store(start.UnixNano())
	x.renew = func(ctx context.Context) error {
		x.asked.Add(1)
		sent := time.Now().UnixNano()
		select {
		case <-time.After(time.Duration(x.slow.Load())):
		case <-ctx.Done():
			return codec.Errorf(codec.Timeout, "no answer")
		}
		if refusal := x.refusal.Load(); refusal != nil {
			return *refusal
		}
		x.lastSent.Store(sent)
		return nil
	}
	return x
}

// run holds until the test waits for the result.
func (x *holding) run() {
	go func() { x.result <- x.hold.run(x.c, x.signals) }()
}

// outcome is what the hold ends with; it must not go on for ever.
func (x *holding) outcome(t *testing.T) error {
	t.Helper()
	select {
	case err := <-x.result:
		return err
	case <-time.After(10 * testTTL):
		x.c.finish()
		t.Error("it holds on")
		return <-x.result
	}
}

// pass lets time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (x *holding) refuse(code codec.Code) {
	err := error(codec.Errorf(code, "no"))
	x.refusal.Store(&err)
}

func TestHoldRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newHolding()
		x.run()
		pass(10 * testTTL)
		if n := x.asked.Load(); n < 28 || n > 30 {
			t.Errorf("renewed %d times in 10 TTLs", n)
		}
		x.c.finish()
		if err := x.outcome(t); err != nil || !x.c.endedAt.IsZero() || !x.c.killedAt.IsZero() {
			t.Errorf("%v; ended %v, killed %v", err, x.c.endedAt, x.c.killedAt)
		}
	})
}

// A store that is away for less than a third of the TTL costs nothing.
func TestHoldTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newHolding()
		x.run()
		pass(testTTL/3 - time.Second)
		x.refuse(codec.Unavailable)
		pass(testTTL / 3)
		x.refusal.Store(nil)
		pass(5 * testTTL)
		x.c.finish()
		if err := x.outcome(t); err != nil || !x.c.endedAt.IsZero() {
			t.Errorf("%v; ended %v", err, x.c.endedAt)
		}
	})
}

// What cannot be renewed is asked to end at two thirds of the TTL since the
// last renewal was sent, and is dead before its end.
func TestHoldEnds(t *testing.T) {
	for name, fail := range map[string]func(x *holding){
		"refused":   func(x *holding) { x.refuse(codec.Unavailable) },
		"no answer": func(x *holding) { x.slow.Store(int64(time.Hour)) },
		"denied":    func(x *holding) { x.refuse(codec.Denied) },
		"slow": func(x *holding) { // what counts is when it was sent
			x.slow.Store(int64(3 * time.Second))
			pass(testTTL)
			x.refuse(codec.Unavailable)
		},
	} {
		for _, stubborn := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				x := newHolding()
				x.c.stubborn = stubborn
				x.run()
				pass(2 * testTTL)
				fail(x)
				err := x.outcome(t)
				sent := time.Unix(0, x.lastSent.Load())
				if after := x.c.endedAt.Sub(sent); after < testTTL*2/3 || after > testTTL*2/3+x.tick() {
					t.Errorf("%s: asked to end %v after the last renewal", name, after)
				}
				if after := x.c.killedAt.Sub(sent); stubborn && (after <= testTTL-2*x.tick() || after >= testTTL) {
					t.Errorf("%s: killed %v after the last renewal", name, after)
				}
				if !errors.Is(err, errNotRenewed) || x.c.killedAt.IsZero() {
					t.Errorf("%s: %v; killed %v", name, err, x.c.killedAt)
				}
			})
		}
	}
}

// A command that does not end is killed in time also where the store is back.
func TestHoldEndsForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newHolding()
		x.c.stubborn = true
		x.refuse(codec.Unavailable)
		x.run()
		pass(testTTL*2/3 + time.Second)
		x.refusal.Store(nil)
		if err := x.outcome(t); !errors.Is(err, errNotRenewed) {
			t.Error(err)
		}
		if x.now().mono >= testTTL {
			t.Errorf("killed after %v", x.now().mono)
		}
	})
}

func TestHoldGone(t *testing.T) {
	for _, code := range []codec.Code{codec.Conflict, codec.NotFound} {
		synctest.Test(t, func(t *testing.T) {
			x := newHolding()
			x.refuse(code)
			x.run()
			if err := x.outcome(t); !errors.Is(err, errGone) || x.c.killedAt.IsZero() || !x.c.endedAt.IsZero() {
				t.Errorf("%s: %v; ended %v, killed %v", code, err, x.c.endedAt, x.c.killedAt)
			}
			if x.now().mono > testTTL/3+x.tick() {
				t.Errorf("%s: killed after %v", code, x.now().mono)
			}
		})
	}
}

// The TTL is over by one of the clocks: the process or the machine was
// stopped. Nothing but the kill is done then.
func TestHoldStopped(t *testing.T) {
	for name, jump := range map[string]func(x *holding){
		"process": func(x *holding) { x.mono.Add(int64(testTTL)); x.wall.Add(int64(testTTL)) },
		"machine": func(x *holding) { x.wall.Add(int64(testTTL)) },
	} {
		synctest.Test(t, func(t *testing.T) {
			x := newHolding()
			x.run()
			pass(testTTL + time.Second)
			asked := x.asked.Load()
			jump(x)
			x.signals <- syscall.SIGCONT
			if err := x.outcome(t); !errors.Is(err, errTooLate) || x.c.killedAt.IsZero() || !x.c.endedAt.IsZero() {
				t.Errorf("%s: %v; ended %v, killed %v", name, err, x.c.endedAt, x.c.killedAt)
			}
			if x.asked.Load() != asked || len(x.c.relayed) != 0 {
				t.Errorf("%s: renewed %d times, relayed %v", name, x.asked.Load()-asked, x.c.relayed)
			}
		})
	}
}

// A renewal counts from when it was sent, however late its answer is read.
func TestHoldLateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newHolding()
		x.slow.Store(int64(time.Second))
		x.run()
		pass(testTTL/3 + x.tick() + time.Second/2)
		if x.asked.Load() != 1 {
			t.Fatalf("asked %d times", x.asked.Load())
		}
		x.mono.Add(int64(testTTL)) // the answer comes, but the process was stopped meanwhile
		x.wall.Add(int64(testTTL))
		if err := x.outcome(t); !errors.Is(err, errTooLate) {
			t.Error(err)
		}
	})
}

// A wall clock that is set by less than the TTL, or back, ends nothing.
func TestHoldClockSet(t *testing.T) {
	for _, by := range []time.Duration{-time.Hour, testTTL / 2} {
		synctest.Test(t, func(t *testing.T) {
			x := newHolding()
			x.run()
			pass(testTTL/3 - x.tick())
			x.wall.Add(int64(by))
			pass(3 * testTTL)
			x.c.finish()
			if err := x.outcome(t); err != nil || !x.c.endedAt.IsZero() {
				t.Errorf("by %v: %v; ended %v", by, err, x.c.endedAt)
			}
		})
	}
}

func TestHoldRelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newHolding()
		x.run()
		x.signals <- syscall.SIGTERM
		synctest.Wait()
		if len(x.c.relayed) != 1 || x.c.relayed[0] != syscall.SIGTERM {
			t.Errorf("relayed %v", x.c.relayed)
		}
		x.c.finish()
		if err := x.outcome(t); err != nil {
			t.Error(err)
		}
	})
}

// Who waits sleeps until the holder's deadline, or its whole TTL where the
// store's clock is another one.
func TestPauseFor(t *testing.T) {
	at := time.UnixMilli(1_000_000)
	for _, c := range []struct {
		ttl, expires int64
		want         time.Duration
	}{
		{0, 0, maxLockPause}, {15_000, 1_005_000, 5 * time.Second}, {15_000, 999_000, 15 * time.Second},
		{15_000, 1_090_000, 15 * time.Second}, {1_000, 1_000_001, minLockPause}, {3_600_000, 4_000_000, maxLockPause},
	} {
		if got := pauseFor(&codec.Entry{TTLMs: c.ttl, ExpiresAtMs: c.expires}, at); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
