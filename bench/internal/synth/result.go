package synth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Result is what a load came to.
type Result struct {
	// Queries is how many questions have been answered, and answered right, from the first to the last.
	Queries int64 `json:"queries"`
	// Measured is how many of those due after the warm-up the percentiles are made of, Unsent included.
	Measured int64 `json:"measured"`
	// Unsent is how many questions of an open loop were due and could not be asked until its end,
	// because all clients were waiting. They count with the time that they had waited by then.
	Unsent int64 `json:"unsent"`
	// Latencies: in a closed loop from when a question was asked, in an open one from when it was due,
	// to the moment when the client had read the end of the answer.
	P50  time.Duration `json:"p50_ns"`
	P99  time.Duration `json:"p99_ns"`
	P999 time.Duration `json:"p999_ns"`
	Max  time.Duration `json:"max_ns"`
	// CPU is the CPU time of the client's process from the line "warm" to the end.
	CPU time.Duration `json:"cpu_ns"`
	// Start is when Bins begin, in nanoseconds of Unix time.
	Start int64 `json:"start_ns"`
	// Until is when the asking ended, in the same unit. What is counted behind it is a load that runs dry.
	Until int64 `json:"until_ns"`
	// Bin is the width of a bin.
	Bin time.Duration `json:"bin_ns"`
	// Bins count the answers in the order of time.
	Bins []int64 `json:"bins"`
}

// write writes the result as one line.
func (r Result) write(to io.Writer) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = to.Write(append(text, '\n'))
	return err
}

// ParseResult reads the result from all that a client has written to its standard output.
func ParseResult(output []byte) (Result, error) {
	var r Result
	lines := bytes.Split(bytes.TrimSpace(output), []byte{'\n'})
	last := lines[len(lines)-1]
	if err := json.Unmarshal(last, &r); err != nil {
		return r, fmt.Errorf("the result of a synthetic load: %w in %.100q", err, last)
	}
	if r.Bin <= 0 || len(r.Bins) == 0 && r.Queries > 0 {
		return r, fmt.Errorf("the result of a synthetic load holds no counts: %.100q", last)
	}
	return r, nil
}

// Covers reports whether questions were asked until that moment.
func (r Result) Covers(to time.Time) bool { return to.UnixNano() <= r.Until }

// Between returns how many answers came between two moments. Those of a bin that lies only partly
// between them are taken as spread evenly over it.
func (r Result) Between(from, to time.Time) int64 {
	low, high := from.UnixNano()-r.Start, to.UnixNano()-r.Start
	sum, width := 0.0, int64(r.Bin)
	for i, n := range r.Bins {
		begin := int64(i) * width
		if shared := min(high, begin+width) - max(low, begin); shared > 0 {
			sum += float64(n) * float64(shared) / float64(width)
		}
	}
	return int64(sum + 0.5)
}
