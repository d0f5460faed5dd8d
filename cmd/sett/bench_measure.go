package main

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"sync"
	"time"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

const (
	benchRounds = 3                      // of each row
	benchWarmUp = 100 * time.Millisecond // of each round, which does not count
	busyPause   = 10 * time.Millisecond  // until what was refused for a moment is asked again
	settleMost  = 10 * time.Second       // wait for the feed
	fillClients = 16
)

// round is how long one takes that counts.
func (b *bench) round() time.Duration {
	return time.Duration(b.seconds / benchRounds * float64(time.Second))
}

// takes is about how long everything takes.
func (b *bench) takes() time.Duration {
	rows := time.Duration(len(b.rows("echo", nil)))
	return rows * benchRounds * (b.round() + benchWarmUp)
}

// measure fills the store and runs all rows.
func (b *bench) measure(ctx context.Context) ([]*benchRow, error) {
	echo, echoes, err := b.startEcho()
	if err == nil {
		defer echoes.close()
	} else {
		b.a.note("sett: there is no echo to compare with; this user must be able to publish on its inbox: %v", err)
	}
	events, err := b.tapEvents()
	if err != nil {
		return nil, err
	}
	defer events.s.close()
	rows := b.rows(echo, events)
	b.bar = b.a.newProgress("measuring", int64(len(rows)*benchRounds+1), false)
	defer b.bar.clear()
	if err := b.fill(ctx); err != nil {
		return nil, err
	}
	b.bar.add(1)
	for range benchRounds {
		for _, r := range rows {
			if err := b.turn(ctx, r); err != nil {
				return nil, err
			}
			b.bar.add(1)
		}
	}
	return rows, nil
}

// fill writes every key once.
func (b *bench) fill(ctx context.Context) error {
	n := b.batchOps()
	return b.together(ctx, fillClients, func(ctx context.Context, number int) error {
		subject := b.s.prefix.Wrap(subjects.BatchApply.Subject)
		conn, w := b.load[number%len(b.load)].nc, b.work()
		for from := number * n; from < b.keys; from += fillClients * n {
			payload := w.sets(from, min(n, b.keys-from))
			_, err := untilTaken(ctx, func() error { return exchange(conn, subject, payload, b.s.timeout) })
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// together runs clients until all are done, or one of them fails.
func (b *bench) together(outer context.Context, clients int, client func(ctx context.Context, number int) error) error {
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	var all sync.WaitGroup
	for number := range clients {
		all.Go(func() {
			if err := client(ctx, number); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	if err := outer.Err(); err != nil {
		return err // its cause would be told, and whoever interrupts knows it
	}
	return context.Cause(ctx)
}

// untilTaken asks again what is refused for a moment, and counts how often.
func untilTaken(ctx context.Context, ask func() error) (refused uint64, err error) {
	for ; ; refused++ {
		err := ask()
		e, ok := errors.AsType[*codec.Error](err)
		if !ok || !e.Temporary {
			return refused, err
		}
		if pause(ctx, busyPause) != nil {
			return refused, ctx.Err()
		}
	}
}

// turn is one round of a row.
func (b *bench) turn(ctx context.Context, r *benchRow) error {
	if r.idle {
		if err := b.settle(ctx); err != nil {
			return err
		}
	}
	var mu sync.Mutex // of r
	begin := time.Now().Add(benchWarmUp)
	end := begin.Add(b.round())
	err := b.together(ctx, r.clients, func(ctx context.Context, number int) error {
		ask, mine, refused := r.client(number), latencies{}, uint64(0)
		for ctx.Err() == nil {
			asked := time.Now()
			if asked.After(end) {
				break
			}
			n, err := untilTaken(ctx, ask)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			if now := time.Now(); now.After(begin) && !now.After(end) {
				mine.note(now.Sub(asked))
				refused += n
			}
		}
		mu.Lock()
		defer mu.Unlock()
		r.latency.add(&mine)
		r.refused += refused
		return nil
	})
	r.measured += b.round()
	return err
}

// settle waits until the feed has told all that was written, for a while: a
// store under the load of others never has.
func (b *bench) settle(ctx context.Context) error {
	for deadline := time.Now().Add(settleMost); time.Now().Before(deadline); {
		status, err := b.client.Status(ctx)
		if err != nil {
			return b.s.failed(subjects.StoreStatus.Subject, err)
		}
		if status.Feed.OutboxRevisions == 0 {
			return nil
		}
		if err := pause(ctx, busyPause); err != nil {
			return err
		}
	}
	return nil
}

// latencies counts them in steps of 3 %: 32 for each doubling.
type latencies struct {
	count   uint64
	buckets [64 << latencyBits]uint32
}

const latencyBits = 5

func (l *latencies) note(d time.Duration) {
	l.count++
	l.buckets[latencyBucket(uint64(max(d, 0)))]++
}

func (l *latencies) add(other *latencies) {
	l.count += other.count
	for i, n := range other.buckets {
		l.buckets[i] += n
	}
}

// atMost is what a share of all did not exceed; 0 of nothing.
func (l *latencies) atMost(share float64) time.Duration {
	rank, seen := uint64(share*float64(l.count)), uint64(0)
	for i, n := range l.buckets {
		if seen += uint64(n); seen > rank {
			return latencyOf(i)
		}
	}
	return 0
}

// latencyBucket counts small numbers one by one; of larger ones the first bits
// decide.
func latencyBucket(ns uint64) int {
	shift := max(0, bits.Len64(ns)-latencyBits-1)
	return shift<<latencyBits + int(ns>>shift)
}

// latencyOf is the middle of a bucket.
func latencyOf(bucket int) time.Duration {
	shift := max(0, bucket>>latencyBits-1)
	return time.Duration((bucket-shift<<latencyBits)<<shift + (1<<shift)/2)
}
