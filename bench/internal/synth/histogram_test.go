package synth

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestHistogramIsExact compares percentiles with those of the sorted values, over the whole range.
func TestHistogramIsExact(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, top := range []float64{300, 1e5, 1e7, 1e9, 1e13} {
		var h histogram
		values := make([]float64, 5000)
		for i := range values {
			values[i] = math.Floor(math.Exp(random.Float64() * math.Log(top)))
			h.add(time.Duration(values[i]), 1)
		}
		slices.Sort(values)
		for _, p := range []float64{0.01, 1, 50, 90, 99, 99.9, 100} {
			want := values[max(0, int(math.Ceil(p/100*float64(len(values))))-1)]
			if got := float64(h.percentile(p)); math.Abs(got-want) > 0.004*want+0.5 {
				t.Errorf("up to %g: p%g is %g; want %g", top, p, got, want)
			}
		}
		if h.max != time.Duration(values[len(values)-1]) || h.total != uint64(len(values)) {
			t.Errorf("up to %g: max %v of %d values", top, h.max, h.total)
		}
	}
}

// TestHistogramBuckets walks along the edges: buckets follow each other without gap or overlap.
func TestHistogramBuckets(t *testing.T) {
	last := -1
	for shift := range 63 {
		for _, v := range []uint64{1<<shift - 1, 1 << shift, 1<<shift + 1<<shift/128} {
			b := bucketOf(v)
			if b < last || b > last+subBuckets && v > 2 {
				t.Errorf("value %d is in bucket %d, behind %d", v, b, last)
			}
			last = max(last, b)
			if middle := float64(middleOf(b)); math.Abs(middle-float64(v)) > 0.004*float64(v) {
				t.Errorf("value %d is in the bucket around %g", v, middle)
			}
		}
	}
	var h histogram
	h.add(math.MaxInt64, 1)
	h.add(-5, 1)
	if h.percentile(50) != 0 || h.percentile(100) < math.MaxInt64/1000*995 {
		t.Errorf("p50 %v, p100 %v of the least and the greatest", h.percentile(50), h.percentile(100))
	}
	if got := new(histogram).percentile(99); got != 0 {
		t.Errorf("p99 of nothing is %v", got)
	}
}
