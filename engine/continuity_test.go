package engine

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/settkv/sett/codec"
)

// openFeed is open for a store whose changes are announced in a mode from the
// beginning.
func openFeed(t testing.TB, kind, mode string, change ...func(*Options)) *harness {
	t.Helper()
	h := &harness{t: t, time: newTestClock(), feed: mode}
	h.options = Options{
		Kind: kind, NoSync: true, FeedEncoding: codec.JSON, Now: h.time.Now, Log: slog.New(slog.DiscardHandler), noExpirer: true,
	}
	if kind == Badger {
		h.options.Dir = t.TempDir()
	}
	for _, f := range change {
		f(&h.options)
	}
	h.open()
	t.Cleanup(func() {
		if !h.closed {
			h.check()
			h.close()
		}
	})
	return h
}

// durable runs a test on each engine with a durable feed.
func durable(t *testing.T, test func(t *testing.T, h *harness), change ...func(*Options)) {
	t.Helper()
	for _, kind := range []string{Badger, Memory} {
		t.Run(kind, func(t *testing.T) { test(t, openFeed(t, kind, codec.FeedDurable, change...)) })
	}
}

// begun is the reason of the epoch in which a store is, if its last change
// began it.
func (h *harness) begun() string {
	h.t.Helper()
	events := h.outboxAfter(h.Position().StoreRevision - 1)
	if len(events) != 1 || events[0].Kind != codec.StoreEvent {
		return ""
	}
	c := decodeChange(h.t, events[0])
	if c.Op != codec.OpChanged || c.Epoch != h.Position().Epoch || c.Reason != events[0].Name {
		h.t.Errorf("the epoch begins with %+v", c)
	}
	return c.Reason
}

// TestAKillBeginsAnEpochOfALiveFeed: only there nobody knows what was announced.
func TestAKillBeginsAnEpochOfALiveFeed(t *testing.T) {
	for mode, reason := range map[string]string{codec.FeedLive: codec.ReasonGap, codec.FeedDurable: ""} {
		t.Run(mode, func(t *testing.T) {
			h := openFeed(t, Badger, mode)
			h.set("a", "1")
			before := h.Position()
			h.reopen()
			if h.FeedMode() != mode || h.Position() != before {
				t.Errorf("after a restart: %s at %+v, was at %+v", h.FeedMode(), h.Position(), before)
			}
			h.crash()
			if got := h.begun(); got != reason {
				t.Errorf("after a kill the epoch begins for %q, not %q", got, reason)
			}
			if reason == "" && h.Position() != before {
				t.Errorf("after a kill the store is at %+v, not %+v", h.Position(), before)
			}
		})
	}
}

// TestAStreamNeverGetsWhatWasAnnouncedWithoutIt: live and then durable begins an
// epoch, and the outbox with it; the way back does not.
func TestAStreamNeverGetsWhatWasAnnouncedWithoutIt(t *testing.T) {
	h := openFeed(t, Badger, codec.FeedLive)
	for i := range 5 {
		h.set(fmt.Sprint("k", i), "1")
	}
	h.Announced(3)
	h.feed = codec.FeedDurable
	h.reopen()
	if got := h.begun(); got != codec.ReasonGap || h.Position().StoreRevision != 6 {
		t.Errorf("the durable feed begins for %q at %+v", got, h.Position())
	}
	wantDense(t, h.outboxAfter(0), 6, 6)
	h.set("a", "1")
	h.Announced(7)
	h.feed = codec.FeedLive
	h.reopen()
	if got := h.begun(); got != "" {
		t.Errorf("the live feed begins for %q", got)
	}
	h.feed = codec.FeedDurable
	h.reopen()
	if got := h.begun(); got != codec.ReasonGap {
		t.Errorf("durable again begins for %q", got)
	}
}

