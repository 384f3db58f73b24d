package guard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
)

// Record is what the guard compares with: the figures of each cell, by its name, and by which compiler
// they were made. It is kept as a file, whose history tells what each change cost.
type Record struct {
	Go    string            // version of the compiler
	Arch  string            // GOARCH
	Cells map[string]Figure // instructions per query
}

// newRecord is an empty record of this compiler. The guard builds the program with the same one.
func newRecord() *Record {
	return &Record{Go: runtime.Version(), Arch: runtime.GOARCH, Cells: map[string]Figure{}}
}

// readRecord reads the record from a file.
func readRecord(name string) (*Record, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var r Record
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(&r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &r, nil
}

// write keeps the record in a file. Parts of an instruction are noise.
func (r *Record) write(name string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(text, '\n'), 0o644)
}

// compiler says what the record was made with, for messages.
func (r *Record) compiler() string { return r.Go + " for " + r.Arch }

// tolerance is how far above its record a count may be.
type tolerance struct {
	program float64 // as a share of the record
	runtime float64 // in instructions
}

// The tolerances are from some twenty counts of each cell, on a machine that was idle, that had both
// processors taken by others, and that had ten programs waiting for them. The program's part was within
// 0.6 % in all of them. The runtime's part was up to 650 instructions higher in busy cells, where Sluice
// runs out of work when its peers are kept from theirs. In paced ones a thread of the runtime looks around
// by the clock for as long as a query takes, which on a crowded machine is long: there only a change of
// kind is told. To hand a query to another goroutine and back
// costs some 2400 (a ping-pong over two channels, counted in the same way), so no hop goes unnoticed:
// the busy cells tell.
var (
	busyTolerance  = tolerance{program: 0.02, runtime: 1000}
	pacedTolerance = tolerance{program: 0.02, runtime: 20000}
)

func (c cell) tolerance() tolerance {
	if c.paced {
		return pacedTolerance
	}
	return busyTolerance
}

// errDearer is what a count gets that is above its record.
var errDearer = errors.New("more instructions per query than recorded")

// compare holds a figure against the record: an error if a part is above it by more than the
// tolerance. cheaper tells that a part is as much below it, so that the record is worth a renewal:
// until then the gain could be lost again unnoticed.
func (t tolerance) compare(got, want Figure) (cheaper bool, err error) {
	program, runtime := t.program*want.Program, t.runtime
	if got.Program > want.Program+program || got.Runtime > want.Runtime+runtime {
		return false, fmt.Errorf("%w: got %v; want %v, at most %.0f and %.0f more",
			errDearer, got, want, program, runtime)
	}
	return got.Program < want.Program-program || got.Runtime < want.Runtime-runtime, nil
}
