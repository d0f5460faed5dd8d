package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/settkv/sett/codec"
)

const (
	submitters   = 6
	perSubmitter = 100
	groupKeys    = 10 // keys that a batch sets to one number
)

// TestManyAtOnce runs submitters, readers of all kinds and a relay against one
// store, with the expirer on the wall clock. It checks what each may rely on:
// commands of one submitter keep their order, what was acknowledged is seen, a
// batch is seen whole or not at all, and the feed has no hole.
func TestManyAtOnce(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		c := &crowd{harness: h, stop: make(chan struct{})}
		c.batch(0)
		var writers, others sync.WaitGroup
		for i := range submitters {
			writers.Go(func() { c.submitter(i) })
		}
		writers.Go(c.batches)
		for _, work := range []func(){c.lists, c.batchGets, c.gets, c.services, c.transactions, c.backups} {
			others.Go(func() {
				for !c.stopped() {
					work()
				}
			})
		}
		fed := c.relay()
		writers.Wait()
		close(c.stop)
		others.Wait()
		feed := <-fed
		wantDense(t, feed, 1, uint64(len(feed))) // the expirer may go on
		c.checkFeed(feed)
	}, func(o *Options) {
		o.Now, o.noExpirer, o.CacheBytes = nil, false, 4000
	})
}

type crowd struct {
	*harness
	stop  chan struct{}
	acked [submitters]atomic.Int64 // the last number of each that was acknowledged
	whole atomic.Int64             // likewise of the batches
}

func (c *crowd) stopped() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

func ownKey(i int) string { return fmt.Sprint("own/", i) }

// submitter sends numbers under its own key without waiting for each reply, and
// now and then reads its own key, registers, beats and lets something expire.
func (c *crowd) submitter(i int) {
	var pending sync.WaitGroup
	last := uint64(0) // the finisher's: replies come from one goroutine
	for n := int64(1); n <= perSubmitter; n++ {
		pending.Add(1)
		r := &Request{
			Command: &codec.Set{Key: ownKey(i), Value: strconv.AppendInt(nil, n, 10)},
			ID:      fmt.Sprint(i, "-", n), Subject: "kv.set", Payload: []byte("x"),
			Done: func(reply codec.Reply, err error) {
				defer pending.Done()
				if err != nil || reply.Changed() <= last {
					c.t.Errorf("submitter %d, number %d: revision %v after %d, %v", i, n, reply, last, err)
					return
				}
				last = reply.Changed()
				c.acked[i].Store(n)
			},
		}
		if err := c.Submit(r); err != nil {
			c.t.Errorf("Submit: %v", err)
			pending.Done()
		}
		switch n % 20 {
		case 0:
			pending.Wait()
			if got := c.number(ownKey(i)); got != n {
				c.t.Errorf("submitter %d reads %d after %d was acknowledged", i, got, n)
			}
		case 5:
			c.apply(&codec.Register{Name: "web", ID: strconv.Itoa(i), Status: codec.Passing, TTLMs: 60_000})
		case 6:
			c.apply(&codec.Heartbeat{Name: "web", ID: strconv.Itoa(i)})
		case 10:
			c.apply(&codec.Set{Key: fmt.Sprintf("short/%d/%d", i, n), Value: []byte("x"), TTLMs: 10})
		case 15:
			c.apply(&codec.Increment{Key: "sum", By: 1})
		}
	}
	pending.Wait()
}

func (c *crowd) apply(cmd codec.Command) {
	if _, err := c.Apply(context.Background(), cmd); err != nil {
		c.t.Errorf("%s: %v", cmd.Op(), err)
	}
}

func (c *crowd) number(key string) int64 {
	value, err := c.Get(key)
	if err != nil {
		if !errors.Is(err, codec.ErrNotFound) {
			c.t.Errorf("Get(%q): %v", key, err)
		}
		return 0
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		c.t.Error(err)
	}
	return n
}

func groupKey(k int) string { return fmt.Sprintf("group/%02d", k) }

// batch sets all keys of the group to n.
func (c *crowd) batch(n int64) {
	b := &codec.Batch{}
	for k := range groupKeys {
		b.Ops = append(b.Ops, &codec.Set{Key: groupKey(k), Value: fmt.Appendf(nil, "%0100d", n)})
	}
	c.apply(b)
	c.whole.Store(n)
}

func (c *crowd) batches() {
	for n := int64(1); n <= perSubmitter; n++ {
		c.batch(n)
	}
}

// oneNumber checks that all entries of the group say the same number, which is
// not older than what was acknowledged before the read began.
func (c *crowd) oneNumber(what string, entries []codec.Entry, acked int64) {
	if len(entries) != groupKeys {
		c.t.Errorf("%s: %d entries, want %d", what, len(entries), groupKeys)
		return
	}
	for _, e := range entries {
		if string(e.Value) != string(entries[0].Value) {
			c.t.Errorf("%s: half of a batch: %s and %s", what, entries[0].Value, e.Value)
			return
		}
	}
	if n, err := strconv.ParseInt(string(entries[0].Value), 10, 64); err != nil || n < acked {
		c.t.Errorf("%s: %d, but %d was acknowledged before (%v)", what, n, acked, err)
	}
}

