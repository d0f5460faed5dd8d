package subjects_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// trim takes everything below a revision out of the feed, as its limits do,
// once it has that revision.
func trim(t testing.TB, nc *nats.Conn, revision uint64) {
	t.Helper()
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; {
		info, err := js.StreamInfo("SETT_CHANGES")
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%+v, %v", info, err)
		}
		if info.State.LastSeq >= revision {
			break
		}
	}
	if err := js.PurgeStream("SETT_CHANGES", &nats.StreamPurgeRequest{Sequence: revision}); err != nil {
		t.Fatal(err)
	}
}

// TestTrimmedWhileFollowing: changes go while a follower is busy with others.
// Following everything shows a hole, following a prefix the pull that is late.
func TestTrimmedWhileFollowing(t *testing.T) {
	for _, prefix := range []string{"", "a/"} {
		if prefix != "" {
			defer subjects.ShortWaits()()
		}
		s, all := durable(t, subjects.Options{})
		put(t, all, "a/1")
		c := newClient(t, connect(t, s), subjects.Options{FollowBuffer: 1}) // it pulls one at a time
		for _, noReload := range []bool{true, false} {
			o := subjects.FollowOptions{NoReload: noReload}
			m := follow(t, c.FollowFrom(within(t), prefix, o))
			m.until("loaded")
			put(t, all, "a/1")
			m.expect("put a/1")
			trim(t, connect(t, s), put(t, all, "a/2", "a/3", "a/4", "a/1"))
			if noReload {
				m.end(codec.ErrCompacted)
				continue
			}
			for name := range m.keys {
				delete(m.keys, name) // all of it is told again
			}
			m.expect("loaded", "reset compacted", "put a/1", "put a/2", "put a/3", "put a/4")
			put(t, all, "a/5")
			m.expect("put a/5")
			m.stop()
		}
	}
}

// TestStolenMessages: what another one pulls from a follower's consumer, it
// reads again.
func TestStolenMessages(t *testing.T) {
	s, c := durable(t, subjects.Options{})
	put(t, c, "a")
	slow := newClient(t, connect(t, s), subjects.Options{FollowBuffer: 2}) // its pulls end, and the next one's turn comes
	m := follow(t, slow.FollowFrom(within(t), "", subjects.FollowOptions{Consumer: "one"}))
	defer m.stop()
	m.expect("loaded", "put a")
	put(t, c, "b")
	m.expect("put b")
	thief := connect(t, s)
	loot, err := thief.SubscribeSync("loot")
	if err != nil {
		t.Fatal(err)
	}
	pull, err := json.Marshal(map[string]any{"batch": 3, "expires": time.Minute})
	if err == nil {
		err = thief.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.SETT_CHANGES.one", "loot", pull)
	}
	if err := errors.Join(err, thief.Flush()); err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range 9 {
		put(t, c, fmt.Sprint("c", i))
		want = append(want, fmt.Sprint("put c", i))
	}
	m.expect(want[8], want[:8]...)
	if n, _, err := loot.Pending(); err != nil || n == 0 {
		t.Errorf("nothing was stolen: %v", err)
	}
}

// TestLoadWithWriters: what a later page shows newer than the first one is not
// told again by its change.
func TestLoadWithWriters(t *testing.T) {
	_, c := durable(t, subjects.Options{})
	const n = 1500
	batch := &codec.Batch{}
	for i := range n {
		if batch.Ops = append(batch.Ops, &codec.Set{Key: fmt.Sprintf("k/%04d", i), Value: []byte("1")}); len(batch.Ops) == 500 {
			if _, err := c.Apply(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			batch = &codec.Batch{}
		}
	}
	m := follow(t, c.FollowFrom(within(t), "k/", subjects.FollowOptions{}))
	defer m.stop()
	m.step() // the first page is read
	put(t, c, "k/1400", "k/0001", "k/1450", "k/1600")
	if told := m.until("loaded"); len(told) != n+2 { // k/1600 and loaded
		t.Errorf("%d told: %q", len(told), told[len(told)-5:])
	}
	put(t, c, "k/1400")
	m.expect("put k/1400", "put k/0001")
	if len(m.keys) != n+1 {
		t.Errorf("%d keys", len(m.keys))
	}
}

// TestConsumeAgain: a change that is told again, because it took too long to
// deal with, is not handled twice.
func TestConsumeAgain(t *testing.T) {
	defer subjects.ShortWaits()()
	_, c := durable(t, subjects.Options{})
	put(t, c, "a", "b", "c")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	told := ""
	err := c.Consume(ctx, subjects.ChangesOptions{Consumer: "slow", From: &codec.Position{}}, func(ch *codec.Change) error {
		told += ch.Key
		select {
		case <-time.After(120 * time.Millisecond):
		case <-ctx.Done():
		}
		if ch.Key == "c" {
			return subjects.ErrEnough
		}
		return nil
	})
	if err != nil || told != "abc" {
		t.Errorf("told %q, %v", told, err)
	}
}

// TestStreamReplaced: the stream is deleted and begins again below where a
// follower is. What it would wait for may never come.
func TestStreamReplaced(t *testing.T) {
	dir := t.TempDir()
	s := broker(t, func(o *server.Options) { o.JetStream, o.StoreDir = true, dir })
	nc := connect(t, s)
	c := newClient(t, nc, subjects.Options{})
	stop, err := serve(s, "")
	if err != nil {
		t.Fatal(err)
	}
	put(t, c, "a", "a", "a", "a")
	from := &codec.Position{}
	next := func(o subjects.ChangesOptions) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for _, err := range c.Changes(ctx, o) {
			return err
		}
		return nil
	}
	if err := next(subjects.ChangesOptions{From: from}); err != nil {
		t.Error(err)
	}
	stop()
	js, err := nc.JetStream()
	if err == nil {
		err = js.DeleteStream("SETT_CHANGES")
	}
	if err != nil {
		t.Fatal(err)
	}
	if stop, err = serve(s, ""); err != nil {
		t.Fatal(err)
	}
	defer stop()
	put(t, c, "b")
	from.StoreRevision, from.Epoch = 4, 1
	if err := next(subjects.ChangesOptions{From: from}); !errors.Is(err, codec.ErrCompacted) {
		t.Errorf("in another epoch: %v", err)
	}
	if err := next(subjects.ChangesOptions{From: &codec.Position{StoreRevision: 4}}); !errors.Is(err, codec.ErrInvalid) {
		t.Errorf("above the store: %v", err)
	}
}
