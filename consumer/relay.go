package consumer

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/engine"
	"github.com/settkv/sett/subjects"
)

// An announcer takes changes to those who follow them. It is what differs
// between a live and a durable feed; the loop around it is [relay].
type announcer interface {
	// mode is the feed's name in store.status.
	mode() string
	// connected says whether announcing has any prospect now.
	connected() bool
	// changed receives a value when that may have become different.
	changed() <-chan nats.Status
	// announce sends changes on their way, in order.
	announce(events []codec.Event) error
	// confirm waits until all that was announced is where it belongs. After
	// an error none of it since the last confirm is sure to be there.
	confirm() error
	// close ends changed.
	close()
}

// relay announces what the outbox holds, in order, and says what may leave it.
// It runs behind the commits and nobody waits for it.
//
// Announcing is not delayed by confirming: a round trip stands behind many
// announcements. What was not confirmed is announced again after a failure, so
// a follower may see a change twice, but never misses one that the relay
// skipped.
type relay struct {
	store engine.Feed
	out   announcer
	stats *Stats
	log   *slog.Logger

	sent      uint64    // announced up to here
	confirmed uint64    // and surely
	unsure    int       // bytes between the two
	due       time.Time // when to confirm them

	stop    chan struct{} // closed: announce what is committed, then end
	abandon chan struct{} // closed: end
}

const (
	readBytes     = 512 << 10              // of one read of the outbox
	confirmBytes  = 2 << 20                // are announced, then confirmed,
	confirmAfter  = 10 * time.Millisecond  // or after this time
	confirmWithin = 5 * time.Second        // is how long a confirmation may take
	retryAfter    = 100 * time.Millisecond // where it failed though connected
	again         = time.Nanosecond
)

func newRelay(store engine.Feed, out announcer, stats *Stats, log *slog.Logger) *relay {
	return &relay{
		store: store, out: out, stats: stats, log: log,
		stop: make(chan struct{}), abandon: make(chan struct{}),
	}
}

func (r *relay) run() error {
	defer r.out.close()
	r.confirmed = r.store.AnnouncedRevision()
	r.sent = r.confirmed
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
		case <-r.abandon:
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
	for {
		events, err := r.store.Outbox(r.sent, readBytes)
		if err != nil {
			return 0, fmt.Errorf("the outbox cannot be read after revision %d: %w", r.sent, err)
		}
		switch wait := time.Until(r.due); {
		case len(events) > 0:
			if err := r.announce(events); err != nil {
				return r.failed(err)
			}
			if r.unsure < confirmBytes && time.Now().Before(r.due) {
				continue
			}
		case r.sent == r.confirmed:
			return 0, nil
		case wait > 0 && !hurry:
			return wait, nil
		}
		if err := r.out.confirm(); err != nil {
			return r.failed(err)
		}
		r.confirmed, r.unsure = r.sent, 0
		r.store.Announced(r.confirmed)
		return again, nil // by way of run, which may have been told to end
	}
}

func (r *relay) announce(events []codec.Event) error {
	if r.sent == r.confirmed {
		r.due = time.Now().Add(confirmAfter)
	}
	if err := r.out.announce(events); err != nil {
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
	if errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject) {
		return 0, fmt.Errorf("a change after revision %d cannot be announced: %w", r.sent, err)
	}
	r.log.Debug("changes will be announced again", "after", r.confirmed, "error", err)
	r.rewind()
	return retryAfter, nil
}

func (r *relay) rewind() { r.sent, r.unsure = r.confirmed, 0 }

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

// liveFeed publishes changes to whoever is subscribed.
type liveFeed struct {
	conn   *nats.Conn
	prefix subjects.Prefix
	status chan nats.Status

	unsure bool   // something was announced since the last confirm,
	since  uint64 // when the connection had reconnected so often
}

func newLiveFeed(conn *nats.Conn, prefix subjects.Prefix) *liveFeed {
	return &liveFeed{conn: conn, prefix: prefix, status: conn.StatusChanged(nats.CONNECTED, nats.CLOSED)}
}

func (f *liveFeed) mode() string                { return "live" }
func (f *liveFeed) connected() bool             { return f.conn.IsConnected() }
func (f *liveFeed) changed() <-chan nats.Status { return f.status }
func (f *liveFeed) close()                      { f.conn.RemoveStatusListener(f.status) }

func (f *liveFeed) announce(events []codec.Event) error {
	if !f.unsure {
		f.unsure, f.since = true, f.reconnects()
	}
	for i := range events {
		if err := f.conn.Publish(subjects.Announced(f.prefix, &events[i]), events[i].Payload); err != nil {
			return err
		}
	}
	return nil
}

// confirm asks the broker for a round trip. That proves nothing if another
// connection answers than the one that was published on.
func (f *liveFeed) confirm() error {
	f.unsure = false
	if err := flush(f.conn, confirmWithin); err != nil {
		return err
	}
	if f.reconnects() != f.since {
		return errReconnected
	}
	return nil
}

func (f *liveFeed) reconnects() uint64 { return f.conn.Stats().Reconnects }

var errReconnected = errors.New("the connection was replaced meanwhile")
