package engine

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/settkv/sett/codec"
)

// TestReadsOfTwoKeysSeeABatchInOneOrder: who has seen the new value of one key
// of a batch reads no old value of another afterwards.
func TestReadsOfTwoKeysSeeABatchInOneOrder(t *testing.T) {
	const keys, batches = 500, 60
	key := func(k int) string { return fmt.Sprintf("k%03d", k) }
	engines(t, func(t *testing.T, h *harness) {
		var done atomic.Bool
		var readers sync.WaitGroup
		number := func(k int) int64 {
			reply, err := h.ReadKey(&codec.Get{Key: key(k)})
			if err != nil {
				return 0
			}
			if reply.Revision > reply.StoreRevision {
				t.Errorf("revision %d in an answer of revision %d", reply.Revision, reply.StoreRevision)
				done.Store(true)
			}
			n, _ := strconv.ParseInt(string(reply.Value), 10, 64)
			return n
		}
		for _, order := range [][2]int{{0, keys - 1}, {keys - 1, 0}, {keys / 2, 1}} {
			readers.Go(func() {
				for !done.Load() {
					first, second := number(order[0]), number(order[1])
					if second < first {
						t.Errorf("read %d of %s, then %d of %s", first, key(order[0]), second, key(order[1]))
						return
					}
				}
			})
		}
		for n := range batches {
			b := &codec.Batch{}
			for k := range keys {
				b.Ops = append(b.Ops, &codec.Set{Key: key(k), Value: strconv.AppendInt(nil, int64(n), 10)})
			}
			h.do(b)
			h.Announced(h.Position().StoreRevision)
		}
		done.Store(true)
		readers.Wait()
	})
}

// TestCloseWhileEverybodyCalls: each call is answered, with a result or with
// "unavailable", and nothing panics.
func TestCloseWhileEverybodyCalls(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		for i := range 100 {
			h.do(&codec.Set{Key: fmt.Sprint("k", i), Value: make([]byte, 100), TTLMs: 60_000})
		}
		var callers sync.WaitGroup
		calls := []func() error{
			func() error { return h.Set("a", []byte("1")) },
			func() error { _, err := h.List("k"); return err },
			func() error {
				_, err := h.ListKeys(&codec.List{Limit: 1000, ReturnValues: true}, codec.Fit{})
				return err
			},
			func() error { _, err := h.Get("k1"); return err },
			func() error { _, err := h.Outbox(0, 1<<20); return err },
			func() error { return h.StreamBackup(discard{}) },
			func() error { h.Status(); h.Announced(h.Position().StoreRevision); return nil },
			func() error {
				tx, err := h.BeginTx()
				if err != nil {
					return err
				}
				if _, err := tx.Get("k2"); err != nil {
					return err
				}
				return tx.Rollback()
			},
		}
		started := make(chan struct{}, len(calls))
		for i, call := range calls {
			callers.Go(func() {
				for n := 0; ; n++ {
					err := call()
					if n == 0 {
						started <- struct{}{}
					}
					if errors.Is(err, codec.ErrUnavailable) || h.store.closed.Load() && err == nil {
						return
					}
					if err != nil {
						t.Errorf("call %d: %v", i, err)
						return
					}
				}
			})
		}
		for range calls {
			<-started
		}
		h.close()
		callers.Wait()
	}, func(o *Options) { o.CacheBytes, o.noExpirer, o.Now = -1, false, time.Now })
}
