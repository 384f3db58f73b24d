package synth

import (
	"math"
	"math/bits"
	"time"
)

// histogram counts durations in buckets whose width grows with the value: each power of two is cut
// into subBuckets, so a bucket is at most 1/128 (0.8 %) of its value wide, and its middle is off by
// half of that. Below 256 ns it is exact.
type histogram struct {
	counts [(64 - subBits) << subBits]uint64
	total  uint64
	max    time.Duration
}

const (
	subBits    = 7
	subBuckets = 1 << subBits
)

// bucketOf is the index of a value's bucket. Values of 2^(shift+7) to 2^(shift+8) - 1 share a shift.
func bucketOf(ns uint64) int {
	shift := max(0, bits.Len64(ns)-subBits-1)
	return shift<<subBits + int(ns>>shift)
}

// middleOf is the value in the middle of a bucket.
func middleOf(bucket int) time.Duration {
	shift := max(0, bucket>>subBits-1)
	low := uint64(bucket-shift<<subBits) << shift
	return time.Duration(low + (1<<shift)/2)
}

// add counts n durations. One below zero counts as zero: clocks are read at different moments.
func (h *histogram) add(d time.Duration, n uint64) {
	d = max(0, d)
	h.counts[bucketOf(uint64(d))] += n
	h.total += n
	h.max = max(h.max, d)
}

// percentile returns the value that so many per cent of all durations do not pass; 0 if there are none.
func (h *histogram) percentile(p float64) time.Duration {
	rank := uint64(math.Ceil(p / 100 * float64(h.total)))
	seen := uint64(0)
	for i, n := range h.counts {
		if seen += n; seen >= max(1, rank) && n > 0 {
			return min(middleOf(i), h.max)
		}
	}
	return h.max
}
