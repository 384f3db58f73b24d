package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sluice/bench/internal/publish"
	"sluice/bench/internal/suite"
)

// Names in the folder of a report.
const (
	reportText     = "report.md"
	reportData     = "report.json"
	reportProfiles = "profiles"
)

// write stores a report in a folder of its own: as Markdown for people, as JSON for programs, the
// charts and the tables of the profiles. An earlier report of the same day and commit is kept: the new one gets a
// number.
func write(r *suite.Report, dir string, keepProfiles bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	folder, err := newFolder(filepath.Join(dir, r.Date[:len("2006-01-02")]+"-"+r.Machine.Commit))
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, reportData), append(data, '\n'), 0o644); err != nil {
		return err
	}
	if err := writeTops(r.Profiles, filepath.Join(folder, reportProfiles)); err != nil {
		return err
	}
	if keepProfiles {
		if err := copyProfiles(r.Profiles, filepath.Join(folder, reportProfiles)); err != nil {
			return err
		}
	}
	if err := publish.WriteCharts(r, folder); err != nil {
		return err
	}
	text := r.Markdown() + chartsText(publish.Charts(r)) + topsText(r.Profiles)
	if err := os.WriteFile(filepath.Join(folder, reportText), []byte(text), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "written to %s\n", folder)
	return nil
}

// chartsText shows the charts.
func chartsText(charts []publish.Chart) string {
	if len(charts) == 0 {
		return ""
	}
	text := "\n## Charts\n"
	for _, c := range charts {
		text += fmt.Sprintf("\n![%s](%s)\n", c.Title, c.File)
	}
	return text
}

// topsText names the tables of the profiles.
func topsText(profiles []suite.Profile) string {
	text := ""
	for _, p := range profiles {
		if p.Top != "" {
			text += fmt.Sprintf("- [%s](%s/%s.txt)", p.Name, reportProfiles, p.Name)
			if p.Sched != "" {
				text += fmt.Sprintf(", [scheduler](%s/%s.sched.txt)", reportProfiles, p.Name)
			}
			text += "\n"
		}
	}
	if text == "" {
		return ""
	}
	return "\n## Where Sluice's time went\nThe functions with the most CPU time of their own, in a profile of two seconds under the load; " +
		"and from a trace of the scheduler, where goroutines could have run and waited.\n\n" + text
}

// newFolder makes a folder that was not there, with a number behind its name if need be.
func newFolder(base string) (string, error) {
	name := base
	for n := 2; ; n++ {
		err := os.Mkdir(name, 0o755)
		if !errors.Is(err, os.ErrExist) {
			return name, err
		}
		name = fmt.Sprintf("%s-%d", base, n)
	}
}

// writeTops stores the tables of the profiles, if there are any.
func writeTops(profiles []suite.Profile, dir string) error {
	for _, p := range profiles {
		if p.Top == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for name, text := range map[string]string{p.Name + ".txt": p.Top, p.Name + ".sched.txt": p.Sched} {
			if text == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// profileMax is the size, in bytes, up to which a profile may stand beside a report, where it is kept
// for good. One of two seconds is far below.
const profileMax = 300 << 10

// copyProfiles puts the CPU profiles beside the report, but for large ones.
func copyProfiles(profiles []suite.Profile, dir string) error {
	for _, p := range profiles {
		data, err := os.ReadFile(p.CPU)
		if err != nil {
			return err
		}
		if len(data) > profileMax {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(p.CPU)), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
