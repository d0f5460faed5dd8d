package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

const (
	memoryLimit = 1536 << 20 // fits a machine of 2 GiB
	// garbage is how much of it a small store may leave before it is collected.
	// Twice what lives, the usual bound, is little where little lives, and
	// collecting would take a seventh of the processor time under load.
	garbage = 256 << 20
)

// tuneMemory has the collector work less while memory is plenty, and harder
// when it gets scarce, unless the environment says otherwise. The returned
// function ends that.
func tuneMemory() (end func()) {
	end = func() {}
	if os.Getenv("GOMEMLIMIT") != "" {
		return end
	}
	limit := int64(memoryLimit)
	if os.Getenv("GOGC") == "" {
		// Bytes that nobody touches: they count as living, but no page of them
		// is ever resident.
		ballast := make([]byte, garbage)
		end = func() { runtime.KeepAlive(ballast) }
		limit += garbage
	}
	debug.SetMemoryLimit(limit)
	return end
}
