package tidy

import (
	"go/ast"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"testing"
)

// metricName is a metric of the program's own.
var metricName = regexp.MustCompile(`\bsluice_[a-z_]+`)

// TestReadmeNamesEveryMetric: what is measured is explained, and what is explained is measured.
func TestReadmeNamesEveryMetric(t *testing.T) {
	files := repository(t)
	measured, explained := map[string]bool{}, map[string]bool{}
	for _, s := range files {
		switch {
		case s.path == "README.md":
			for _, name := range metricName.FindAllString(string(s.text), -1) {
				explained[name] = true
			}
		case s.file != nil && !s.isTest() && slices.Contains([]string{"cmd/sluice", "engine/session"}, s.folder):
			ast.Inspect(s.file, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					for _, name := range metricName.FindAllString(lit.Value, -1) {
						measured[name] = true
					}
				}
				return true
			})
		}
	}
	if len(measured) == 0 {
		t.Fatal("no metric was found")
	}
	for _, name := range slices.Sorted(maps.Keys(measured)) {
		if !explained[name] {
			t.Errorf("README.md does not explain %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(explained)) {
		if !measured[name] {
			t.Errorf("README.md explains %s, which is not measured", name)
		}
	}
}
