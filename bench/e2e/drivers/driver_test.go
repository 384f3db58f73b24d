package drivers

import (
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
