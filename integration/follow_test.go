package integration

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/subjects"
)

// follower is a program that follows everything with the Go client while the
// store and the broker come and go.
type follower struct {
	t      testing.TB
	done   chan struct{} // closed when held is complete
	held   map[string]entry
	resets int
	err    error
}

// lastKey ends a follower.
const lastKey = "the/end"

// follow follows on a connection until lastKey is set.
func follow(t testing.TB, nc *nats.Conn) *follower {
	t.Helper()
	client, err := subjects.NewClient(nc, subjects.Options{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{t: t, done: make(chan struct{}), held: make(map[string]entry)}
	loaded := make(chan struct{}, 1)
	go func() {
		defer close(f.done)
		f.run(t.Context(), client, loaded)
	}()
	within(t, patience, "first load", loaded)
	return f
}

// run is the program's loop.
func (f *follower) run(ctx context.Context, client *subjects.Client, loaded chan<- struct{}) {
	loading := true
	for u, err := range client.Follow(ctx, "") {
		if err != nil {
			f.err = err
			return
		}
		switch u.Kind {
		case subjects.Put:
			f.held[u.Key] = entry{string(u.Value), int64(u.Revision)}
		case subjects.Delete:
			delete(f.held, u.Key)
		case subjects.Reset:
			f.resets++
			loading = true
		case subjects.Loaded:
			loading = false
			select {
			case loaded <- struct{}{}:
			default:
			}
		}
		if _, ok := f.held[lastKey]; ok && !loading {
			return // amid a load what is gone was not told yet
		}
	}
}

// mustHold ends the follower and compares what it holds with the store.
func (f *follower) mustHold(nc *nats.Conn) {
	f.t.Helper()
	set(f.t, nc, lastKey, "1")
	within(f.t, patience, "last change at the follower", f.done)
	if f.err != nil {
		f.t.Errorf("following ended: %v", f.err)
	}
	sameState(f.t, f.held, contents(f.t, nc, ""))
	f.t.Logf("the follower holds %d keys after %d resets", len(f.held), f.resets)
}
