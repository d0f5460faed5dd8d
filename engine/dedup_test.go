package engine

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/settkv/sett/codec"
)

func (h *harness) increment(id string) (*codec.IncrementReply, error) {
	h.t.Helper()
	reply, err := h.submit(id, "kv.increment", &codec.Increment{Key: "n", By: 1}, []byte("payload"))
	if err != nil {
		return nil, err
	}
	return reply.(*codec.IncrementReply), nil
}

// TestForgettingAfterASilenceIsDoneInSteps: the deletions of what was forgotten
// must not outgrow a commit.
func TestForgettingAfterASilenceIsDoneInSteps(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		const n = 2*maxTrim + 100
		for i := range n {
			if _, err := h.increment(fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		h.Announced(n)
		h.time.advance(codec.DedupWindow)
		h.set("a", "1")
		if left := len(h.machine.dedup.gone); left != n-maxTrim || len(h.machine.dedup.queue) != 0 {
			t.Errorf("%d entries are to be deleted, want %d", left, n-maxTrim)
		}
		h.check()
		if h.options.Kind == Badger {
			h.reopen() // what was not deleted is found again, and forgotten again
		}
		for i := range 3 {
			h.set("a", fmt.Sprint(i))
		}
		if left := len(h.machine.dedup.gone); left != 0 {
			t.Errorf("%d entries are left", left)
		}
		if reply, err := h.increment("5"); err != nil || reply.Duplicate {
			t.Errorf("an id that was forgotten: %+v, %v", reply, err)
		}
	})
}

func TestIdsOfOneGroupAreOneEntry(t *testing.T) {
	h := open(t, Badger)
	replies := make([]codec.Reply, 50)
	var pending sync.WaitGroup
	pending.Add(len(replies))
	if err := h.inTurn(func() {
		for i := range replies {
			err := h.Submit(&Request{
				Command: &codec.Increment{Key: "n", By: 1}, ID: fmt.Sprint(i / 2), Subject: "kv.increment", Payload: []byte("payload"),
				Done: func(reply codec.Reply, _ error) { replies[i] = reply; pending.Done() },
			})
			if err != nil {
				t.Error(err)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	pending.Wait()
	for i, r := range replies {
		got := r.(*codec.IncrementReply)
		if got.Duplicate != (i%2 == 1) || got.Value != int64(i/2+1) || got.StoreRevision != 25 {
			t.Errorf("reply %d is %+v", i, got)
		}
	}
	h.reopen()
	for i := range 25 {
		if reply, err := h.increment(fmt.Sprint(i)); err != nil || !reply.Duplicate || reply.Value != int64(i+1) {
			t.Errorf("id %d after a restart: %+v %v", i, reply, err)
		}
	}
}

// TestNoMoreIdsAreHeldThanTheLimit: beyond it the oldest go early, but none
// that is too young.
func TestNoMoreIdsAreHeldThanTheLimit(t *testing.T) {
	d := newDedup()
	reply := &codec.DeleteReply{}
	d.begin(startMs)
	for range codec.DedupMax { // as many that nobody asks for again
		e := &remembrance{atMs: startMs, last: true}
		d.queue = append(d.queue, e)
	}
	request := func(id string) *Request {
		return &Request{ID: id, Subject: "s", Command: &codec.Delete{Key: "a"}}
	}
	first := request("first")
	if _, err := d.find(first); err != nil {
		t.Fatalf("at the limit: %v", err)
	}
	d.remember(first, reply)
	_, err := d.find(request("second"))
	if e := wantCode(t, err, codec.Overloaded, "beyond the limit"); !e.Temporary {
		t.Error("not temporary")
	}
	if r, err := d.find(first); err != nil || r == nil {
		t.Errorf("a repeat beyond the limit: %v %v", r, err)
	}
	d.begin(startMs + codec.DedupMin.Milliseconds() - 1)
	_, err = d.find(request("second"))
	wantCode(t, err, codec.Overloaded, "all are young")
	d.begin(startMs + codec.DedupMin.Milliseconds())
	if _, err := d.find(request("second")); err != nil || len(d.queue) != codec.DedupMax {
		t.Errorf("the oldest is old enough: %v, %d held", err, len(d.queue))
	}
}

// TestEveryReplyIsRememberedAsItWas: what is stored of a remembered command
// is read back as it was, whatever it is.
func TestEveryReplyIsRememberedAsItWas(t *testing.T) {
	h := open(t, Badger)
	commands := []codec.Command{
		&codec.Set{Key: "a", Value: []byte("1"), TTLMs: 1000, ReturnPrevious: true},
		&codec.Set{Key: "a", Value: []byte("2"), ReturnPrevious: true},
		&codec.Touch{Key: "a", TTLMs: millis(5000)},
		&codec.Increment{Key: "n", By: -1 << 63},
		&codec.Register{Name: "web", ID: "1", TTLMs: 1000, Status: "passing"},
		&codec.Heartbeat{Name: "web", ID: "1", Status: "critical"},
		&codec.Batch{Ops: []codec.Command{&codec.Delete{Key: "a"}, &codec.Register{Name: "x", ID: "y", Status: "passing"}, &codec.Increment{Key: "m", By: 1}}},
		&codec.Delete{Key: "n", ReturnPrevious: true},
		&codec.Deregister{Name: "web", ID: "1"},
		&codec.Clear{Prefix: "m", Limit: 10},
	}
	var want []string
	for i, cmd := range commands {
		reply, err := h.submit(fmt.Sprint(i), cmd.Op(), cmd, []byte{byte(i)})
		if err != nil {
			t.Fatal(err)
		}
		reply = withoutPrevious(reply)
		reply.MarkDuplicate()
		want = append(want, text(reply))
	}
	position := h.Position()
	h.reopen()
	var got []string
	for i, cmd := range commands {
		reply, err := h.submit(fmt.Sprint(i), cmd.Op(), cmd, []byte{byte(i)})
		if err != nil {
			t.Fatal(err)
		}
		if *reply.At() != position {
			t.Errorf("the repeat of %s is at %+v", cmd.Op(), *reply.At())
		}
		*reply.At() = codec.Position{StoreRevision: firstRevision(want[i]), Epoch: startMs}
		got = append(got, text(reply))
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// firstRevision is the store_revision that a reply in JSON begins with.
func firstRevision(reply string) (n uint64) {
	fmt.Sscanf(reply, `{"store_revision":%d,`, &n)
	return n
}
