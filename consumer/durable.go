package consumer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// durableFeed brings changes into a JetStream stream in which the message of
// revision N has sequence N. Nobody else writes it, and every message says
// which sequence it must get: so whatever crashes, a change is in the stream
// once, or a new epoch says that it is not.
//
// Right behind it, on the same connection, goes the plain event for those who
// are only subscribed. So whatever the stream does not have was not shown yet,
// unless the connection broke or the stream lost it.
type durableFeed struct {
	conn   *nats.Conn
	js     jetstream.JetStream
	prefix subjects.Prefix
	plain  plainEvents
	store  feed
	id     string // of the store
	o      StreamOptions
	log    *slog.Logger
	now    func() time.Time
	status chan nats.Status

	ingest string // what this process alone sends to the stream begins with
	shown  uint64 // the last plain event; 0: none on this connection

	// Since open:
	stream *jetstream.StreamInfo
	since  uint64 // when the connection had reconnected so often
	last   uint64 // the sequence of what was published last
	lane   *lane  // into it; nil: nothing was published yet
	marks  []syncMark
}

// syncMark notes that the stream had everything up to a revision at a time.
type syncMark struct {
	revision uint64
	at       time.Time
}

func newDurableFeed(conn *nats.Conn, store feed, o *Options) (*durableFeed, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	return &durableFeed{
		conn: conn, js: js, prefix: o.Prefix, plain: plainEvents{conn, o.Interest}, store: store, id: o.StoreID,
		ingest: ingest(o.Prefix), o: o.Stream, log: o.log(), now: o.now(), status: conn.StatusChanged(nats.CONNECTED, nats.CLOSED),
	}, nil
}

// durablePace: each confirmation lets the lane run empty.
var durablePace = pace{idle: 5 * time.Millisecond, most: time.Second, bytes: 4 << 20}

func (f *durableFeed) mode() string                { return codec.FeedDurable }
func (f *durableFeed) pace() pace                  { return durablePace }
func (f *durableFeed) connected() bool             { return f.conn.IsConnected() }
func (f *durableFeed) changed() <-chan nats.Status { return f.status }

func (f *durableFeed) close() {
	f.endLane()
	f.conn.RemoveStatusListener(f.status)
}

// replaced: whatever made the connection end may have cost the stream its tail.
func (f *durableFeed) replaced() bool { return f.conn.Stats().Reconnects != f.since }

// open compares the stream with the store. It creates it where there is none,
// and opens a new epoch where they do not continue each other.
func (f *durableFeed) open(ctx context.Context, _ uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, confirmWithin)
	defer cancel()
	f.endLane()
	f.marks = nil
	if n := f.conn.Stats().Reconnects; n != f.since {
		f.shown, f.since = 0, n
	}
	info, err := f.info(ctx)
	if err != nil {
		return 0, err
	}
	if info == nil {
		return f.anew(ctx)
	}
	adopted, err := f.claim(ctx, info)
	if err != nil {
		return 0, err
	}
	f.stream, f.last = info, info.State.LastSeq
	if adopted {
		return f.restart(ctx, codec.ReasonGap)
	}
	reason, lost, err := f.compare(ctx, info)
	if err != nil {
		return 0, err
	}
	if reason == "" {
		f.mark(f.last)
		return f.last, nil
	}
	f.log.Warn("the change feed does not continue the store", "reason", reason, "what", lost)
	return f.restart(ctx, reason)
}

// anew creates the stream: with the whole epoch, where the outbox still has it.
func (f *durableFeed) anew(ctx context.Context) (uint64, error) {
	events, err := f.store.Outbox(0, 1)
	if err != nil {
		return 0, err
	}
	at := f.store.Position()
	first := uint64(1)
	switch {
	case at.StoreRevision == 0:
	case len(events) > 0 && (events[0].Revision == 1 || events[0].Kind == codec.StoreEvent):
		first = events[0].Revision
	default:
		f.log.Warn("the stream of the change feed is gone, and with it changes that the outbox no longer has", "revision", at.StoreRevision)
		if at, err = f.store.NewEpoch(codec.ReasonGap, codec.Position{}); err != nil {
			return 0, err
		}
		first = at.StoreRevision
	}
	f.stream, err = f.create(ctx, first, streamMeta{f.id, at.Epoch, first})
	f.last = first - 1
	return f.last, err
}

