package synth

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestBetween(t *testing.T) {
	start := time.Unix(1000, 0)
	r := Result{Start: start.UnixNano(), Bin: 10 * time.Millisecond, Bins: []int64{100, 200, 0, 400}}
	tests := []struct {
		from, to time.Duration
		want     int64
	}{
		{-time.Hour, time.Hour, 700},
		{0, 10 * time.Millisecond, 100},
		{5 * time.Millisecond, 15 * time.Millisecond, 150},
		{12 * time.Millisecond, 14 * time.Millisecond, 40},
		{20 * time.Millisecond, 30 * time.Millisecond, 0},
		{35 * time.Millisecond, time.Second, 200},
		{time.Second, time.Minute, 0},
		{15 * time.Millisecond, 5 * time.Millisecond, 0},
	}
	for _, tt := range tests {
		if got := r.Between(start.Add(tt.from), start.Add(tt.to)); got != tt.want {
			t.Errorf("between %v and %v: %d; want %d", tt.from, tt.to, got, tt.want)
		}
	}
}

func TestParseResult(t *testing.T) {
	want := Result{Queries: 7, P99: 3 * time.Microsecond, Start: 5, Until: 9, Bin: bin, Bins: []int64{3, 4}}
	var out bytes.Buffer
	out.WriteString("warm\n")
	if err := want.write(&out); err != nil {
		t.Fatal(err)
	}
	got, err := ParseResult(out.Bytes())
	if err != nil || got.Queries != 7 || got.P99 != want.P99 || got.Until != want.Until || got.Bin != bin || len(got.Bins) != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, text := range []string{"", "warm\n", "{}", `{"queries":1,"bin_ns":10}`} {
		if _, err := ParseResult([]byte(text)); err == nil || !strings.Contains(err.Error(), "synthetic load") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
