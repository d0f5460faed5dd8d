package consumer

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// plainEvents go to whoever is subscribed just then.
type plainEvents struct {
	conn     *nats.Conn
	interest func(subject string) bool // nil: unknown
}

// publish tells whether there was anybody to publish it for.
func (p *plainEvents) publish(subject string, payload []byte) (sent bool, err error) {
	if p.interest != nil && !p.interest(subject) {
		return false, nil
	}
	return true, p.conn.Publish(subject, payload)
}

// liveFeed publishes changes to whoever is subscribed.
type liveFeed struct {
	conn   *nats.Conn
	prefix subjects.Prefix
	plain  plainEvents
	status chan nats.Status

	unsure bool   // something was published since the last confirm,
	since  uint64 // when the connection had reconnected so often
}

// livePace: a confirmation only lets go of memory.
var livePace = pace{idle: 10 * time.Millisecond, most: 10 * time.Millisecond, bytes: 2 << 20}

func newLiveFeed(conn *nats.Conn, o *Options) *liveFeed {
	return &liveFeed{
		conn: conn, prefix: o.Prefix, plain: plainEvents{conn, o.Interest}, status: conn.StatusChanged(nats.CONNECTED, nats.CLOSED),
	}
}

func (f *liveFeed) mode() string                { return codec.FeedLive }
func (f *liveFeed) pace() pace                  { return livePace }
func (f *liveFeed) connected() bool             { return f.conn.IsConnected() }
func (f *liveFeed) changed() <-chan nats.Status { return f.status }
func (f *liveFeed) close()                      { f.conn.RemoveStatusListener(f.status) }
func (f *liveFeed) replaced() bool              { return f.unsure && f.reconnects() != f.since }

// open has nothing to look at: subscribers keep nothing.
func (f *liveFeed) open(_ context.Context, confirmed uint64) (uint64, error) {
	f.unsure = false
	return confirmed, nil
}

// synced is the store's own business: what was announced live is kept nowhere.
func (f *liveFeed) synced() (uint64, bool) { return 0, false }

func (f *liveFeed) announce(_ context.Context, events []codec.Event) error {
	reconnects := f.reconnects()
	for i := range events {
		sent, err := f.plain.publish(subjects.Announced(f.prefix, &events[i]), events[i].Payload)
		if err != nil {
			return err
		}
		if sent && !f.unsure {
			f.unsure, f.since = true, reconnects
		}
	}
	return nil
}

// confirm asks the broker for a round trip. That proves nothing if another
// connection answers than the one that was published on.
func (f *liveFeed) confirm(context.Context) error {
	if !f.unsure {
		return nil
	}
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
