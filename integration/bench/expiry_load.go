package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/vmihailenco/msgpack/v5"
)

// lateness is how the ends of records reached a subscriber: it compares the
// moment at which an event arrived with the deadline, on the one clock that
// server and clients of one machine share.
type lateness struct {
	Expected  int     `json:"expected"`
	Announced int     `json:"announced"` // of those
	Early     int     `json:"early"`     // before the deadline
	Wrong     int     `json:"wrong"`     // of others, or once more
	P50Ms     float64 `json:"p50_ms"`
	P99Ms     float64 `json:"p99_ms"`
	MaxMs     float64 `json:"max_ms"`
}

// An endWatch is a subscriber that notes when the end of each record came.
type endWatch struct {
	conn    *nats.Conn
	arrived []atomic.Int64 // by number, Unix nanoseconds
	left    atomic.Int64   // how many have not come
	wrong   atomic.Int64
	all     chan struct{} // closed when left is 0
}

// watchEnds subscribes on a connection of its own. number tells which record
// an event is about; 0: none of them.
func watchEnds(address, subject string, first, count int, number func(subject string) int) (*endWatch, error) {
	conns, err := dialNATS(address, 1)
	if err != nil {
		return nil, err
	}
	w := &endWatch{conn: conns[0], arrived: make([]atomic.Int64, count), all: make(chan struct{})}
	w.left.Store(int64(count))
	sub, err := w.conn.Subscribe(subject, func(m *nats.Msg) {
		now := time.Now().UnixNano()
		if !bytes.Contains(m.Data[:min(len(m.Data), 80)], []byte(`"expire"`)) {
			return
		}
		i := number(m.Subject) - first
		if i < 0 || i >= count || !w.arrived[i].CompareAndSwap(0, now) {
			w.wrong.Add(1)
		} else if w.left.Add(-1) == 0 {
			close(w.all)
		}
	})
	if err == nil {
		err = errors.Join(sub.SetPendingLimits(-1, -1), w.conn.Flush())
	}
	if err != nil {
		w.conn.Close()
	}
	return w, err
}

// lateness compares what arrived with the deadlines, in Unix milliseconds.
func (w *endWatch) lateness(deadlines []int64) lateness {
	l := lateness{Expected: len(deadlines), Wrong: int(w.wrong.Load())}
	var late []float64
	for i := range deadlines {
		at := w.arrived[i].Load()
		if at == 0 {
			continue
		}
		ms := float64(at)/1e6 - float64(deadlines[i])
		if late = append(late, ms); ms < 0 {
			l.Early++
		}
	}
	if l.Announced = len(late); l.Announced > 0 {
		slices.Sort(late)
		at := func(p float64) float64 { return late[int(p*float64(len(late)-1))] }
		l.P50Ms, l.P99Ms, l.MaxMs = at(0.5), at(0.99), at(1)
	}
	return l
}

// An expiryLoad is what "bench load --action expiry" prints.
type expiryLoad struct {
	loadResult          // of the writers, while the deadlines came
	Late       lateness `json:"late"`
}

const (
	expirySpread = time.Second      // in which all deadlines lie
	expiryLead   = 4 * time.Second  // to write the keys while clients write
	expiryWait   = 30 * time.Second // for events that do not come
	expirySetter = 4                // clients that write the keys
)

// expiry lets the users write while it sets many keys whose deadlines fall into
// one second, and compares when their ends are announced.
func (s *loadSpec) expiry(ctx context.Context, c client) (expiryLoad, error) {
	var r expiryLoad
	watch, err := watchEnds(s.Address, "kv.changed.expiring.>", 0, s.Count, func(subject string) int {
		n := 0
		if _, err := fmt.Sscanf(subject, "kv.changed.expiring.%d", &n); err != nil {
			return -1
		}
		return n
	})
	if err != nil {
		return r, err
	}
	defer watch.conn.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	writers := *s
	writers.Action, writers.WarmUp, writers.Measure = actSet, expiryLead, expirySpread+expirySpread/2
	first := time.Now().Add(expiryLead)
	var wait sync.WaitGroup
	wait.Go(func() {
		var err error
		if r.loadResult, err = writers.execute(ctx, c); err != nil {
			cancel(err)
		}
	})
	ends := make([]int64, s.Count)
	for i := range expirySetter {
		wait.Go(func() {
			if err := s.setExpiring(i, first, ends); err != nil {
				cancel(err)
			}
		})
	}
	wait.Wait()
	if err := context.Cause(ctx); err != nil {
		return r, err
	}
	select {
	case <-watch.all:
	case <-time.After(expiryWait):
	case <-ctx.Done():
		return r, context.Cause(ctx)
	}
	r.Late = watch.lateness(ends)
	return r, nil
}

// setExpiring writes one setter's share of the keys, in batches dealt out in
// turn, and notes their deadlines.
func (s *loadSpec) setExpiring(setter int, first time.Time, ends []int64) error {
	conns, err := dialNATS(s.Address, 1)
	if err != nil {
		return err
	}
	defer conns[0].Close()
	value := make([]byte, valueSize)
	for from := setter * batchSize; from < s.Count; from += expirySetter * batchSize {
		size := min(batchSize, s.Count-from)
		request := appendBatch(nil, size)
		for i := from; i < from+size; i++ {
			at := first.Add(expirySpread * time.Duration(i) / time.Duration(s.Count))
			ttl := time.Until(at).Milliseconds()
			if ttl < 10 {
				return fmt.Errorf("after %v only %d of %d keys were written: the machine is too busy", expiryLead, i, s.Count)
			}
			key := fmt.Appendf(nil, "expiring/%06d", i)
			request = appendKeyValue(append(request, "\x84\xa2op\xa6kv.set"...), key, value)
			request = binary.BigEndian.AppendUint32(append(request, "\xa6ttl_ms\xce"...), uint32(ttl))
		}
		m, err := ask(conns[0], "batch.apply", request)
		if err != nil {
			return err
		}
		var d deadlines
		if err := msgpack.Unmarshal(m.Data, &d); err != nil || len(d.Results) != size {
			return fmt.Errorf("batch.apply: %d results for %d sets: %w", len(d.Results), size, err)
		}
		for i, r := range d.Results {
			ends[from+i] = r.ExpiresAtMs
		}
	}
	return nil
}
