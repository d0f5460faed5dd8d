package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/settkv/sett/codec"
)

// expiresAt is the deadline that reads show of an instance; 0: there is none.
func (h *harness) expiresAt(name, id string) int64 {
	h.t.Helper()
	r := &codec.GetService{Name: name, ID: id, Statuses: []string{codec.Passing, codec.Warning, codec.Critical}, Limit: 1}
	reply, err := h.ReadService(r, codec.Fit{})
	if err != nil {
		h.t.Fatal(err)
	}
	if len(reply.Instances) == 0 {
		return 0
	}
	return reply.Instances[0].ExpiresAtMs
}

func TestARefusedBatchRenewsNothing(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		h.set("text", "not a number")
		h.do(&codec.Register{Name: "web", ID: "1", TTLMs: 100})
		h.time.advance(50 * time.Millisecond)
		h.refused(&codec.Batch{Ops: []codec.Command{
			&codec.Register{Name: "web", ID: "1", TTLMs: 100}, // exactly as it is registered
			&codec.Increment{Key: "text", By: 1},
		}}, codec.Invalid)
		if at := h.expiresAt("web", "1"); at != startMs+100 {
			t.Errorf("the deadline is %d ms after the registration, want 100", at-startMs)
		}
		h.time.advance(50 * time.Millisecond)
		h.sweepAll()
		wantExpired(h, "1")
	})
}

// TestARecordThatDiesWhileItIsWrittenStillEnds: a disk may take longer than a
// TTL, and the expirer looks at any moment of it.
func TestARecordThatDiesWhileItIsWrittenStillEnds(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		slow := h.slowCommits()
		written := make(chan error, 1)
		err := h.Submit(&Request{
			Command: &codec.Set{Key: "a", Value: []byte("1"), TTLMs: 10},
			Done:    func(_ codec.Reply, err error) { written <- err },
		})
		if err != nil {
			t.Fatal(err)
		}
		<-slow.committing
		h.time.advance(20 * time.Millisecond)
		if wait := h.sweep(); wait <= 0 {
			t.Errorf("the expirer found something: it comes again in %d ms", wait)
		}
		slow.proceed <- struct{}{}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		select {
		case <-h.deadlines.sooner:
		default:
			t.Error("nobody told the expirer of the deadline")
		}
		go func() { // the one commit of the expiry
			<-slow.committing
			slow.proceed <- struct{}{}
		}()
		h.sweepAll()
		wantExpired(h, "a")
	})
}

// TestTheExpirerKnowsWhatIsScheduled: what it looks at is never older than what
// the queue holds. Otherwise a record that dies as it becomes visible would be
// taken for gone, and never be announced.
func TestTheExpirerKnowsWhatIsScheduled(t *testing.T) {
	h := open(t, Memory)
	h.deadlines.take(func() *snapshot {
		if h.deadlines.mu.TryLock() {
			h.deadlines.mu.Unlock()
			t.Error("it looks at the index before the queue is locked")
		}
		return h.visible()
	}, h.clock.ms())
}

// TestEndsDoNotWaitForAllRenewals: while renewals of many instances are written,
// what is past its deadline ends in between.
func TestEndsDoNotWaitForAllRenewals(t *testing.T) {
	h := open(t, Memory)
	const instances = 3 * expireAtOnce
	for i := range instances {
		h.do(&codec.Register{Name: "web", ID: fmt.Sprint(i), TTLMs: 10_000})
	}
	h.sweepAll()
	h.time.advance(time.Millisecond)
	for i := range instances {
		h.do(&codec.Heartbeat{Name: "web", ID: fmt.Sprint(i)})
	}
	h.do(&codec.Set{Key: "a", Value: []byte("1"), TTLMs: renewEveryMs})
	h.time.advance(renewEveryMs * time.Millisecond)
	commit := h.state.Load().commit
	if wait := h.sweep(); wait > 0 {
		t.Errorf("with two thirds of the renewals left the expirer comes again in %d ms", wait)
	}
	if n := h.state.Load().commit - commit; n != 2 {
		t.Errorf("it made %d commits before it came to the end, want one of renewals and that of the end", n)
	}
	wantExpired(h, "a")
	h.sweepAll()
	st := h.state.Load()
	view := st.backend.View(st.commit)
	defer view.Close()
	for i := range instances {
		key := []byte(instancePath("web", fmt.Sprint(i)))
		stored, _, err := view.Get(key, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := codec.ParseRecord(key, stored)
		if err != nil || r.ExpiresAtMs != startMs+1+10_000 {
			t.Fatalf("instance %d is stored as %+v: %v", i, r, err)
		}
	}
}
