package guard

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Figure is the number of instructions per query, in whole ones.
type Figure struct {
	Program float64 // of Sluice and its libraries
	Runtime float64 // of Go's runtime

	functions map[string]float64 // by function, to the fraction
}

// perQuery is what a query costs, from a run with that many more queries than the other.
func perQuery(p pair, queries int) Figure {
	f := Figure{functions: map[string]float64{}}
	for name, n := range p.long {
		f.functions[name] += float64(n) / float64(queries)
	}
	for name, n := range p.short {
		f.functions[name] -= float64(n) / float64(queries)
	}
	for name, n := range f.functions {
		if ofRuntime(name) {
			f.Runtime += n
		} else {
			f.Program += n
		}
	}
	f.Program, f.Runtime = math.Round(f.Program), math.Round(f.Runtime)
	return f
}

// runtimePackages are Go's runtime, as the front of a function's name.
var runtimePackages = []string{"runtime.", "internal/runtime/", "internal/bytealg."}

// ofRuntime tells Go's runtime from the program. A name without a package is the runtime's: functions
// written in assembly, as the one that compares memory.
func ofRuntime(function string) bool {
	return !strings.Contains(function, ".") ||
		slices.ContainsFunc(runtimePackages, func(p string) bool { return strings.HasPrefix(function, p) })
}

// String tells the two parts and their sum.
func (f Figure) String() string {
	return fmt.Sprintf("%.0f (program %.0f, runtime %.0f)", f.Program+f.Runtime, f.Program, f.Runtime)
}

// dearest lists the n functions that cost most.
func (f Figure) dearest(n int) string {
	names := make([]string, 0, len(f.functions))
	for name := range f.functions {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if f.functions[a] > f.functions[b] {
			return -1
		}
		if f.functions[a] < f.functions[b] {
			return 1
		}
		return strings.Compare(a, b)
	})
	var text strings.Builder
	for _, name := range names[:min(n, len(names))] {
		fmt.Fprintf(&text, "%8.1f  %s\n", f.functions[name], name)
	}
	return text.String()
}
