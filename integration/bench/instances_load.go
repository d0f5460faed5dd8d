package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// heartbeatEvery is what a TTL of [instanceTTL] asks for.
	heartbeatEvery = instanceTTL / 3
	// silentInstances are those among many, the last ones, that fall silent when
	// the measurement begins: they must end, and no other.
	silentInstances = 1000
)

// An instancesLoad is what "bench load --action instances" prints.
type instancesLoad struct {
	loadResult          // of the heartbeats, after the warm-up
	Late       lateness `json:"late"`      // the ends of those that fell silent
	BehindMs   float64  `json:"behind_ms"` // the most that a heartbeat was sent late
}

// keepAlive heartbeats Count instances at the rate that their TTL asks for, but
// for the last ones, and watches which of all end. The protocol is sett's.
func (s *loadSpec) keepAlive(ctx context.Context, c client) (r instancesLoad, err error) {
	nc, ok := c.(*natsClient)
	if !ok {
		return r, fmt.Errorf("%s has no instances", s.Protocol)
	}
	alive := s.Count - silentInstances
	silent := make(map[string]int, silentInstances) // by id
	numbers := make([]int, 0, silentInstances)
	for n := alive + 1; n <= s.Count; n++ {
		silent[strings.ReplaceAll(instanceID(n), ".", "%2E")] = n
		numbers = append(numbers, n)
	}
	watch, err := watchEnds(s.Address, "svc.changed.>", alive+1, silentInstances, func(subject string) int {
		return silent[subject[strings.LastIndexByte(subject, '.')+1:]]
	})
	if err != nil {
		return r, err
	}
	defer watch.conn.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	begin := time.Now()
	beaters := make([]*beater, s.Clients)
	var wait sync.WaitGroup
	for i := range beaters {
		beaters[i] = &beater{conn: nc.conn(i), first: 1 + i, step: s.Clients, last: alive, begin: begin, measured: begin.Add(s.WarmUp)}
		wait.Go(func() {
			if err := beaters[i].run(ctx, begin.Add(s.WarmUp+s.Measure)); err != nil {
				cancel(err)
			}
		})
	}
	var ends []int64 // a last renewal, whose reply tells the deadline
	for batch := range slices.Chunk(numbers, batchSize) {
		d, err := register(nc.conns[0], batch, instanceTTL)
		if err != nil {
			cancel(err)
			break
		}
		for _, result := range d.Results {
			ends = append(ends, result.ExpiresAtMs)
		}
	}
	wait.Wait()
	if err := context.Cause(ctx); err != nil {
		return r, err
	}
	var all histogram
	for _, b := range beaters {
		all.add(&b.latency)
		r.Total += b.total
		r.BehindMs = max(r.BehindMs, float64(b.behind.Microseconds())/1e3)
	}
	r.Rate = float64(all.count) / s.Measure.Seconds()
	r.P50us, r.P99us = float64(all.percentile(0.50))/1e3, float64(all.percentile(0.99))/1e3
	r.Late = watch.lateness(ends)
	return r, nil
}

// A beater heartbeats every so many instances from a first one on, evenly over
// the time that their TTL leaves.
type beater struct {
	conn              *nats.Conn
	first, step, last int
	begin, measured   time.Time
	latency           histogram
	total             uint64
	behind            time.Duration
}

func (b *beater) run(ctx context.Context, end time.Time) error {
	share := (b.last-b.first)/b.step + 1
	if share < 1 {
		return nil
	}
	var request []byte
	tick := time.NewTimer(0)
	defer tick.Stop()
	for i := 0; ; i++ {
		at := b.begin.Add(heartbeatEvery * time.Duration(i) / time.Duration(share))
		tick.Reset(time.Until(at))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		start := time.Now()
		if start.After(end) {
			return nil
		}
		b.behind = max(b.behind, start.Sub(at))
		request = appendHeartbeat(request[:0], b.first+i%share*b.step)
		if _, err := ask(b.conn, "svc.heartbeat", request); err != nil {
			return errors.Join(err, fmt.Errorf("heartbeat %d, %v after it was due", i, start.Sub(at)))
		}
		b.total++
		if start.After(b.measured) {
			b.latency.record(time.Since(start))
		}
	}
}
