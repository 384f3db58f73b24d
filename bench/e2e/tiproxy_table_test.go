package e2e

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// behaviours is how many TIPROXY.md tells of.
const behaviours = 60

// notInSluice are those of features that it does not have: capture of traffic.
var notInSluice = []int{35}

var (
	tableRow = regexp.MustCompile(`^\| (\d+) \| (.+) \| (.*) ?\|$`)
	// A folder in which the tests are that follow it, up to the next folder.
	inFolder  = regexp.MustCompile("`([a-z0-9_/]+)`:")
	testNamed = regexp.MustCompile(`\bTest[A-Za-z0-9_]+(/[^\s,;]+)?`)
)

// TestTiProxyTable holds that each row of TIPROXY.md names tests, and that there are such tests.
func TestTiProxyTable(t *testing.T) {
	text, err := os.ReadFile("TIPROXY.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]map[string]bool{} // of a folder, its tests and the texts in them
	next := 1
	for line := range strings.Lines(string(text)) {
		row := tableRow.FindStringSubmatch(strings.TrimSpace(line))
		if row == nil {
			continue
		}
		number, err := strconv.Atoi(row[1])
		if err != nil || number != next {
			t.Fatalf("row %s stands where %d is due", row[1], next)
		}
		next++
		if slices.Contains(notInSluice, number) {
			continue
		}
		for _, why := range missingTests(row[3], known) {
			t.Errorf("behaviour %d: %s", number, why)
		}
	}
	if next != behaviours+1 {
		t.Errorf("%d behaviours, want %d", next-1, behaviours)
	}
}

// missingTests says which of the tests that a cell names are not there, or that it names none.
func missingTests(cell string, known map[string]map[string]bool) (why []string) {
	places := inFolder.FindAllStringSubmatchIndex(cell, -1)
	if len(places) == 0 {
		return []string{"names no folder"}
	}
	for i, p := range places {
		folder, end := cell[p[2]:p[3]], len(cell)
		if i+1 < len(places) {
			end = places[i+1][0]
		}
		if known[folder] == nil {
			var err error
			if known[folder], err = testsIn(filepath.Join("../..", folder)); err != nil {
				return append(why, err.Error())
			}
		}
		names := testNamed.FindAllString(cell[p[1]:end], -1)
		if len(names) == 0 {
			why = append(why, "names no test in "+folder)
		}
		for _, name := range names {
			top, sub, _ := strings.Cut(name, "/")
			if !known[folder][top] || sub != "" && !known[folder][top+"/"+sub] {
				why = append(why, fmt.Sprintf("there is no %s in %s", name, folder))
			}
		}
	}
	return why
}

// testsIn returns the names of the tests in a folder; and for each test in each file, with that file's strings behind it,
// since they are the names of its parts, and likewise the names of the folder's files in testdata.
func testsIn(folder string) (map[string]bool, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no tests in %s: %v", folder, err)
	}
	all := map[string]bool{}
	played, _ := filepath.Glob(filepath.Join(folder, "testdata", "*.txt"))
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		var parts, tests []string
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil && len(s) < 80 {
					parts = append(parts, strings.ReplaceAll(s, " ", "_"))
				}
			}
			if f, ok := n.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				tests = append(tests, f.Name.Name)
			}
			return true
		})
		for _, name := range played {
			parts = append(parts, strings.TrimSuffix(filepath.Base(name), ".txt"))
		}
		for _, test := range tests {
			all[test] = true
			for _, part := range slices.Compact(slices.Sorted(slices.Values(parts))) {
				all[test+"/"+part] = true
			}
		}
	}
	return all, nil
}

// TestTiProxyTableIsRead tries the rule that TestTiProxyTable holds.
func TestTiProxyTableIsRead(t *testing.T) {
	for cell, ok := range map[string]bool{
		"`bench/e2e`: TestTiProxyTable, TestTiDBMoveWaits":                    true,
		"`bench/e2e`: TestTiDBMoveWaits/long-data; `codec/mysql`: TestFollow": true,
		"TestTiProxyTable":                     false,
		"OWED":                                 false,
		"`bench/e2e`: nothing":                 false,
		"`bench/e2e`: TestNobodyWrote":         false,
		"`codec/mysql`: TestTiProxyTable":      false,
		"`bench/e2e`: TestTiDBMoveWaits/short": false,
		"`nowhere`: TestTiProxyTable":          false,
	} {
		if why := missingTests(cell, map[string]map[string]bool{}); (len(why) == 0) != ok {
			t.Errorf("%s: %q", cell, why)
		}
	}
}
