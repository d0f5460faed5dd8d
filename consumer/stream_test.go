package consumer

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestStreamMetadata: what is written is read, what others wrote stays, and
// what is not ours is nobody's.
func TestStreamMetadata(t *testing.T) {
	m := streamMeta{store: "id", epoch: 1<<63 + 1, began: 7}
	other := map[string]string{"_nats.ver": "x", metaEpoch: "1"}
	all := m.into(other)
	if got := parseMeta(all); got != m || all["_nats.ver"] != "x" || len(all) != 4 || other[metaEpoch] != "1" {
		t.Errorf("%+v, %v, %v", got, all, other)
	}
	if got := parseMeta(map[string]string{metaEpoch: "-1", metaBegan: "x"}); got != (streamMeta{}) {
		t.Errorf("%+v", got)
	}
}

// TestMissing counts the sequences without a message, and those of them that
// the present epoch should have.
func TestMissing(t *testing.T) {
	for _, c := range []struct {
		state          jetstream.StreamState
		began          uint64
		missing, since uint64
	}{
		{jetstream.StreamState{}, 1, 0, 0},
		{jetstream.StreamState{FirstSeq: 11, LastSeq: 10}, 1, 0, 0},
		{jetstream.StreamState{FirstSeq: 1, LastSeq: 10, Msgs: 10}, 1, 0, 0},
		{jetstream.StreamState{FirstSeq: 1, LastSeq: 10, Msgs: 7, Deleted: []uint64{3, 4, 8}}, 1, 3, 3},
		{jetstream.StreamState{FirstSeq: 1, LastSeq: 10, Msgs: 7, Deleted: []uint64{3, 4, 8}}, 5, 3, 1},
		{jetstream.StreamState{FirstSeq: 1, LastSeq: 10, Msgs: 7, Deleted: []uint64{3, 4, 8}}, 9, 3, 0},
		{jetstream.StreamState{FirstSeq: 1, LastSeq: 10, Msgs: 7}, 9, 3, 3}, // it does not say which
	} {
		if n, since := missing(&c.state), missingSince(&c.state, c.began); n != c.missing || since != c.since {
			t.Errorf("%+v: %d missing, %d since %d", c.state, n, since, c.began)
		}
	}
}

