package integration

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// event is a change as a plain subscriber reads it, in JSON.
type event struct {
	Revision         int64
	Epoch            int64
	Op               string
	Reason           string
	Key, Name, ID    string
	PreviousRevision int64 `json:"previous_revision"`
	CommitRevision   int64 `json:"commit_revision"`
	TimeMs           int64 `json:"time_ms"`
	Value            string

	subject string
	raw     []byte
}

// watcher is a plain subscriber of the whole feed.
type watcher struct {
	t      testing.TB
	ch     chan *nats.Msg
	subs   []*nats.Subscription
	events []event // those that were read
}

// watch subscribes to the feed, in order over all of its subjects, and returns
// when the broker has the subscriptions.
func watch(t testing.TB, nc *nats.Conn) *watcher {
	t.Helper()
	w := &watcher{t: t, ch: make(chan *nats.Msg, 1<<20)}
	for _, subject := range []string{"kv.changed.>", "svc.changed.>", "store.changed.>"} {
		sub, err := nc.ChanSubscribe(subject, w.ch)
		if err != nil {
			t.Fatal(err)
		}
		w.subs = append(w.subs, sub)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return w
}

// drain reads what has arrived.
func (w *watcher) drain() {
	w.t.Helper()
	for {
		select {
		case m := <-w.ch:
			e := event{subject: m.Subject, raw: m.Data}
			if err := json.Unmarshal(m.Data, &e); err != nil {
				w.t.Fatalf("%s: %v in %s", m.Subject, err, clip(m.Data))
			}
			w.events = append(w.events, e)
		default:
			return
		}
	}
}

// last is the last event that was read.
func (w *watcher) last() event {
	if len(w.events) == 0 {
		return event{}
	}
	return w.events[len(w.events)-1]
}

// upTo waits until the event of a revision has arrived.
func (w *watcher) upTo(revision int64) {
	w.t.Helper()
	eventually(w.t, patience, func() error {
		if w.drain(); w.last().Revision < revision {
			return fmt.Errorf("the feed is at revision %d, not %d", w.last().Revision, revision)
		}
		return nil
	})
}

// checkOrder checks that no revision is missing from the first one on, that
// every new epoch is announced, and that nothing comes twice but where the feed
// takes up again behind a failure: it may go back so often, and what it
// repeats is the same. It returns the events once, by revision.
func (w *watcher) checkOrder(backs int) []event {
	w.t.Helper()
	var (
		at    = make(map[int64]event)
		wrong []error
	)
	for i, e := range w.events {
		first, repeated := at[e.Revision]
		if repeated && (string(first.raw) != string(e.raw) || first.subject != e.subject) {
			wrong = append(wrong, fmt.Errorf("revision %d comes twice and differs: %s and %s", e.Revision, first.raw, e.raw))
		}
		at[e.Revision] = e
		switch {
		case i == 0:
		case e.Revision <= w.events[i-1].Revision && backs > 0:
			backs--
		default:
			wrong = append(wrong, e.follows(w.events[i-1])...)
		}
	}
	if len(wrong) > 0 {
		w.t.Errorf("%d mistakes in the feed: %v", len(wrong), joined(wrong))
	}
	once := slices.Collect(maps.Values(at))
	slices.SortFunc(once, func(a, b event) int { return cmp.Compare(a.Revision, b.Revision) })
	return once
}

// follows checks an event against the one before it.
func (e event) follows(before event) (wrong []error) {
	begins := e.Op == "changed" && strings.HasPrefix(e.subject, "store.changed.") && e.Reason != ""
	switch {
	case e.Epoch < before.Epoch || e.Revision <= before.Revision:
		wrong = append(wrong, fmt.Errorf("epoch %d revision %d follows epoch %d revision %d", e.Epoch, e.Revision, before.Epoch, before.Revision))
	case e.Epoch == before.Epoch && e.Revision != before.Revision+1:
		wrong = append(wrong, fmt.Errorf("revision %d follows %d", e.Revision, before.Revision))
	case (e.Epoch > before.Epoch) != begins:
		wrong = append(wrong, fmt.Errorf("epoch %d follows %d with %s on %s", e.Epoch, before.Epoch, e.raw, e.subject))
	}
	if e.CommitRevision < e.Revision {
		wrong = append(wrong, fmt.Errorf("revision %d has commit_revision %d", e.Revision, e.CommitRevision))
	}
	return wrong
}

// fold applies events to what a follower holds, and checks that each says
// truly which revision was there before. Only a feed from the beginning can
// be checked so.
func fold(t testing.TB, events []event) map[string]entry {
	t.Helper()
	state := make(map[string]entry)
	for _, e := range events {
		if e.Key == "" {
			continue
		}
		if before := state[e.Key].Revision; before != e.PreviousRevision {
			t.Errorf("revision %d of %s: previous_revision is %d, it was %d", e.Revision, e.Key, e.PreviousRevision, before)
		}
		switch e.Op {
		case "set":
			state[e.Key] = entry{e.Value, e.Revision}
		case "delete", "expire":
			delete(state, e.Key)
		default:
			t.Errorf("revision %d of %s is a %q", e.Revision, e.Key, e.Op)
		}
	}
	return state
}

// sameState compares what a follower holds with what the store has.
func sameState(t testing.TB, held, stored map[string]entry) {
	t.Helper()
	var wrong []error
	for key, e := range stored {
		if held[key] != e {
			wrong = append(wrong, fmt.Errorf("%s is %+v, the follower has %+v", key, e, held[key]))
		}
	}
	for key := range held {
		if _, ok := stored[key]; !ok {
			wrong = append(wrong, fmt.Errorf("%s is gone, the follower still has it", key))
		}
	}
	if len(wrong) > 0 {
		t.Errorf("%d keys of %d differ: %v", len(wrong), len(stored), joined(wrong))
	}
}
