package suite

import (
	"encoding/json"
	"math"
	"slices"
)

// Spread sums up one figure over the rounds.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// SpreadOf sums up figures. Without any it is not a number throughout, which JSON shows as null.
func SpreadOf(figures []float64) Spread {
	if len(figures) == 0 {
		return Spread{math.NaN(), math.NaN(), math.NaN()}
	}
	sorted := slices.Sorted(slices.Values(figures))
	n := len(sorted)
	return Spread{
		Median: (sorted[(n-1)/2] + sorted[n/2]) / 2,
		Min:    sorted[0],
		Max:    sorted[n-1],
	}
}

// Known reports whether there is any figure behind the spread.
func (s Spread) Known() bool { return !math.IsNaN(s.Median) }

// MarshalJSON writes an unknown spread as null, since JSON has no other word for it.
func (s Spread) MarshalJSON() ([]byte, error) {
	if !s.Known() {
		return []byte("null"), nil
	}
	type plain Spread
	return json.Marshal(plain(s))
}

// ratios divides round by round: only figures of the same round were taken under like conditions. A
// figure of nothing (the CPU of a contender without a process) has no ratio.
func ratios(of, to []float64) []float64 {
	var out []float64
	for i := range min(len(of), len(to)) {
		if of[i] > 0 && to[i] > 0 {
			out = append(out, of[i]/to[i])
		}
	}
	return out
}
