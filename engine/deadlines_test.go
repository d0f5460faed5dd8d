package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/settkv/sett/codec"
)

// sweepAll does all that is due at the present time.
func (h *harness) sweepAll() {
	h.t.Helper()
	for range 1000 {
		if h.sweep() > 0 {
			return
		}
	}
	h.t.Fatal("the expirer does not come to an end")
}

// expired returns what was announced as expired since the last call.
func (h *harness) expired() []string {
	h.t.Helper()
	var names []string
	for _, c := range h.changes() {
		if c.Op == codec.OpExpire {
			if c.CommitRevision != c.Revision {
				h.t.Errorf("the expiry of %s%s is part of commit %d, its revision is %d", c.Key, c.ID, c.CommitRevision, c.Revision)
			}
			names = append(names, c.Key+c.ID)
		}
	}
	return names
}

func wantExpired(h *harness, want ...string) {
	h.t.Helper()
	if got := h.expired(); fmt.Sprint(got) != fmt.Sprint(want) {
		h.t.Fatalf("expired %v, want %v", got, want)
	}
}

func TestADeadlineIsAnnouncedOnceAndNeverEarly(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		h.do(&codec.Set{Key: "a", Value: []byte("1"), TTLMs: 300})
		h.do(&codec.Set{Key: "b", Value: []byte("1"), TTLMs: 200})
		h.do(&codec.Set{Key: "c", Value: []byte("1")})
		h.time.advance(199 * time.Millisecond)
		h.sweepAll()
		wantExpired(h)
		h.time.advance(time.Millisecond)
		h.sweepAll()
		wantExpired(h, "b")
		h.time.advance(time.Hour)
		h.sweepAll()
		wantExpired(h, "a")
		h.sweepAll()
		wantExpired(h)
	})
}

func TestAMovedDeadlineCounts(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		later, sooner, none := int64(1000), int64(50), int64(0)
		for _, key := range []string{"later", "sooner", "none", "deleted", "again"} {
			h.do(&codec.Set{Key: key, Value: []byte("1"), TTLMs: 100})
		}
		h.do(&codec.Touch{Key: "later", TTLMs: &later})
		h.do(&codec.Touch{Key: "sooner", TTLMs: &sooner})
		h.do(&codec.Touch{Key: "none", TTLMs: &none})
		h.do(&codec.Delete{Key: "deleted"})
		h.do(&codec.Delete{Key: "again"})
		h.do(&codec.Set{Key: "again", Value: []byte("2"), TTLMs: 2000})
		h.time.advance(50 * time.Millisecond)
		h.sweepAll()
		wantExpired(h, "sooner")
		h.time.advance(949 * time.Millisecond)
		h.sweepAll()
		wantExpired(h)
		h.time.advance(time.Millisecond)
		h.sweepAll()
		wantExpired(h, "later")
		h.time.advance(1000 * time.Millisecond)
		h.sweepAll()
		wantExpired(h, "again")
		if got := h.get("none"); got != "1" {
			t.Errorf("a key without a deadline is %q", got)
		}
	})
}

func TestManyDeadlinesAtOnceAllEnd(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		const keys = 3 * expireAtOnce
		for i := range keys {
			h.do(&codec.Set{Key: fmt.Sprintf("k%05d", i), Value: []byte("1"), TTLMs: 100})
		}
		h.changes()
		h.time.advance(100 * time.Millisecond)
		h.sweepAll()
		seen := map[string]bool{}
		for _, key := range h.expired() {
			if seen[key] {
				t.Errorf("%s expired twice", key)
			}
			seen[key] = true
		}
		if len(seen) != keys {
			t.Errorf("%d keys expired, want %d", len(seen), keys)
		}
	})
}

