package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/engine"
)

// outbox is a store's feed, and an announcer that remembers what it got.
type outbox struct {
	engine.Feed
	engine.Continuity
	commits chan struct{}
	status  chan nats.Status

	mu        sync.Mutex
	revision  uint64
	announced uint64
	sent      []uint64 // what the announcer got, in order
	confirms  int
	failures  []error // of the next announces or confirms; nil is a success
	offline   bool
	closed    bool
}

func newOutbox() *outbox {
	return &outbox{commits: make(chan struct{}, 1), status: make(chan nats.Status, 10)}
}

func (o *outbox) Position() codec.Position {
	o.mu.Lock()
	defer o.mu.Unlock()
	return codec.Position{StoreRevision: o.revision}
}

func (o *outbox) Outbox(after uint64, maxBytes int) (events []codec.Event, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for size := 0; after < o.revision && size < maxBytes; after++ {
		events = append(events, codec.Event{Revision: after + 1, Payload: make([]byte, 100<<10)})
		size += 100 << 10
	}
	return events, nil
}

func (o *outbox) Commits() <-chan struct{} { return o.commits }

func (o *outbox) Announced(revision uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.announced = revision
}

func (o *outbox) AnnouncedRevision() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.announced
}

func (o *outbox) commit(n int) {
	o.mu.Lock()
	o.revision += uint64(n)
	o.mu.Unlock()
	select {
	case o.commits <- struct{}{}:
	default:
	}
}

func (o *outbox) mode() string                { return "test" }
func (o *outbox) changed() <-chan nats.Status { return o.status }
func (o *outbox) close()                      { o.closed = true }

func (o *outbox) connected() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.offline
}

func (o *outbox) pace() pace             { return livePace }
func (o *outbox) replaced() bool         { return false }
func (o *outbox) synced() (uint64, bool) { return 0, false }
func (o *outbox) Synced(uint64)          {}
func (o *outbox) Release()               {}

func (o *outbox) open(_ context.Context, confirmed uint64) (uint64, error) { return confirmed, nil }

func (o *outbox) announce(_ context.Context, events []codec.Event) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range events {
		o.sent = append(o.sent, events[i].Revision)
	}
	return o.fail()
}

func (o *outbox) confirm(context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.confirms++
	return o.fail()
}

func (o *outbox) fail() error {
	if len(o.failures) == 0 {
		return nil
	}
	err := o.failures[0]
	o.failures = o.failures[1:]
	return err
}

func (o *outbox) relay() (*relay, <-chan error) {
	r := newRelay(o, o, new(Stats), slog.New(slog.DiscardHandler))
	ended := make(chan error, 1)
	go func() { ended <- r.run() }()
	return r, ended
}

func (o *outbox) mustHaveSent(t *testing.T, want ...uint64) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Equal(o.sent, want) {
		t.Errorf("announced %v, not %v", o.sent, want)
	}
}

func (o *outbox) mustHaveConfirmed(t *testing.T, revision uint64, confirms int) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.announced != revision || o.confirms != confirms {
		t.Errorf("confirmed %d with %d round trips, not %d with %d", o.announced, o.confirms, revision, confirms)
	}
}

func end(t *testing.T, r *relay, ended <-chan error) {
	t.Helper()
	close(r.stop)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRelayAnnouncesAtOnceAndConfirmsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox()
		o.revision, o.announced = 3, 2 // from an earlier run
		r, ended := o.relay()
		synctest.Wait()
		o.mustHaveSent(t, 3)
		o.commit(1)
		synctest.Wait()
		o.mustHaveSent(t, 3, 4)
		o.mustHaveConfirmed(t, 2, 0)
		pass(livePace.idle)
		synctest.Wait()
		o.mustHaveConfirmed(t, 4, 1)
		pass(time.Hour)
		o.mustHaveConfirmed(t, 4, 1) // nothing new, nothing to confirm
		o.commit(1)
		synctest.Wait()
		end(t, r, ended)
		o.mustHaveSent(t, 3, 4, 5)
		o.mustHaveConfirmed(t, 5, 2)
	})
}

func TestRelayConfirmsBySize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox()
		r, ended := o.relay()
		o.commit(50) // of 100 KiB
		synctest.Wait()
		o.mustHaveConfirmed(t, 48, 2)
		end(t, r, ended)
		o.mustHaveConfirmed(t, 50, 3)
	})
}

func TestRelayAnnouncesAgain(t *testing.T) {
	failure := errors.New("no answer")
	for name, failures := range map[string][]error{"announce": {failure}, "confirm": {nil, failure}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOutbox()
				o.failures = failures
				r, ended := o.relay()
				o.commit(2)
				pass(livePace.idle + retryAfter + livePace.idle)
				synctest.Wait()
				o.mustHaveSent(t, 1, 2, 1, 2)
				if got := o.AnnouncedRevision(); got != 2 {
					t.Errorf("confirmed %d", got)
				}
				end(t, r, ended)
			})
		})
	}
}

func TestRelayWaitsForTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox()
		r, ended := o.relay()
		o.commit(1)
		synctest.Wait()
		o.mu.Lock()
		o.offline = true
		o.mu.Unlock()
		o.commit(1)
		pass(time.Hour)
		o.mustHaveSent(t, 1)
		o.mu.Lock()
		o.offline = false
		o.mu.Unlock()
		o.status <- nats.CONNECTED
		synctest.Wait()
		o.mustHaveSent(t, 1, 1, 2) // the first was not confirmed
		end(t, r, ended)
		if !o.closed {
			t.Error("the announcer was not closed")
		}
	})
}

func TestRelayGivesUpAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox()
		o.offline = true
		r, ended := o.relay()
		o.commit(1)
		close(r.stop)
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatal("it did not wait for the connection: ", err)
		default:
		}
		r.abandon()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		o.mustHaveConfirmed(t, 0, 0)
	})
}

func TestRelayFails(t *testing.T) {
	for _, failure := range []error{nats.ErrMaxPayload, fmt.Errorf("wrapped: %w", nats.ErrBadSubject)} {
		synctest.Test(t, func(t *testing.T) {
			o := newOutbox()
			o.failures = []error{failure}
			_, ended := o.relay()
			o.commit(1)
			if err := <-ended; !errors.Is(err, failure) {
				t.Error(err)
			}
		})
	}
}

func TestRelayStatus(t *testing.T) {
	o := newOutbox()
	r := newRelay(o, o, new(Stats), slog.New(slog.DiscardHandler))
	s := r.status(codec.FeedStatus{AckedRevision: 5}, 1000)
	if want := (codec.FeedStatus{Mode: "test", AckedRevision: 5}); s != want {
		t.Errorf("got %+v", s)
	}
}

func TestEveryEndpointIsAnswered(t *testing.T) {
	c := &consumer{store: struct{ Store }{}}
	c.allHandlers()
	if err := c.handlers.complete(); err != nil {
		t.Error(err)
	}
	for info := range c.handlers {
		delete(c.handlers, info)
		break
	}
	if err := c.handlers.complete(); err == nil {
		t.Error("a missing handler is not noticed")
	}
}

func TestFlightLandsOnce(t *testing.T) {
	f := newFlight()
	for range 3 {
		f.submit()
	}
	f.finish()
	landed := f.land()
	f.finish()
	select {
	case <-landed:
		t.Fatal("one is missing")
	default:
	}
	f.finish()
	<-landed
	<-newFlight().land() // nothing was ever submitted
}

// pass lets time go by in a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }
