package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/settkv/sett/codec"
)

// keeping is a keepAlive whose store the test plays.
type keeping struct {
	keepAlive
	c       *fakeCommand
	signals chan os.Signal
	again   chan struct{}
	result  chan error

	mu      sync.Mutex
	refusal error // of beats
	beats   []time.Time
	log     []string
}

func newKeeping() *keeping {
	x := &keeping{
		c: newFakeCommand(), signals: make(chan os.Signal, 1), again: make(chan struct{}), result: make(chan error, 1),
	}
	logs := func(what string) func(context.Context) error {
		return func(context.Context) error {
			x.tell(what)
			return nil
		}
	}
	x.keepAlive = keepAlive{
		what: "web 1", ttl: testTTL, reconnected: x.again, deregister: logs("deregister"),
		note: func(format string, args ...any) { x.tell(fmt.Sprintf(format, args...)) },
		beat: func(context.Context) error {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.beats = append(x.beats, time.Now())
			return x.refusal
		},
	}
	register := logs("register")
	x.register = func(ctx context.Context) error {
		x.refuse("")
		return register(ctx)
	}
	go func() { x.result <- x.run(x.c, x.signals) }()
	return x
}

func (x *keeping) tell(line string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.log = append(x.log, line)
}

func (x *keeping) refuse(code codec.Code) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.refusal = nil
	if code != "" {
		x.refusal = codec.Errorf(code, "no")
	}
}

// told is what happened beside beats, and how many of those there were.
func (x *keeping) told() (string, int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return strings.Join(x.log, "; "), len(x.beats)
}

func (x *keeping) expect(t *testing.T, want string) {
	t.Helper()
	if got, _ := x.told(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Beats come at a third of the TTL, give or take a tenth, and end with the
// command.
func TestKeepAliveBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newKeeping()
		last := time.Now()
		pass(20 * testTTL)
		for _, at := range x.beats {
			if d := at.Sub(last); d < testTTL*3/10 || d > testTTL*11/30 {
				t.Errorf("%v between two beats", d)
			}
			last = at
		}
		x.c.finish()
		if err := <-x.result; err != nil {
			t.Error(err)
		}
		x.expect(t, "deregister")
		_, before := x.told()
		pass(testTTL)
		if _, after := x.told(); before < 54 || after != before {
			t.Errorf("%d beats, then %d", before, after)
		}
	})
}

// What has expired is registered again.
func TestKeepAliveRegistersAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newKeeping()
		x.refuse(codec.NotFound)
		pass(testTTL)
		x.expect(t, "register; sett: web 1 is registered again")
		x.c.finish()
		<-x.result
	})
}

// While the store is away it tries more often, and says so once.
func TestKeepAliveTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newKeeping()
		x.refuse(codec.Unavailable)
		pass(4 * testTTL)
		x.expect(t, "sett: web 1 is not renewed, trying again: unavailable: no")
		if _, n := x.told(); n < 30 {
			t.Errorf("tried %d times", n)
		}
		x.refuse("")
		pass(testTTL / 5)
		x.expect(t, "sett: web 1 is not renewed, trying again: unavailable: no; sett: web 1 is renewed again")
		x.c.finish()
		<-x.result
	})
}

// With the connection comes a beat.
func TestKeepAliveReconnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newKeeping()
		x.again <- struct{}{}
		synctest.Wait()
		if _, n := x.told(); n != 1 {
			t.Errorf("%d beats", n)
		}
		x.c.finish()
		<-x.result
	})
}

// A signal that asks to end takes the registration back before the command has
// ended; another one does not.
func TestKeepAliveLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newKeeping()
		x.signals <- syscall.SIGUSR1
		synctest.Wait()
		x.expect(t, "")
		x.signals <- syscall.SIGTERM
		synctest.Wait()
		x.expect(t, "deregister")
		x.signals <- syscall.SIGINT
		pass(testTTL)
		if _, n := x.told(); n > 2 || len(x.c.relayed) != 3 {
			t.Errorf("%d beats, relayed %v", n, x.c.relayed)
		}
		x.c.finish()
		if err := <-x.result; err != nil {
			t.Error(err)
		}
	})
}
