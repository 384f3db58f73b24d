package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// write stores a report in a folder of its own below dir: for people, and for programs. An earlier one of the same day and commit is
// kept: the new one gets a number.
func (r *report) write(dir string) (folder string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	base := filepath.Join(dir, r.Date[:len("2006-01-02")]+"-"+r.Machine.Commit+"-move")
	folder = base
	for n := 2; ; n++ {
		err := os.Mkdir(folder, 0o755)
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrExist) {
			return "", err
		}
		folder = fmt.Sprintf("%s-%d", base, n)
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(folder, "report.json"), append(data, '\n'), 0o644); err != nil {
		return "", err
	}
	return folder, os.WriteFile(filepath.Join(folder, "report.md"), []byte(r.markdown()), 0o644)
}
