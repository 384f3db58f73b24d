package publish

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestReadmeShowsNewestRun: what the README says of speed is the newest whole run, and its charts are
// those of that run. As long as none is recorded, nothing stands between the marks.
func TestReadmeShowsNewestRun(t *testing.T) {
	const readme, results = "../../../README.md", "../../results"
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	_, block, _, err := cut(string(text))
	if err != nil {
		t.Fatalf("%s: %v", readme, err)
	}
	run, err := Newest(results)
	if err != nil {
		t.Fatal(err)
	}
	if run == nil {
		if block != "" {
			t.Errorf("%s shows a run, but %s has no whole one", readme, results)
		}
		return
	}
	again := "cd bench && go run ./cmd/bench publish results/" + filepath.Base(run.Dir) + "/report.json"
	dir, err := seenFrom(readme, run.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := run.Block(dir); block != want {
		t.Errorf("%s does not show the newest run; %s\ngot:\n%s\nwant:\n%s", readme, again, block, want)
	}
	for _, c := range Charts(run.Report) {
		file := filepath.Join(run.Dir, c.File)
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, c.SVG) {
			t.Errorf("%s is not what its report gives (%v); %s", file, err, again)
		}
	}
}