// TestAHeldStore takes no writes and ends nothing until it is released; reads
// go on, and so does what decides where it continues.
func TestAHeldStore(t *testing.T) {
	h := openFeed(t, Badger, codec.FeedDurable)
	h.do(&codec.Set{Key: "dying", Value: []byte("1"), TTLMs: 1000})
	h.set("a", "1")
	h.options.Hold = true
	h.close()
	h.open()
	h.refused(&codec.Set{Key: "b", Value: []byte("1")}, codec.Unavailable)
	h.refused(&codec.Delete{Key: "a"}, codec.Unavailable)
	if h.get("a") != "1" || len(h.Status().Reasons) != 1 {
		t.Errorf("%q, reasons %v", h.get("a"), h.Status().Reasons)
	}
	at, err := h.NewEpoch(codec.ReasonRewound, codec.Position{StoreRevision: 500, Epoch: 1 << 50})
	if err != nil || at.StoreRevision != 501 || at.Epoch != 1<<50+1 {
		t.Fatalf("the epoch begins at %+v: %v", at, err)
	}
	h.time.advance(2 * time.Second)
	h.Release()
	if revision := h.set("dying", "2"); revision != 503 {
		t.Errorf("the next revision is %d", revision)
	}
	if len(h.Status().Reasons) != 0 {
		t.Errorf("reasons %v", h.Status().Reasons)
	}
}

// TestAnEpochIsAboveAllThatWasUsed, by the store or by another, and stands
// through a kill.
func TestAnEpochIsAboveAllThatWasUsed(t *testing.T) {
	durable(t, func(t *testing.T, h *harness) {
		for i := range 10 {
			h.set(fmt.Sprint("k", i), "1")
		}
		before := h.Position()
		for _, above := range []codec.Position{
			{}, {StoreRevision: 5, Epoch: 5}, {StoreRevision: 11}, {StoreRevision: 100}, {Epoch: before.Epoch + 100}, {StoreRevision: 1000, Epoch: before.Epoch + 1000},
		} {
			at, err := h.NewEpoch(codec.ReasonGap, above)
			if err != nil || at != h.Position() || h.begun() != codec.ReasonGap {
				t.Fatalf("above %+v: %+v, the store is at %+v: %v", above, at, h.Position(), err)
			}
			if at.StoreRevision != max(before.StoreRevision, above.StoreRevision)+1 || at.Epoch <= before.Epoch || at.Epoch <= above.Epoch {
				t.Errorf("above %+v and %+v begins %+v", before, above, at)
			}
			before = at
		}
		if h.options.Kind == Badger {
			h.crash()
			if h.Position() != before {
				t.Errorf("after a kill the store is at %+v, not %+v", h.Position(), before)
			}
		}
	})
}

// TestAnnouncingGoesBack with a durable feed: the stream has lost its tail, and
// gets it again.
func TestAnnouncingGoesBack(t *testing.T) {
	durable(t, func(t *testing.T, h *harness) {
		for i := range 10 {
			h.set(fmt.Sprint("k", i), "1")
		}
		h.Announced(10)
		h.Synced(10)
		if s := h.Status().Feed; s.OutboxRevisions != 0 || s.OutboxBytes != 0 {
			t.Errorf("%+v", s)
		}
		h.Announced(4)
		if s := h.Status().Feed; s.AckedRevision != 4 || s.OutboxRevisions != 6 || s.OutboxBytes == 0 {
			t.Errorf("%+v", s)
		}
		if h.outbox.synced.revision != 4 {
			t.Errorf("%d is synced beyond what is announced", h.outbox.synced.revision)
		}
		h.set("k", "1")
		wantDense(t, h.outboxAfter(4), 5, 11)
		h.Announced(0) // all of it
		wantDense(t, h.outboxAfter(0), 1, 11)
	})
}