// claim makes sure that the stream is the store's own, and takes in nothing but
// what this process sends: another one that still believes the stream to be its
// own, after a takeover or in a copy of the data directory, is told so by the next
// acknowledgement that it wants. adopted says that it was another store's.
func (f *durableFeed) claim(ctx context.Context, info *jetstream.StreamInfo) (adopted bool, err error) {
	if ingestOf(f.prefix, &info.Config) == "" {
		return false, fatal{fmt.Errorf("the stream %s takes in %v, not %s: it is not a stream of sett; rename it, or give the store another --subject-prefix",
			info.Config.Name, info.Config.Subjects, f.prefix.Private("feed.>"))}
	}
	meta := parseMeta(info.Config.Metadata)
	if adopted = meta.store != f.id; adopted {
		if !f.o.Adopt {
			return false, fatal{fmt.Errorf("the stream %s belongs to the store %q, and this is the store %s: "+
				"start it with the data directory of that store, or with --adopt-feed to take the stream over (followers then load again), or with another --subject-prefix",
				info.Config.Name, meta.store, f.id)}
		}
		f.log.Warn("the stream of another store is taken over", "stream", info.Config.Name, "store_id", meta.store)
		meta.store = f.id
		if err := f.note(ctx, info, meta); err != nil {
			return true, err
		}
	}
	if want, changed := f.o.update(info.Config, f.prefix, f.ingest); changed {
		return adopted, f.change(ctx, info, want)
	}
	return adopted, nil
}

// restart opens a new epoch above all that the store and the stream have used,
// and moves the stream there.
func (f *durableFeed) restart(ctx context.Context, reason string) (uint64, error) {
	above := codec.Position{StoreRevision: f.last, Epoch: parseMeta(f.stream.Config.Metadata).epoch}
	if m, err := f.message(ctx, f.last); err == nil {
		var c codec.Change
		if codec.Decode(m, &c) == nil {
			above.Epoch = max(above.Epoch, c.Epoch)
		}
	}
	at, err := f.store.NewEpoch(reason, above)
	if err != nil {
		return 0, err
	}
	return at.StoreRevision - 1, f.begin(ctx, at)
}

// begin notes an epoch in the stream and moves it to where the epoch begins.
func (f *durableFeed) begin(ctx context.Context, at codec.Position) error {
	if meta := parseMeta(f.stream.Config.Metadata); meta.epoch < at.Epoch {
		if err := f.note(ctx, f.stream, streamMeta{f.id, at.Epoch, at.StoreRevision}); err != nil {
			return err
		}
	}
	if at.StoreRevision == f.last+1 {
		return nil
	}
	stream, err := f.js.Stream(ctx, f.stream.Config.Name)
	if err != nil {
		return err
	}
	f.log.Warn("the stream of the change feed moves forward; its history goes", "from", f.last, "to", at.StoreRevision)
	if err := stream.Purge(ctx, jetstream.WithPurgeSequence(at.StoreRevision)); err != nil {
		return fmt.Errorf("move the stream %s to %d: %w", f.stream.Config.Name, at.StoreRevision, err)
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return err
	}
	if info.State.LastSeq != at.StoreRevision-1 {
		return fmt.Errorf("the stream %s is at %d after it was moved to %d", info.Config.Name, info.State.LastSeq, at.StoreRevision)
	}
	f.stream, f.last = info, info.State.LastSeq
	return nil
}

// compare says why the stream and the store do not continue each other, and
// what is lost; "" if they do.
func (f *durableFeed) compare(ctx context.Context, info *jetstream.StreamInfo) (reason, lost string, err error) {
	meta, state, at := parseMeta(info.Config.Metadata), &info.State, f.store.Position()
	last := state.LastSeq
	switch {
	case last > at.StoreRevision:
		return codec.ReasonRewound, fmt.Sprintf("the stream has %d revisions that the store has not", last-at.StoreRevision), nil
	case meta.epoch > at.Epoch:
		return codec.ReasonRewound, fmt.Sprintf("the stream is in epoch %d, the store in %d", meta.epoch, at.Epoch), nil
	}
	next, err := f.outboxAt(last + 1)
	if err != nil {
		return "", "", err
	}
	if next != nil && next.Kind == codec.StoreEvent {
		return "", "", nil // an epoch begins here, whatever was before
	}
	if at.StoreRevision > last && (next == nil || next.Revision != last+1) {
		return codec.ReasonGap, fmt.Sprintf("the outbox no longer has revision %d, which the stream lacks", last+1), nil
	}
	if n := missingSince(state, meta.began); n > 0 {
		return codec.ReasonGap, fmt.Sprintf("%d messages are missing in the stream", n), nil
	}
	if last < meta.began {
		return "", "", nil // it was made for what comes
	}
	if state.Msgs == 0 {
		if f.aged(state) {
			return "", "", nil
		}
		return codec.ReasonGap, "the stream was purged", nil
	}
	same, err := f.sameMessage(ctx, last, next)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return codec.ReasonGap, fmt.Sprintf("the stream cannot show its last message, %d", last), nil
	case err == nil && !same:
		return codec.ReasonRewound, fmt.Sprintf("the stream has another change at revision %d", last), nil
	}
	return "", "", err
}

