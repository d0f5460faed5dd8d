package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/engine"
)

// An announcer takes changes to those who follow them. It is what differs
// between a live and a durable feed; the loop around it is [relay].
type announcer interface {
	// mode is the feed's name in store.status.
	mode() string
	// pace says when to confirm.
	pace() pace
	// connected says whether announcing has any prospect now.
	connected() bool
	// replaced says that another connection stands than the one on which open
	// looked, or on which something was announced since the last confirm.
	replaced() bool
	// changed receives a value when that may have become different.
	changed() <-chan nats.Status
	// open makes sure of what the other side has, at the start and whenever
	// that is in doubt, and returns the revision to announce after. confirmed
	// is what the relay knows.
	open(ctx context.Context, confirmed uint64) (after uint64, err error)
	// announce sends changes on their way, in order.
	announce(ctx context.Context, events []codec.Event) error
	// confirm waits until all that was announced is where it belongs. After
	// an error none of it since the last confirm is sure to be there.
	confirm(ctx context.Context) error
	// synced is how far what was confirmed is safe from a failing broker, too;
	// later says that waiting makes it more. Nothing is unconfirmed when it is
	// asked.
	synced() (revision uint64, later bool)
	// close ends changed.
	close()
}

// pace is when to confirm what was announced: so long after the last of it, so
// long after the first, or at so many bytes, whichever comes first.
type pace struct {
	idle, most time.Duration
	bytes      int
}

// fatal wraps an error that announcing again will not mend.
type fatal struct{ error }

// Unwrap returns the error.
func (f fatal) Unwrap() error { return f.error }

// relay announces what the outbox holds, in order, and says what may leave it.
// It runs behind the commits and nobody waits for it.
//
// Announcing is not delayed by confirming: a round trip stands behind many
// announcements. What was not confirmed is announced again after a failure. A
// live follower may then see a change twice, but never misses one that the
// relay skipped; a stream takes each only once.
type relay struct {
	store feed
	out   announcer
	stats *Stats
	log   *slog.Logger

	opened    bool
	troubled  bool      // the last attempt failed, and the log says so
	sent      uint64    // announced up to here
	confirmed uint64    // and surely
	unsure    int       // bytes between the two
	first     time.Time // when the first and the last of them were announced
	last      time.Time

	ctx     context.Context // ends with abandon
	abandon context.CancelFunc
	stop    chan struct{} // closed: announce what is committed, then end
}

// feed is what a relay needs of a store.
type feed interface {
	engine.Feed
	engine.Continuity
}

const (
	readBytes     = 512 << 10              // of one read of the outbox
	confirmWithin = 5 * time.Second        // is how long a confirmation may take
	retryAfter    = 100 * time.Millisecond // where it failed though connected
	syncEvery     = time.Second            // is how often to ask what is synced
	again         = time.Nanosecond
)

func newRelay(store feed, out announcer, stats *Stats, log *slog.Logger) *relay {
	r := &relay{store: store, out: out, stats: stats, log: log, stop: make(chan struct{})}
	r.ctx, r.abandon = context.WithCancel(context.Background())
	r.confirmed = store.AnnouncedRevision()
	return r
}

// begin opens the feed before anything is served, so that what no trying will
// mend is an error of the start.
func (r *relay) begin() error {
	if !r.out.connected() {
		return nil
	}
	if err := r.open(r.ctx); err != nil {
		_, err = r.failed(err)
		return err
	}
	return nil
}

func (r *relay) run() error {
	defer r.out.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for stop := r.stop; ; {
		wait, err := r.step(stop == nil)
		if err != nil {
			return err
		}
		if stop == nil && r.confirmed >= r.store.Position().StoreRevision {
			return nil
		}
		var alarm <-chan time.Time
		if wait > 0 {
			timer.Reset(wait)
			alarm = timer.C
		}
		select {
		case <-r.store.Commits():
		case <-alarm:
		case status := <-r.out.changed():
			if status == nats.CLOSED {
				return errors.New("the feed's connection was closed")
			}
		case <-stop:
			stop = nil
		case <-r.ctx.Done():
			r.log.Warn("the last changes were not announced; they will be at the next start",
				"confirmed", r.confirmed, "revision", r.store.Position().StoreRevision)
			return nil
		}
	}
}

