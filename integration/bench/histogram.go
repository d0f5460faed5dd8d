package main

import (
	"math/bits"
	"time"
)

// subBits is the precision of a histogram: 32 buckets for each doubling, so a
// percentile is off by 3 % at most.
const subBits = 5

// histogram counts latencies in buckets of equal relative width. The zero
// value is empty and ready; it is not safe for concurrent use.
type histogram struct {
	count   uint64
	buckets [(64 - subBits + 1) << subBits]uint32
}

func (h *histogram) record(d time.Duration) {
	h.count++
	h.buckets[bucketOf(uint64(max(d, 0)))]++
}

func (h *histogram) add(other *histogram) {
	h.count += other.count
	for i, n := range other.buckets {
		h.buckets[i] += n
	}
}

// percentile is the latency that a share p of all did not exceed, and 0 of
// none.
func (h *histogram) percentile(p float64) time.Duration {
	rank, seen := uint64(p*float64(h.count)), uint64(0)
	for i, n := range h.buckets {
		if seen += uint64(n); seen > rank {
			return middleOf(i)
		}
	}
	return 0
}

// bucketOf is linear below 1<<subBits; above, the leading subBits+1 bits
// choose the bucket.
func bucketOf(ns uint64) int {
	if ns < 1<<subBits {
		return int(ns)
	}
	shift := bits.Len64(ns) - subBits - 1
	return shift<<subBits + int(ns>>shift)
}

func middleOf(bucket int) time.Duration {
	if bucket < 1<<subBits {
		return time.Duration(bucket)
	}
	shift := bucket>>subBits - 1
	mantissa := bucket - shift<<subBits
	return time.Duration(mantissa<<shift + 1<<shift/2)
}
