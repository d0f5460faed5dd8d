package engine

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Stats measures what a store does. The zero value is ready; give it to
// [Options.Stats] and read it at any time.
type Stats struct {
	Groups  Histogram // commands that were applied together
	Commits Histogram // nanoseconds of a commit, its sync included
	Expiry  Histogram // milliseconds from a deadline until its end was durable

	// committing is when the commit in progress began, in nanoseconds since
	// processStart; 0: there is none.
	committing atomic.Int64
}

// processStart is where the monotonic clock begins: a wall clock that is set
// must not make a commit look stuck.
var processStart = time.Now()

// Gauges are what a store has at this moment.
type Gauges struct {
	Waiting      int           // commands in the writer's queue
	WaitingBytes int           // and what they hold
	CommitAge    time.Duration // of the commit in progress; 0: there is none
	Deadlines    int           // records that will expire
	DiskFree     int64         // what is left on the disk; -1: unknown, or there is none
	DiskLow      bool          // so little that writes are refused
	Levels       []Level       // of Badger's tree; none in memory
	BlockCache   CacheUse      // Badger's decompressed blocks
	IndexCache   CacheUse      // Badger's table indexes and filters
}

// Level is one level of Badger's tree. A score above 1 says that compaction is
// behind.
type Level struct {
	Tables int
	Bytes  int64
	Score  float64
}

// CacheUse counts what a cache was asked for.
type CacheUse struct{ Hits, Misses uint64 }

// commit measures a commit. What a disk takes is real time, whatever clock the
// store has.
func (s *Stats) commit(f func() error) error {
	began := max(1, time.Since(processStart))
	s.committing.Store(int64(began))
	err := f()
	s.committing.Store(0)
	s.Commits.Observe(int64(time.Since(processStart) - began))
	return err
}

// commitAge is the age of the commit in progress; 0: there is none. It waits for
// nothing.
func (s *Stats) commitAge() time.Duration {
	if began := s.committing.Load(); began != 0 {
		return time.Since(processStart) - time.Duration(began)
	}
	return 0
}

// Gauges implements [Maintenance].
func (s *store) Gauges() Gauges {
	g := Gauges{CommitAge: s.stats.commitAge(), DiskFree: -1, DiskLow: s.diskLow.Load()}
	if free, err := freeSpace(s.options.Dir); err == nil && s.options.Kind != Memory {
		g.DiskFree = free
	}
	s.queue.mu.Lock()
	g.Waiting, g.WaitingBytes = len(s.queue.waiting), s.queue.bytes
	s.queue.mu.Unlock()
	s.deadlines.mu.Lock()
	g.Deadlines = len(s.deadlines.heap)
	s.deadlines.mu.Unlock()
	if b, ok := s.state.Load().backend.(interface{ gauges(*Gauges) }); ok {
		b.gauges(&g)
	}
	return g
}

// ended notes how late records expired whose end is durable now. What was past
// its deadline when the store was opened is late since then.
func (s *store) ended(dead []item) {
	now := s.clock.ms()
	for _, i := range dead {
		s.stats.Expiry.Observe(max(0, now-max(i.rec.expires(), s.clock.base)))
	}
}

// Histogram counts values by size in the steps 1, 2, 5, 10, 20, 50 and so on.
// The zero value is ready. Observing is two atomic additions; anyone may read
// at any time.
type Histogram struct {
	counts [len(steps) + 1]atomic.Uint64 // the last: beyond all steps
	sum    atomic.Int64
}

// steps end at 50 seconds of nanoseconds.
var steps = [...]int64{
	1, 2, 5, 1e1, 2e1, 5e1, 1e2, 2e2, 5e2, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5,
	1e6, 2e6, 5e6, 1e7, 2e7, 5e7, 1e8, 2e8, 5e8, 1e9, 2e9, 5e9, 1e10, 2e10, 5e10,
}

// firstStep is, by the length of a number in bits, the first step that a number
// of this length may belong to. At most two more follow.
var firstStep = func() (t [65]uint8) {
	for n := 1; n < len(t); n++ {
		smallest := uint64(1) << (n - 1)
		for t[n] = t[n-1]; int(t[n]) < len(steps) && uint64(steps[t[n]]) < smallest; {
			t[n]++
		}
	}
	return t
}()

// Observe counts a value. Below 1 it counts to the first step.
func (h *Histogram) Observe(v int64) {
	i := 0
	if v > 0 {
		i = int(firstStep[bits.Len64(uint64(v))])
		for i < len(steps) && v > steps[i] {
			i++
		}
	}
	h.counts[i].Add(1)
	h.sum.Add(v)
}

// Bucket says how many values were at most UpTo.
type Bucket struct {
	UpTo  int64
	Count uint64
}

// Read returns the number of values, their sum, and the steps from one value to
// another, each with the values up to it.
func (h *Histogram) Read(from, to int64) (count uint64, sum int64, buckets []Bucket) {
	sum = h.sum.Load()
	for i := range h.counts {
		count += h.counts[i].Load()
		if i < len(steps) && steps[i] >= from && steps[i] <= to {
			buckets = append(buckets, Bucket{steps[i], count})
		}
	}
	return count, sum, buckets
}

// Count is the number of values.
func (h *Histogram) Count() uint64 {
	count, _, _ := h.Read(0, -1)
	return count
}

// Sum is the sum of all values.
func (h *Histogram) Sum() int64 { return h.sum.Load() }
