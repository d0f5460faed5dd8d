package engine

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/settkv/sett/codec"
)

func TestEventsOverTheLimitAreRefusedBeforeTheCommit(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		const n = 25 // instances of more than 100 KiB each, in an event
		large := &codec.Batch{Ops: []codec.Command{&codec.Delete{Key: "dead"}}}
		for i := range n {
			r := fullInstance(i)
			h.do(r)
			large.Ops = append(large.Ops, &codec.Set{Key: "k", Value: []byte("new")}, &codec.Deregister{Name: r.Name, ID: r.ID})
		}
		h.set("k", "old")
		h.do(&codec.Set{Key: "dead", Value: []byte("1"), TTLMs: 10})
		h.time.advance(10 * time.Millisecond)
		h.changes()
		status, contents := h.Status(), h.dump()
		if e := h.refused(large, codec.TooLarge); e.Limit != codec.MaxEvents || e.StoreRevision != status.StoreRevision+1 {
			t.Fatalf("%+v", e)
		}
		if size := len(h.machine.arena.buf); size > codec.MaxEvents+(256<<10) {
			t.Errorf("the refused batch took %d bytes of memory", size)
		}
		if c := h.changes(); len(c) != 1 || c[0].Op != codec.OpExpire || c[0].CommitRevision != c[0].Revision {
			t.Errorf("the refused batch announced %+v, want the expiry that it met", c)
		}
		now := h.Status()
		if now.Keys != status.Keys-1 || now.Instances != n || now.StoreRevision != status.StoreRevision+1 || h.dump() != contents {
			t.Errorf("the refused batch changed something: %+v, then %+v", status, now)
		}
		large.Ops = large.Ops[:2*15]
		h.do(large)
		if c := h.changes(); len(c) != 29 || c[0].CommitRevision != c[28].Revision {
			t.Errorf("%d changes", len(c))
		}
	})
}

// TestTheLargestGroupFitsACommit fills a group to the brim and lets the largest
// command of each kind come last.
func TestTheLargestGroupFitsACommit(t *testing.T) {
	key := func(i int) string { return fmt.Sprintf("%04d%s", i, strings.Repeat(`"`, 880)) }
	last := map[string]func(h *harness) codec.Command{
		"a batch of large sets": func(*harness) codec.Command {
			b := &codec.Batch{}
			for i := range 1000 {
				b.Ops = append(b.Ops, &codec.Set{Key: key(i), Value: bytes.Repeat([]byte{0xff}, 30)})
			}
			return b
		},
		"a batch that meets as many deadlines": func(h *harness) codec.Command {
			b := &codec.Batch{}
			for i := range 1000 {
				if b.Ops = append(b.Ops, &codec.Set{Key: fmt.Sprintf("%04d", i), Value: bytes.Repeat([]byte{0xff}, 800)}); i >= 450 {
					continue
				}
				k := fmt.Sprintf("dead/%04d", i)
				h.do(&codec.Set{Key: k, Value: []byte("x"), TTLMs: 10})
				h.do(&codec.Set{Key: k + "if", Value: []byte("x"), TTLMs: 10})
				b.Ops[i].(*codec.Set).Key = k
				b.If = append(b.If, codec.Condition{Key: k + "if", Revision: codec.Revision(0)})
			}
			h.time.advance(10 * time.Millisecond)
			return b
		},
		"a clear of long keys": func(h *harness) codec.Command {
			for i := range 1000 {
				h.do(&codec.Set{Key: key(i), Value: []byte{}})
			}
			return &codec.Clear{Prefix: "0"}
		},
	}
	for name, command := range last {
		t.Run(name, func(t *testing.T) {
			h := open(t, Badger)
			cmd := command(h)
			if err := cmd.Validate(); err != nil {
				t.Fatal(err)
			}
			var requests []*Request
			var errs []error
			add := func(id string, cmd codec.Command) {
				i := len(errs)
				errs = append(errs, fmt.Errorf("not answered"))
				requests = append(requests, &Request{
					Command: cmd, ID: id, Subject: "s", Payload: []byte(id), Done: func(_ codec.Reply, err error) { errs[i] = err },
				})
			}
			for i := range 9 { // just below what ends a group
				add(fmt.Sprint("fill", i), &codec.Set{Key: fmt.Sprint("fill", i), Value: bytes.Repeat([]byte{0xff}, 24_000)})
			}
			for i := range 850 {
				add(fmt.Sprint("id", i), &codec.Delete{Key: "none"})
			}
			add("last", cmd)
			committed := h.state.Load().commit
			if err := h.inTurn(func() { // together, so that they make one group
				for _, r := range requests {
					if err := h.Submit(r); err != nil {
						t.Error(err)
					}
				}
			}); err != nil {
				t.Fatal(err)
			}
			h.set("after", "x")
			for i, err := range errs {
				if err != nil {
					t.Fatalf("request %d: %v", i, err)
				}
			}
			if n := h.state.Load().commit - committed; n > 3 {
				t.Errorf("%d commits: that was not one group", n)
			}
		})
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	h := open(t, Memory, func(o *Options) { o.QueueCommands, o.QueueBytes = 10, 10_000 })
	var answered []int
	var pending sync.WaitGroup
	submit := func(i int, payload []byte) error {
		pending.Add(1)
		err := h.Submit(&Request{
			Command: &codec.Set{Key: "a", Value: []byte{}}, Payload: payload,
			Done: func(codec.Reply, error) { answered = append(answered, i); pending.Done() },
		})
		if err != nil {
			pending.Done()
		}
		return err
	}
	err := h.inTurn(func() {
		for i := range 10 {
			if err := submit(i, nil); err != nil {
				t.Errorf("command %d: %v", i, err)
			}
		}
		e := wantCode(t, submit(10, nil), codec.Overloaded, "one command more")
		if !e.Temporary {
			t.Error("overloaded, and not temporary")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	pending.Wait()
	err = h.inTurn(func() {
		if err := submit(10, make([]byte, 6000)); err != nil {
			t.Error(err)
		}
		wantCode(t, submit(11, make([]byte, 6000)), codec.Overloaded, "more bytes than allowed")
		if err := submit(11, make([]byte, 1000)); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	pending.Wait()
	for i, n := range answered {
		if i != n {
			t.Fatalf("answered in the order %v", answered)
		}
	}
	if len(answered) != 12 {
		t.Errorf("%d answers, want 12", len(answered))
	}
}

// TestManyLargeInstancesExpireAndRenew: what one commit of the expirer holds is
// bounded in bytes too.
func TestManyLargeInstancesExpireAndRenew(t *testing.T) {
	h := open(t, Badger)
	const n = 100
	for i := range n {
		r := fullInstance(i)
		r.TTLMs = 10_000
		h.do(r)
	}
	h.Announced(h.Position().StoreRevision)
	h.time.advance(5 * time.Second)
	for i := range n {
		h.do(&codec.Heartbeat{Name: "web", ID: fullInstance(i).ID})
	}
	h.sweep() // writes the heartbeats
	h.time.advance(10 * time.Second)
	h.seen = h.Position().StoreRevision
	for h.sweep() <= 0 {
	}
	if c := h.changes(); len(c) != n {
		t.Errorf("%d instances expired, want %d", len(c), n)
	}
	if s := h.Status(); s.Instances != 0 {
		t.Errorf("%d instances left", s.Instances)
	}
}
