package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	memoryLimit = 1536 << 20 // fits a machine of 2 GiB
	// garbage is how much of it a small store may leave before it is collected.
	// Twice what lives, the usual bound, is little where little lives, and
	// collecting would take a seventh of the processor time under load.
	garbage = 256 << 20
	// unheaped is about what counts to the limit beside what lives: stacks, the
	// collector's own, and what lies between living things.
	unheaped = 64 << 20
	// tuneEvery is how often the limit is set.
	tuneEvery = time.Second
)

// tuneMemory has the collector work less while memory is plenty, and harder
// when it gets scarce, unless the environment says otherwise. The returned
// function ends that.
func tuneMemory() (end func()) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	var ballast []byte
	if os.Getenv("GOGC") == "" {
		// Bytes that nobody touches: they count as living, but no page of them
		// is ever resident.
		ballast = make([]byte, garbage)
	}
	set := func(live int64) {
		size := int64(len(ballast))
		debug.SetMemoryLimit(size + limitFor(live-size))
	}
	set(0)
	stop := make(chan struct{})
	var tuner sync.WaitGroup
	tuner.Go(func() { followLive(set, stop) })
	return func() {
		close(stop)
		tuner.Wait()
		runtime.KeepAlive(ballast)
	}
}

// limitFor is how much memory may be used where so many bytes live: a sixteenth
// more at the least. With a limit that they fill the collector would never rest.
func limitFor(live int64) int64 { return max(memoryLimit, live+live/16+unheaped) }

// followLive tells set what the last collection has found living, until stop is
// closed.
func followLive(set func(live int64), stop <-chan struct{}) {
	ticker := time.NewTicker(tuneEvery)
	defer ticker.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		if metrics.Read(live); live[0].Value.Kind() == metrics.KindUint64 {
			set(int64(live[0].Value.Uint64()))
		}
	}
}
