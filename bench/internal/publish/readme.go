package publish

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The marks in the README between which a run's block stands.
const (
	markBegin = "<!-- bench:begin -->\n"
	markEnd   = "<!-- bench:end -->\n"
)

var errMarks = errors.New("wants one line <!-- bench:begin --> and behind it one line <!-- bench:end -->")

// cut takes a text apart at the marks.
func cut(text string) (before, block, behind string, err error) {
	before, rest, ok := strings.Cut(text, markBegin)
	if !ok {
		return "", "", "", errMarks
	}
	block, behind, ok = strings.Cut(rest, markEnd)
	if !ok || strings.Contains(before+block+behind, markBegin) || strings.Contains(before+behind, markEnd) {
		return "", "", "", errMarks
	}
	return before, block, behind, nil
}

// WriteReadme puts the run's block between the marks of a README, and leaves the rest as it is.
func (r *Run) WriteReadme(file string) error {
	if names := r.missing(); len(names) > 0 {
		return fmt.Errorf("the run in %s is not a whole one: Sluice did not take part in %s", r.Dir, strings.Join(names, ", "))
	}
	dir, err := seenFrom(file, r.Dir)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, _, behind, err := cut(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(before+markBegin+r.Block(dir)+markEnd+behind), 0o644)
}

// seenFrom is the way from the folder of a file to dir, as a link writes it.
func seenFrom(file, dir string) (string, error) {
	from, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return "", err
	}
	to, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	way, err := filepath.Rel(from, to)
	return filepath.ToSlash(way), err
}
