package guard

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestCompare(t *testing.T) {
	want := Figure{Program: 1000, Runtime: 500}
	limits := tolerance{program: 0.02, runtime: 100}
	tests := []struct {
		name             string
		program, runtime float64
		dearer, cheaper  bool
	}{
		{"the same", 1000, 500, false, false},
		{"just within, above", 1020, 600, false, false},
		{"just within, below", 980, 400, false, false},
		{"the program is dearer", 1021, 500, true, false},
		{"the runtime is dearer", 1000, 601, true, false},
		{"the program is cheaper", 979, 500, false, true},
		{"the runtime is cheaper", 1000, 399, false, true},
		{"one for the other is no bargain", 900, 601, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cheaper, err := limits.compare(Figure{Program: tt.program, Runtime: tt.runtime}, want)
			if errors.Is(err, errDearer) != tt.dearer || cheaper != tt.cheaper {
				t.Errorf("cheaper %v, %v; want cheaper %v, dearer %v", cheaper, err, tt.cheaper, tt.dearer)
			}
		})
	}
}

func TestRecordIsReadAsWritten(t *testing.T) {
	name := filepath.Join(t.TempDir(), "record")
	r := newRecord()
	r.Cells["a"] = Figure{Program: 3000, Runtime: 700}
	if err := r.write(name); err != nil {
		t.Fatal(err)
	}
	got, err := readRecord(name)
	if err != nil || got.compiler() != r.compiler() || len(got.Cells) != 1 || got.Cells["a"].String() != r.Cells["a"].String() {
		t.Errorf("got %+v, %v; want %+v", got, err, r)
	}
	if err := os.WriteFile(name, []byte(`{"Cels": {}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := readRecord(name); err == nil {
		t.Errorf("an unknown name was read as %+v", got)
	}
}

// TestRecordHasTheCells holds that nothing is recorded that is no longer counted.
func TestRecordHasTheCells(t *testing.T) {
	r, err := readRecord(recordFile)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, c := range cells() {
		want = append(want, c.name)
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(r.Cells)); !slices.Equal(got, want) {
		t.Errorf("recorded are %q; counted are %q", got, want)
	}
}
