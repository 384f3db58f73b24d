package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"sluice/bench/internal/publish"
)

// publishCommand draws the charts of a recorded run beside its report, and puts the run into the
// README.
func publishCommand(args []string) error {
	var readme string
	flags := flag.NewFlagSet("bench publish", flag.ContinueOnError)
	flags.StringVar(&readme, "readme", "../README.md", "file that shows the run; none if empty")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "bench publish results/RUN/report.json [-readme FILE]")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	report := flags.Arg(0)
	if flags.NArg() > 0 { // flags may stand behind the report too
		if err := flags.Parse(flags.Args()[1:]); err != nil {
			return err
		}
	}
	if filepath.Base(report) != "report.json" || flags.NArg() > 0 {
		return fmt.Errorf("publish: wants the report.json of one run")
	}
	run, err := publish.Load(report)
	if err != nil {
		return err
	}
	if err := publish.WriteCharts(run.Report, run.Dir); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "charts are in %s\n", run.Dir)
	if readme == "" {
		return nil
	}
	return run.WriteReadme(readme)
}
