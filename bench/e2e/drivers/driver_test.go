package drivers

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for output, want := range map[string]string{
		"ok a\nok b\n":                    "",
		"a warning\nok b\nok a":           "",
		"ok a\n":                          "nothing was said of b",
		"ok a\nFAIL b no such thing\n":    "FAIL b no such thing",
		"ok a\nok b\nok a\n":              "the path a was run twice",
		"ok a\nok b\nok c\n":              "nobody knows the path c",
		"":                                "nothing was said of a\nnothing was said of b",
		"okay a\nFAILED b\nok  a\nok b x": "",
	} {
		got := ""
		if err := Check(output, []string{"a", "b"}); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", output, got, want)
		}
	}
}

func TestPathsAreNamedOnce(t *testing.T) {
	for _, d := range All() {
		seen := map[string]bool{}
		for _, p := range d.Paths {
			if seen[p] || p != strings.ToLower(p) {
				t.Errorf("%s: path %q", d.Name, p)
			}
			seen[p] = true
		}
	}
}

// TestMissingTool: a language that is not on the machine fails its driver's test, and says what to do.
func TestMissingTool(t *testing.T) {
	w := &workshop{out: t.TempDir()}
	err := w.run(w.out, tool{name: "no-such-compiler", debianPackage: "no-such-package"})
	if err == nil || !strings.Contains(err.Error(), "install Debian's package no-such-package") {
		t.Errorf("got %v", err)
	}
}

// TestFetchedOnce: what was fetched for a manifest is kept, and a fetch that failed is begun again.
func TestFetchedOnce(t *testing.T) {
	w := &workshop{source: t.TempDir(), cache: t.TempDir()}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(w.source, "manifest"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fills := 0
	fetch := func(result error) (string, error) {
		return w.fetched("x", "1", []string{"manifest"}, func(dir string) error {
			fills++
			if _, err := os.Stat(filepath.Join(dir, "half")); err == nil {
				t.Error("what a failed fetch left is still there")
			}
			if err := os.WriteFile(filepath.Join(dir, "half"), nil, 0o644); err != nil {
				t.Error(err)
			}
			return result
		})
	}
	write("a")
	broken := errors.New("broken")
	if _, err := fetch(broken); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	first, err := fetch(nil)
	again, errAgain := fetch(nil)
	if err != nil || errAgain != nil || first != again || fills != 2 {
		t.Errorf("%q, %v, then %q, %v after %d fills", first, err, again, errAgain, fills)
	}
	write("b")
	if other, err := fetch(nil); err != nil || other == first || fills != 3 {
		t.Errorf("%q, %v after %d fills: another manifest, the same folder", other, err, fills)
	}
}