func (c *crowd) lists() {
	acked := c.whole.Load()
	reply, err := c.ListKeys(&codec.List{Prefix: "group/", Limit: 1000, ReturnValues: true}, codec.Fit{})
	if err != nil {
		c.t.Errorf("list: %v", err)
		return
	}
	c.oneNumber("list", reply.Entries, acked)
	for _, e := range reply.Entries {
		if e.Revision > reply.StoreRevision {
			c.t.Errorf("list at %d has an entry of revision %d", reply.StoreRevision, e.Revision)
		}
	}
}

func (c *crowd) batchGets() {
	r := &codec.BatchGet{}
	for k := range groupKeys {
		r.Keys = append(r.Keys, groupKey(k))
	}
	acked := c.whole.Load()
	reply, err := c.ReadKeys(r, codec.Fit{})
	if err != nil {
		c.t.Errorf("batch.get: %v", err)
		return
	}
	c.oneNumber("batch.get", reply.Entries, acked)
}

func (c *crowd) gets() {
	for i := range submitters {
		acked := c.acked[i].Load()
		if got := c.number(ownKey(i)); got < acked {
			c.t.Errorf("%s is %d, but %d was acknowledged before", ownKey(i), got, acked)
		}
	}
}

func (c *crowd) services() {
	if _, err := c.ReadService(&codec.GetService{Name: "web", Limit: 10, Statuses: []string{codec.Passing}}, codec.Fit{}); err != nil {
		c.t.Errorf("svc.get: %v", err)
	}
	if _, err := c.ReadServices(&codec.ListServices{Limit: 10}, codec.Fit{}); err != nil {
		c.t.Errorf("svc.list: %v", err)
	}
	if s := c.Status(); s.Keys < groupKeys {
		c.t.Errorf("status counts %d keys", s.Keys)
	}
}

// transactions counts up what nobody else does, and loses no count.
func (c *crowd) transactions() {
	tx, err := c.BeginTx()
	if err != nil {
		c.t.Errorf("BeginTx: %v", err)
		return
	}
	n := int64(0)
	value, err := tx.Get("count")
	if err == nil {
		n, err = strconv.ParseInt(string(value), 10, 64)
	} else if errors.Is(err, codec.ErrNotFound) {
		err = nil
	}
	if err == nil {
		err = tx.Set("count", strconv.AppendInt(nil, n+1, 10))
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil && !errors.Is(err, codec.ErrConflict) {
		c.t.Errorf("transaction: %v", err)
	}
}

func (c *crowd) backups() {
	if err := c.StreamBackup(discard{}); err != nil {
		c.t.Errorf("backup: %v", err)
	}
}

// relay takes the feed as the consumer does, announces it and hands it over in
// the end.
func (c *crowd) relay() <-chan []codec.Event {
	result := make(chan []codec.Event, 1)
	go func() {
		var feed []codec.Event
		at := uint64(0)
		for done := false; ; {
			events, err := c.Outbox(at, 8<<10)
			if err != nil {
				c.t.Errorf("Outbox: %v", err)
				break
			}
			if feed = append(feed, events...); len(events) > 0 {
				at = events[len(events)-1].Revision
				c.Announced(at)
				continue
			}
			if done && at == c.Position().StoreRevision {
				break
			}
			select {
			case <-c.Commits():
			case <-c.stop:
				done = true
			}
		}
		result <- feed
	}()
	return result
}

// checkFeed: each submitter's numbers come in order and once, and a batch's
// changes stand together.
func (c *crowd) checkFeed(feed []codec.Event) {
	c.t.Helper()
	last := map[string]int64{}
	expired := 0
	for i := 0; i < len(feed); i++ {
		change := decodeChange(c.t, feed[i])
		if change.Op == codec.OpExpire {
			expired++
		}
		var own int
		if n, _ := fmt.Sscanf(change.Key, "own/%d", &own); n == 1 {
			number, _ := strconv.ParseInt(string(change.Value), 10, 64)
			if number != last[change.Key]+1 {
				c.t.Fatalf("%s: %d after %d", change.Key, number, last[change.Key])
			}
			last[change.Key] = number
		}
		if change.Key == groupKey(0) {
			if change.CommitRevision != change.Revision+groupKeys-1 {
				c.t.Fatalf("a batch at %d says that it ends at %d", change.Revision, change.CommitRevision)
			}
			for k := range groupKeys {
				if next := decodeChange(c.t, feed[i+k]); next.Key != groupKey(k) || string(next.Value) != string(change.Value) {
					c.t.Fatalf("a batch at %d is torn at %s", change.Revision, next.Key)
				}
			}
		}
	}
	for key, n := range last {
		if n != perSubmitter {
			c.t.Errorf("%s ends at %d", key, n)
		}
	}
	if got := c.number("sum"); got != submitters*perSubmitter/20 {
		c.t.Errorf("the sum is %d, want %d", got, submitters*perSubmitter/20)
	}
}