// aged says that an empty stream is empty because all of it grew too old.
func (f *durableFeed) aged(s *jetstream.StreamState) bool {
	age := f.stream.Config.MaxAge
	return age > 0 && f.now().Sub(s.LastTime) >= age
}

// sameMessage tells whether the stream's last message is the store's own change
// of that revision: the bytes, or, where the outbox has gone on, at least the
// epoch of what follows it.
func (f *durableFeed) sameMessage(ctx context.Context, sequence uint64, next *codec.Event) (bool, error) {
	stored, err := f.message(ctx, sequence)
	if err != nil {
		return false, err
	}
	own, err := f.outboxAt(sequence)
	if err != nil {
		return false, err
	}
	if own != nil && own.Revision == sequence {
		return bytes.Equal(own.Payload, stored), nil
	}
	var had, has codec.Change
	if codec.Decode(stored, &had) != nil || had.Revision != sequence {
		return false, nil
	}
	if next == nil {
		return had.Epoch == f.store.Position().Epoch, nil
	}
	return codec.Decode(next.Payload, &has) == nil && had.Epoch == has.Epoch, nil
}

// outboxAt is the first event of the outbox from a revision on, or nil.
func (f *durableFeed) outboxAt(revision uint64) (*codec.Event, error) {
	events, err := f.store.Outbox(revision-1, 1)
	if err != nil || len(events) == 0 {
		return nil, err
	}
	return &events[0], nil
}

func (f *durableFeed) announce(ctx context.Context, events []codec.Event) error {
	for i := range events {
		// Before an epoch begins everything is confirmed, too.
		ask := i+1 == len(events) || events[i+1].Kind == codec.StoreEvent
		if err := f.publish(ctx, &events[i], ask); err != nil {
			return err
		}
	}
	return nil
}

func (f *durableFeed) publish(ctx context.Context, e *codec.Event, ask bool) error {
	if e.Kind == codec.StoreEvent {
		if err := f.enter(ctx, e); err != nil {
			return err
		}
	}
	if e.Revision != f.last+1 {
		return fmt.Errorf("revision %d would follow %d in the stream", e.Revision, f.last)
	}
	if f.lane == nil {
		lane, err := newLane(f.conn, f.last)
		if err != nil {
			return err
		}
		f.lane = lane
	}
	f.last = e.Revision
	subject := subjects.Announced("", e)
	if err := f.lane.publish(ctx, f.ingest+subject, e.Payload, ask); err != nil {
		return err
	}
	if e.Revision <= f.shown {
		return nil // it goes into the stream a second time, but was shown
	}
	f.shown = e.Revision
	_, err := f.plain.publish(f.prefix.Wrap(subject), e.Payload)
	return err
}

// enter makes the stream ready for an epoch that an event begins.
func (f *durableFeed) enter(ctx context.Context, e *codec.Event) error {
	if err := f.confirm(ctx); err != nil {
		return err
	}
	f.endLane() // the stream may move forward
	var c codec.Change
	if err := codec.Decode(e.Payload, &c); err != nil {
		return fatal{err}
	}
	ctx, cancel := context.WithTimeout(ctx, confirmWithin)
	defer cancel()
	return f.begin(ctx, codec.Position{StoreRevision: e.Revision, Epoch: c.Epoch})
}

func (f *durableFeed) confirm(ctx context.Context) error {
	if f.lane == nil {
		return nil
	}
	if err := f.lane.confirm(ctx); err != nil {
		return err
	}
	if f.replaced() {
		return errReconnected // and the stream perhaps went back
	}
	f.mark(f.last)
	return nil
}

func (f *durableFeed) endLane() {
	if f.lane != nil {
		f.lane.end()
		f.lane = nil
	}
}

// mark notes what the stream has, at most once a second.
func (f *durableFeed) mark(revision uint64) {
	now := f.now()
	if n := len(f.marks); n == 0 || now.Sub(f.marks[n-1].at) >= syncEvery {
		f.marks = append(f.marks, syncMark{revision, now})
	}
}

// synced is what the stream had so long ago, on this connection, that its
// server has synced it since.
func (f *durableFeed) synced() (revision uint64, later bool) {
	f.mark(f.last)
	due := f.now().Add(-f.o.syncedAfter())
	n := 0
	for n < len(f.marks) && !f.marks[n].at.After(due) {
		n++
	}
	if n > 0 {
		f.marks = f.marks[n-1:]
		revision = f.marks[0].revision
	}
	return revision, f.last > revision
}