func TestHeartbeatsCostNoCommitAndKeepAnInstance(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		h.do(&codec.Register{Name: "web", ID: "1", TTLMs: 10_000})
		before := h.state.Load().commit
		for range 20 {
			h.time.advance(6 * time.Second)
			h.do(&codec.Heartbeat{Name: "web", ID: "1"})
		}
		if after := h.state.Load().commit; after != before {
			t.Errorf("heartbeats made %d commits", after-before)
		}
		h.sweepAll()
		if after := h.state.Load().commit; after != before+1 {
			t.Errorf("the renewals took %d commits, want 1", after-before)
		}
		wantExpired(h)
		h.time.advance(9999 * time.Millisecond)
		h.sweepAll()
		wantExpired(h)
		h.time.advance(time.Millisecond)
		h.sweepAll()
		wantExpired(h, "1")
		h.refused(&codec.Heartbeat{Name: "web", ID: "1"}, codec.NotFound)
	})
}

func TestARenewalInTheSameInstantWins(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		h.do(&codec.Register{Name: "web", ID: "1", TTLMs: 100})
		h.time.advance(100 * time.Millisecond)
		dead, _ := h.deadlines.take(h.visible, h.clock.ms())
		if len(dead) != 1 {
			t.Fatalf("%d instances are due, want 1", len(dead))
		}
		// The owner registers again before the writer comes to the proposal.
		h.do(&codec.Register{Name: "web", ID: "1", TTLMs: 100})
		h.changes()
		h.propose(&expireDue{dead: dead})
		h.putBack(dead)
		wantExpired(h)
		h.time.advance(100 * time.Millisecond)
		h.sweepAll()
		wantExpired(h, "1")
	})
}

func TestDeadlinesSurviveAReopening(t *testing.T) {
	h := open(t, Badger)
	h.do(&codec.Set{Key: "k", Value: []byte("1"), TTLMs: 10_000})
	h.do(&codec.Register{Name: "web", ID: "1", TTLMs: 10_000})
	h.time.advance(9 * time.Second)
	h.reopen()
	h.changes()
	h.time.advance(time.Second)
	h.sweepAll()
	wantExpired(h, "k") // a key keeps its deadline
	h.time.advance(9 * time.Second)
	h.sweepAll()
	wantExpired(h, "1") // a service gets one whole TTL
}

// withExpirer is for tests in which reads may end what they find dead, and
// nothing else does: the expirer's clock stands still.
func withExpirer(o *Options) {
	o.noExpirer = false
	o.After = func(time.Duration) <-chan time.Time { return nil }
}

func TestWhatWasToldDeadStaysDeadThroughACrash(t *testing.T) {
	h := open(t, Badger, withExpirer)
	h.do(&codec.Set{Key: "k", Value: []byte("1"), TTLMs: 100})
	h.do(&codec.Register{Name: "web", ID: "1", TTLMs: 100})
	h.time.advance(100 * time.Millisecond)
	if _, err := h.Get("k"); err == nil {
		t.Fatal("the key outlives its deadline")
	}
	h.time.advance(-50 * time.Millisecond) // the wall clock of the next start
	h.crash()
	if value, err := h.Get("k"); err == nil {
		t.Errorf("the key is back: %q", value)
	}
	names, err := h.ListServices()
	if err != nil || len(names) != 0 {
		t.Errorf("the instance is back: %v, %v", names, err)
	}
}

func TestTheQueueOfDeadlinesKeepsNothingThatIsGone(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		none := int64(0)
		for range 100 {
			h.do(&codec.Set{Key: "deleted", Value: []byte("1"), TTLMs: 3_600_000})
			h.do(&codec.Delete{Key: "deleted"})
			h.do(&codec.Set{Key: "overwritten", Value: []byte("1"), TTLMs: 3_600_000})
			h.do(&codec.Set{Key: "overwritten", Value: []byte("1")})
			h.do(&codec.Set{Key: "touched", Value: []byte("1"), TTLMs: 3_600_000})
			h.do(&codec.Touch{Key: "touched", TTLMs: &none})
			h.do(&codec.Register{Name: "web", ID: "1", TTLMs: 3_600_000})
			h.do(&codec.Register{Name: "web", ID: "1"})
		}
		h.do(&codec.Set{Key: "live", Value: []byte("1"), TTLMs: 3_600_000})
		h.do(&codec.Set{Key: "live", Value: []byte("2"), TTLMs: 3_600_000})
		if n := len(h.deadlines.heap); n != 1 {
			t.Errorf("the queue has %d entries, want 1", n)
		}
	})
}
