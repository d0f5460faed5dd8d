package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestMemoryLimitFollowsWhatLives(t *testing.T) {
	const mib = 1 << 20
	for live, want := range map[int64]int64{
		0:          memoryLimit,
		1024 * mib: memoryLimit,
		2048 * mib: 2240 * mib,
		8192 * mib: 8768 * mib,
	} {
		if got := limitFor(live); got != want {
			t.Errorf("%d MiB live: a limit of %d MiB, want %d", live/mib, got/mib, want/mib)
		}
	}
}

// TestMemoryLimitIsSet: from the beginning, and as what lives grows.
func TestMemoryLimitIsSet(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "")
	t.Setenv("GOGC", "")
	defer debug.SetMemoryLimit(math.MaxInt64)
	end := tuneMemory()
	got := debug.SetMemoryLimit(-1)
	end()
	if got != memoryLimit+garbage {
		t.Errorf("the limit is %d", got)
	}
	runtime.GC()
	stop := make(chan struct{})
	var told int64
	followLive(func(live int64) {
		if told == 0 && live > 0 {
			told = live
			close(stop)
		}
	}, stop)
	if told <= 0 {
		t.Error("nothing lives")
	}
}
