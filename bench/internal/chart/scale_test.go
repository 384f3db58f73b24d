package chart

import (
	"math"
	"slices"
	"testing"
)

func TestLinear(t *testing.T) {
	tests := []struct {
		most  float64
		ticks []float64
	}{
		{20, []float64{0, 5, 10, 15, 20}},
		{20.1, []float64{0, 5, 10, 15, 20, 25}},
		{0.3, []float64{0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3}},
		{64000, []float64{0, 20000, 40000, 60000, 80000}},
	}
	for _, tt := range tests {
		s := linear(tt.most, 6, 100, 500)
		if !slices.EqualFunc(s.ticks, tt.ticks, near) {
			t.Errorf("to %v: ticks at %v; want %v", tt.most, s.ticks, tt.ticks)
		}
		if !near(s.at(0), 100) || !near(s.at(s.to), 500) || !near(s.at(s.to/4), 200) {
			t.Errorf("to %v: 0 at %v, a quarter at %v, the end at %v", tt.most, s.at(0), s.at(s.to/4), s.at(s.to))
		}
	}
}

func TestLogarithmic(t *testing.T) {
	tests := []struct {
		least, most float64
		ticks       []float64
	}{
		{0.28, 9.5, []float64{0.2, 0.5, 1, 2, 5, 10}},
		{1, 10, []float64{1, 2, 5, 10}},
		{3, 3, []float64{2, 5}},
		{1, 1, []float64{1, 2}},
		{0.2, 400, []float64{0.1, 1, 10, 100, 1000}},
	}
	for _, tt := range tests {
		s := logarithmic(tt.least, tt.most, 0, 300)
		if !slices.EqualFunc(s.ticks, tt.ticks, near) {
			t.Errorf("%v to %v: ticks at %v; want %v", tt.least, tt.most, s.ticks, tt.ticks)
		}
		if s.at(tt.least) < -1e-6 || s.at(tt.most) > 300+1e-6 {
			t.Errorf("%v to %v: at %v and %v, which is outside", tt.least, tt.most, s.at(tt.least), s.at(tt.most))
		}
		if middle := math.Sqrt(s.from * s.to); !near(s.at(middle), 150) {
			t.Errorf("%v to %v: the geometric middle is at %v", tt.least, tt.most, s.at(middle))
		}
	}
}

// TestScaleLimits: an axis for the least and the greatest figure has few ticks.
func TestScaleLimits(t *testing.T) {
	for _, v := range []float64{figureMin, figureMax} {
		if n := len(linear(v, 6, 0, 100).ticks); n > 8 {
			t.Errorf("to %v: %d ticks", v, n)
		}
	}
	if n := len(logarithmic(figureMin, figureMax, 0, 100).ticks); n > 26 {
		t.Errorf("from end to end: %d ticks", n)
	}
	for _, v := range []float64{0, -1, figureMin / 2, figureMax * 2, math.NaN(), math.Inf(1)} {
		if known(v) {
			t.Errorf("%v passes for a figure", v)
		}
	}
}

func TestCounts(t *testing.T) {
	s := counts([]float64{512, 1, 32, 1, 512}, 10, 100)
	if !slices.Equal(s.ticks, []float64{1, 32, 512}) || !near(s.at(1), 10) || !near(s.at(512), 100) || !near(s.at(32), 60) {
		t.Errorf("got %v with 1, 32 and 512 at %v, %v, %v", s.ticks, s.at(1), s.at(32), s.at(512))
	}
	if one := counts([]float64{32}, 10, 100); !near(one.at(32), 55) {
		t.Errorf("a single count is at %v; want the middle", one.at(32))
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{
		0.0004: "0.000400", 0.12345: "0.123", 0.9996: "1.00", 1.5: "1.50", 1.256: "1.26", 9.996: "10.0", 12.34: "12.3", 99.96: "100",
		123.4: "123", 9999: "9999", 10000: "10.0k", 12345: "12.3k", 123456: "123k", 9999400: "9999k", 9999600: "10.0M", 12345678: "12.3M",
	} {
		if got := short(v); got != want {
			t.Errorf("%v: got %s; want %s", v, got, want)
		}
	}
}

func TestTickText(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.05: "0.05", 1: "1", 512: "512", 10000: "10k", 25000: "25k", 20e6: "20M"} {
		if got := tickText(v); got != want {
			t.Errorf("%v: got %s; want %s", v, got, want)
		}
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6*max(1, math.Abs(b)) }
