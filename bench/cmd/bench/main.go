// Command bench measures Sluice beside a direct connection, a bare relay and HAProxy, in one run, and
// writes a report. The method is told in bench/README.md.
//
// It is run in the folder bench: go run ./cmd/bench -help
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sluice/bench/internal/suite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// What a run is when the flags do not say otherwise; the quick one ends within four minutes.
const (
	roundsFull, roundsQuick   = 5, 3
	secondsFull, secondsQuick = 3.5, 0.5 // with lead and tail 5 and 2 whole seconds
	outFull, outQuick         = "results", "out"
)

func run(ctx context.Context, args []string) error {
	var o suite.Options
	var out, only string
	var seconds float64
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&o.Quick, "quick", false, "only the quick scenarios, with fewer and shorter rounds")
	flags.IntVar(&o.Rounds, "rounds", 0, fmt.Sprintf("how often each cell is measured (default %d, quick %d)", roundsFull, roundsQuick))
	flags.Float64Var(&seconds, "seconds", 0, fmt.Sprintf("length of one measurement (default %g, quick %g)", secondsFull, secondsQuick))
	flags.IntVar(&o.Threads, "threads", 1, "threads of HAProxy, and loops of Sluice")
	flags.StringVar(&only, "only", "", "comma-separated names of scenarios, loads and contenders; others are left out")
	flags.Float64Var(&o.Rate, "rate", 0, "queries per second of the paced scenarios (default a third of the peak)")
	flags.Float64Var(&o.Calm, "calm", 0, "take a sample again if other programs used more CPU than this meanwhile, in cores (default: never)")
	flags.StringVar(&o.Sluice, "sluice", "../bin/sluice", "Sluice's program")
	flags.StringVar(&o.Floor, "floor", "floor/relay.c", "source of the bare relay")
	flags.StringVar(&out, "out", "", fmt.Sprintf("folder for the report (default %s, quick %s)", outFull, outQuick))
	flags.Func("variant", "a further Sluice, `NAME:KEY=VALUE,…`: environment variables, or BIN=program", func(text string) error {
		v, err := suite.ParseVariant(text)
		o.Variants = append(o.Variants, v)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	o.Progress = os.Stderr
	if only != "" {
		o.Only = strings.Split(only, ",")
	}
	fillDefaults(&o, &seconds, &out)
	if err := absolute(&o.Sluice, &o.Floor); err != nil {
		return err
	}
	report, err := suite.Run(ctx, o)
	if report != nil {
		fmt.Print(report.Markdown())
	}
	if err != nil {
		return err // what was measured until then is printed, but not kept
	}
	return write(report, out)
}

// fillDefaults sets what was not given, by whether the run is quick.
func fillDefaults(o *suite.Options, seconds *float64, out *string) {
	rounds, length, folder := roundsFull, secondsFull, outFull
	if o.Quick {
		rounds, length, folder = roundsQuick, secondsQuick, outQuick
	}
	if o.Rounds == 0 {
		o.Rounds = rounds
	}
	if *seconds == 0 {
		*seconds = length
	}
	if *out == "" {
		*out = folder
	}
	o.Window = time.Duration(*seconds * float64(time.Second))
}

// absolute makes paths good from any folder: the contenders run in their own.
func absolute(paths ...*string) error {
	for _, p := range paths {
		abs, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		*p = abs
	}
	return nil
}

// write stores a report as Markdown for people and as JSON for programs. An earlier report of the
// same day and commit is kept: the new one gets a number.
func write(r *suite.Report, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	base := filepath.Join(dir, r.Date[:len("2006-01-02")]+"-"+r.Machine.Commit)
	name := base
	for n := 2; ; n++ {
		f, err := os.OpenFile(name+".md", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, os.ErrExist) {
			name = fmt.Sprintf("%s-%d", base, n)
			continue
		}
		if err != nil {
			return err
		}
		if _, err := f.WriteString(r.Markdown()); err != nil {
			return errors.Join(err, f.Close())
		}
		if err := f.Close(); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "written to %s.md and .json\n", name)
		return os.WriteFile(name+".json", append(text, '\n'), 0o644)
	}
}