// TestStreamSurvivesAChangeOfLimits: limits change, and everything else stays.
func TestStreamSurvivesAChangeOfLimits(t *testing.T) {
	conn, js := jetStream(t)
	ctx, cancel := context.WithTimeout(t.Context(), laneWait)
	defer cancel()
	f := &durableFeed{conn: conn, js: js, id: "mine", ingest: ingest(""), log: slog.New(slog.DiscardHandler), now: time.Now}
	made, err := f.create(ctx, 11, streamMeta{"mine", 5, 11})
	if err != nil || made.State.LastSeq != 10 {
		t.Fatalf("%+v: %v", made, err)
	}
	if _, changed := f.o.update(made.Config, f.prefix, f.ingest); changed {
		t.Error("the stream that was just made is to be changed")
	}
	for _, o := range []StreamOptions{{MaxBytes: 1 << 20}, {MaxBytes: -1, MaxAge: time.Hour}, {}} {
		f.o = o
		info, err := f.info(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if adopted, err := f.claim(ctx, info); adopted || err != nil {
			t.Fatal(adopted, err)
		}
		again, err := f.info(ctx)
		if err != nil || again.Config.MaxBytes != o.maxBytes() || again.Config.MaxAge != o.MaxAge {
			t.Fatalf("%+v: %+v: %v", o, again.Config, err)
		}
		if got := parseMeta(again.Config.Metadata); got != (streamMeta{"mine", 5, 11}) {
			t.Errorf("the metadata are %+v", got)
		}
		again.Config.MaxBytes, again.Config.MaxAge = made.Config.MaxBytes, made.Config.MaxAge
		again.Config.Metadata = made.Config.Metadata
		if !reflect.DeepEqual(again.Config, made.Config) {
			t.Errorf("%+v became %+v", made.Config, again.Config)
		}
	}
}

// TestStreamTakesInFromOneProcess: one that takes over, or opens a copy of the
// data, shuts the other out, which learns it. The stream has nothing of the
// other's behind its own.
func TestStreamTakesInFromOneProcess(t *testing.T) {
	conn, js := jetStream(t)
	ctx, cancel := context.WithTimeout(t.Context(), laneWait)
	defer cancel()
	process := func() *durableFeed {
		return &durableFeed{conn: conn, js: js, id: "mine", ingest: ingest(""), log: slog.New(slog.DiscardHandler), now: time.Now}
	}
	send := func(f *durableFeed, l *lane, data string, ask bool) {
		t.Helper()
		if err := l.publish(ctx, f.ingest+"kv.changed.k", []byte(data), ask); err != nil {
			t.Fatal(err)
		}
	}
	one, other := process(), process()
	info, err := one.create(ctx, 1, streamMeta{"mine", 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	first, err := newLane(conn, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer first.end()
	send(one, first, "one", true)
	if err := first.confirm(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := other.claim(ctx, info); err != nil || info.State.LastSeq != 1 {
		t.Fatalf("the stream is at %d: %v", info.State.LastSeq, err)
	}
	second, err := newLane(conn, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer second.end()
	send(one, first, "one", false) // would be the next one
	send(other, second, "other", true)
	send(one, first, "one", true) // this too
	if err := second.confirm(ctx); err != nil {
		t.Error(err)
	}
	if err := first.confirm(ctx); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("who was shut out learns %v", err)
	}
	if m, err := other.message(ctx, 2); err != nil || string(m) != "other" {
		t.Errorf("message 2 is %q: %v", m, err)
	}
	if again, err := other.info(ctx); err != nil || again.State.LastSeq != 2 {
		t.Errorf("%+v: %v", again, err)
	}
}

// TestStreamTakesNothingElse: a stream of that name which takes in other
// subjects is refused for good, whoever it says it belongs to.
func TestStreamTakesNothingElse(t *testing.T) {
	conn, js := jetStream(t)
	ctx, cancel := context.WithTimeout(t.Context(), laneWait)
	defer cancel()
	f := &durableFeed{conn: conn, js: js, id: "mine", ingest: ingest(""), log: slog.New(slog.DiscardHandler), now: time.Now, o: StreamOptions{Adopt: true}}
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: f.prefix.Stream(), Subjects: []string{"other.>"}, Metadata: streamMeta{"mine", 1, 1}.into(nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.open(ctx, 0)
	if stop, ok := err.(fatal); !ok {
		t.Errorf("%v is no reason to stop", stop)
	}
}

// TestSyncedTakesItsTime: what the stream has counts as synced three intervals
// later, on the same connection.
func TestSyncedTakesItsTime(t *testing.T) {
	now := time.UnixMilli(0)
	f := &durableFeed{now: func() time.Time { return now }, o: StreamOptions{SyncInterval: 5 * time.Second}}
	for _, step := range []struct {
		after    time.Duration
		last     uint64
		revision uint64
		later    bool
	}{
		{0, 10, 0, true}, {14 * time.Second, 20, 0, true}, {time.Second, 20, 10, true},
		{13 * time.Second, 20, 10, true}, {time.Second, 30, 20, true}, {time.Hour, 30, 30, false},
	} {
		now = now.Add(step.after)
		f.last = step.last
		if revision, later := f.synced(); revision != step.revision || later != step.later {
			t.Errorf("at %v, %d: %d %v, not %d %v", now.Sub(time.UnixMilli(0)), step.last, revision, later, step.revision, step.later)
		}
	}
	f.marks = nil // as a new connection does
	if revision, later := f.synced(); revision != 0 || !later {
		t.Errorf("on a new connection %d %v", revision, later)
	}
}
