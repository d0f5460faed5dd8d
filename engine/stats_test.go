package engine

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/settkv/sett/codec"
)

// Each value is counted to the first step that is not below it.
func TestHistogramSteps(t *testing.T) {
	for i, step := range steps {
		for _, v := range []int64{step - 1, step, step + 1} {
			var h Histogram
			h.Observe(v)
			at := i
			switch {
			case v > step:
				at++
			case v < step && i > 0 && v <= steps[i-1]:
				at--
			}
			if got := h.counts[at].Load(); got != 1 {
				t.Errorf("%d is not counted to step %d", v, at)
			}
		}
	}
	var h Histogram
	for _, v := range []int64{math.MinInt64, -1, 0} {
		h.Observe(v)
	}
	h.Observe(math.MaxInt64)
	if first, last := h.counts[0].Load(), h.counts[len(steps)].Load(); first != 3 || last != 1 {
		t.Errorf("%d at the first step and %d beyond the last, want 3 and 1", first, last)
	}
}

func TestHistogramRead(t *testing.T) {
	var h Histogram
	for _, v := range []int64{1, 3, 4, 90, 700} {
		h.Observe(v)
	}
	count, sum, buckets := h.Read(5, 100)
	want := []Bucket{{5, 3}, {10, 3}, {20, 3}, {50, 3}, {100, 4}}
	if count != 5 || sum != 798 || len(buckets) != len(want) {
		t.Fatalf("%d values, sum %d, %v", count, sum, buckets)
	}
	for i := range want {
		if buckets[i] != want[i] {
			t.Errorf("%v, want %v", buckets[i], want[i])
		}
	}
}

func TestStats(t *testing.T) {
	var stats Stats
	h := open(t, Badger, func(o *Options) { o.Stats = &stats })
	before := stats.Commits.Count() // of opening
	if _, err := h.Apply(t.Context(), &codec.Set{Key: "a", Value: []byte("1"), TTLMs: 1000}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Apply(t.Context(), &codec.Set{}); !errors.Is(err, codec.ErrInvalid) {
		t.Fatal(err) // it never comes to a group
	}
	if got := stats.Groups.Sum(); got != 1 {
		t.Errorf("%d commands in groups, want 1", got)
	}
	if stats.Commits.Count() != before+1 || stats.Commits.Sum() <= 0 {
		t.Errorf("%d commits in %d ns", stats.Commits.Count(), stats.Commits.Sum())
	}
	g := h.Gauges()
	if g.DiskFree <= 0 || g.DiskLow || g.Deadlines != 1 || g.Waiting != 0 || g.CommitAge != 0 || len(g.Levels) == 0 {
		t.Errorf("%+v", g)
	}
	h.time.advance(1040 * time.Millisecond)
	h.sweep()
	if stats.Expiry.Count() != 1 || stats.Expiry.Sum() != 40 {
		t.Errorf("%d expired, %d ms late in all; want 1 and 40", stats.Expiry.Count(), stats.Expiry.Sum())
	}
}

// A commit that hangs is seen by its age.
func TestStatsCommitAge(t *testing.T) {
	s := &store{stats: &Stats{}, deadlines: newDeadlines()}
	s.state.Store(&state{backend: openMemory()})
	_ = s.stats.commit(func() error {
		if s.stats.committing.Store(int64(time.Since(processStart) - time.Minute)); s.Gauges().CommitAge < time.Minute {
			t.Errorf("the commit in progress is %v old, want a minute", s.Gauges().CommitAge)
		}
		return nil
	})
	if age := s.Gauges().CommitAge; age != 0 {
		t.Errorf("no commit is in progress, but it is %v old", age)
	}
}

func BenchmarkHistogram(b *testing.B) {
	var h Histogram
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for v := int64(1000); pb.Next(); v = v*5%10_000_019 + 1 {
			h.Observe(v)
		}
	})
}