// TestWhatTheOutboxKeeps of a durable feed: what waits, without a bound; what
// is not synced, within OutboxKeep; and the last one.
func TestWhatTheOutboxKeeps(t *testing.T) {
	durable(t, func(t *testing.T, h *harness) {
		for i := range 50 {
			h.set(fmt.Sprint("k", i), "1")
		}
		wantDense(t, h.outboxAfter(0), 1, 50)
		h.Announced(40)
		h.set("a", "1")
		events := h.outboxAfter(0)
		first := events[0].Revision
		wantDense(t, events, first, 51)
		if first < 30 || first > 41 {
			t.Errorf("with room for a few it begins at revision %d", first)
		}
		h.Announced(51)
		h.set("a", "2")
		h.Announced(52)
		h.do(&codec.Touch{Key: "a", TTLMs: millis(1000)})
		h.Synced(52)
		h.do(&codec.Touch{Key: "a", TTLMs: millis(1000)})
		if n := len(h.outboxAfter(51)); n != 1 {
			t.Errorf("the last change is not there to be compared: %d events", n)
		}
	}, func(o *Options) { o.OutboxKeep = 1000 })
}

// TestAFullOutbox refuses what would add to it, and nothing else.
func TestAFullOutbox(t *testing.T) {
	durable(t, func(t *testing.T, h *harness) {
		h.do(&codec.Register{Name: "web", ID: "1", TTLMs: 10_000})
		h.do(&codec.Set{Key: "dying", Value: []byte("1"), TTLMs: 1000})
		for h.Status().Feed.OutboxBytes < 5000 {
			h.set("k", "1")
		}
		at := h.Position()
		h.refused(&codec.Set{Key: "k", Value: []byte("2")}, codec.Unavailable)
		h.refused(&codec.Batch{Ops: []codec.Command{&codec.Delete{Key: "k"}}}, codec.Unavailable)
		h.refused(&codec.Heartbeat{Name: "web", ID: "1", Status: codec.Critical}, codec.Unavailable)
		if h.get("k") != "1" || h.Position() != at {
			t.Errorf("what was refused is done: %q at %+v", h.get("k"), h.Position())
		}
		h.do(&codec.Heartbeat{Name: "web", ID: "1"})
		h.do(&codec.Touch{Key: "k", TTLMs: millis(5000)})
		h.do(&codec.Delete{Key: "none"})
		h.time.advance(2 * time.Second)
		// The end that it finds stands, though it is refused itself.
		h.refused(&codec.Set{Key: "dying", Value: []byte("2")}, codec.Unavailable)
		if now := h.Position().StoreRevision; now != at.StoreRevision+1 {
			t.Errorf("the store is at %d, not %d", now, at.StoreRevision+1)
		}
		if _, err := h.NewEpoch(codec.ReasonGap, codec.Position{}); err != nil {
			t.Error(err)
		}
		h.Announced(h.Position().StoreRevision)
		h.set("k", "3")
	}, func(o *Options) { o.OutboxMax = 5000 })
}

// TestTheOutboxAtRandom: whatever is announced, taken back and synced, and
// however often the store is opened again, the outbox is dense up to the last
// change and has all that is not synced.
func TestTheOutboxAtRandom(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	h := openFeed(t, Badger, codec.FeedDurable)
	announced, synced := uint64(0), uint64(0)
	for step := range 200 {
		revision := h.Position().StoreRevision
		switch n := random.IntN(20); {
		case n < 12:
			h.set(fmt.Sprint("k", random.IntN(5)), "1")
		case n < 15:
			announced = min(revision, announced+random.Uint64N(8))
			h.Announced(announced)
		case n == 15:
			announced = synced + random.Uint64N(announced-synced+1)
			h.Announced(announced)
		case n < 19:
			synced += random.Uint64N(announced - synced + 1)
			h.Synced(synced)
		case step%3 == 0:
			h.crash()
		default:
			h.reopen()
		}
		events := h.outboxAfter(0)
		revision = h.Position().StoreRevision
		if revision == 0 {
			continue
		}
		if len(events) == 0 || events[0].Revision > synced+1 {
			t.Fatalf("step %d: of %d revisions, %d of them synced, the outbox has %d", step, revision, synced, len(events))
		}
		wantDense(t, events, events[0].Revision, revision)
	}
}