// step announces what the outbox holds, and confirms it if that is due or
// there is a hurry. It returns when to step again even without a commit; 0 is
// never.
func (r *relay) step(hurry bool) (time.Duration, error) {
	if !r.out.connected() {
		r.rewind()
		return 0, nil
	}
	if r.opened && r.out.replaced() {
		r.rewind()
	}
	if !r.opened {
		if err := r.open(r.ctx); err != nil {
			return r.failed(err)
		}
	}
	for pace := r.out.pace(); ; {
		events, err := r.store.Outbox(r.sent, readBytes)
		if err != nil {
			return 0, fmt.Errorf("the outbox cannot be read after revision %d: %w", r.sent, err)
		}
		wait := min(time.Until(r.first.Add(pace.most)), time.Until(r.last.Add(pace.idle)))
		switch {
		case len(events) > 0:
			if err := r.announce(events); err != nil {
				return r.failed(err)
			}
			if r.unsure < pace.bytes && time.Since(r.first) < pace.most {
				continue
			}
		case r.sent == r.confirmed:
			return r.settle(), nil
		case wait > 0 && !hurry:
			return wait, nil
		}
		if err := r.out.confirm(r.ctx); err != nil {
			return r.failed(err)
		}
		r.confirmed, r.unsure, r.troubled = r.sent, 0, false
		r.store.Announced(r.confirmed)
		r.settle()
		return again, nil // by way of run, which may have been told to end
	}
}

// open begins to announce where the other side is.
func (r *relay) open(ctx context.Context) error {
	after, err := r.out.open(ctx, r.confirmed)
	if err != nil {
		return err
	}
	if r.troubled {
		r.log.Info("changes are announced again", "after", after)
	}
	r.opened, r.troubled = true, false
	r.sent, r.confirmed, r.unsure = after, after, 0
	r.store.Announced(after)
	r.store.Release()
	return nil
}

// settle tells the store what is synced, and returns when to ask again.
func (r *relay) settle() time.Duration {
	revision, later := r.out.synced()
	r.store.Synced(revision)
	if later {
		return syncEvery
	}
	return 0
}

func (r *relay) announce(events []codec.Event) error {
	r.last = time.Now()
	if r.sent == r.confirmed {
		r.first = r.last
	}
	if err := r.out.announce(r.ctx, events); err != nil {
		return err
	}
	for i := range events {
		r.unsure += len(events[i].Payload)
	}
	r.sent = events[len(events)-1].Revision
	r.stats.Events.Add(uint64(len(events)))
	return nil
}

// failed goes back to what is confirmed, to announce the rest again.
func (r *relay) failed(err error) (time.Duration, error) {
	if _, stop := errors.AsType[fatal](err); stop || errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject) {
		return 0, fmt.Errorf("changes after revision %d cannot be announced: %w", r.confirmed, err)
	}
	if !r.troubled && r.ctx.Err() == nil {
		r.log.Warn("changes cannot be announced; trying again", "after", r.confirmed, "error", err)
	}
	r.troubled = true
	r.rewind()
	return retryAfter, nil
}

func (r *relay) rewind() { r.opened, r.sent, r.unsure = false, r.confirmed, 0 }

// status adds to what the engine knows of the feed. It may be called at any
// time.
func (r *relay) status(f codec.FeedStatus, nowMs int64) codec.FeedStatus {
	f.Mode = r.out.mode()
	if f.OutboxRevisions == 0 {
		return f
	}
	var oldest codec.Change
	events, err := r.store.Outbox(f.AckedRevision, 1)
	if err == nil && len(events) > 0 && codec.Decode(events[0].Payload, &oldest) == nil {
		f.LagMs = max(0, nowMs-oldest.TimeMs)
	}
	return f
}
