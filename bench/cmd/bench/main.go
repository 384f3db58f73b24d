// Command bench measures Sluice beside a direct connection, a bare relay and other proxies, in one run,
// and writes a report. The method is told in bench/README.md.
//
// It is run in the folder bench: go run ./cmd/bench -help
//
// Its first argument can name another task: synth is one side of a synthetic load, which a run starts
// by itself; publish puts a recorded run into the README.
package main

import (
	"context"
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
	"sluice/bench/internal/synth"
)

func main() {
	synth.RunAsChild() // before signals are caught: it is to end by them
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

// Where things go when the flags do not say otherwise.
const (
	outFull, outQuick = "results", "out"
	profilesFull      = "out/profiles"
)

// command is what the flags of a run ask for.
type command struct {
	suite.Options
	out string // folder of reports
	pgo string // file for the merged profile; "" = none

	keepProfiles bool // also beside the report
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "publish" {
		return publishCommand(args[1:])
	}
	c, err := parse(args)
	if err != nil {
		return err
	}
	if err := absolute(&c.Sluice, &c.Floor, &c.Profiles, &c.pgo); err != nil {
		return err
	}
	report, err := suite.Run(ctx, c.Options)
	if report == nil {
		return err
	}
	fmt.Print(report.Markdown())
	if report.Empty() {
		return err
	}
	// What was measured is kept, whatever has failed besides.
	if err := errors.Join(err, write(report, c.out, c.keepProfiles)); err != nil || c.pgo == "" {
		return err
	}
	return report.MergeProfiles(ctx, c.pgo)
}

// parse reads the flags and fills in what they leave open, by whether the run is quick.
func parse(args []string) (c command, err error) {
	full, quick := suite.Defaults(false), suite.Defaults(true)
	var only string
	var seconds float64
	c.Programs = map[string]string{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&c.Quick, "quick", false, "only the quick scenarios, with fewer and shorter rounds")
	flags.IntVar(&c.Rounds, "rounds", 0, fmt.Sprintf("how often each cell is measured (default %d, quick %d)", full.Rounds, quick.Rounds))
	flags.Float64Var(&seconds, "seconds", 0, fmt.Sprintf("length of one measurement (default %g, quick %g)", full.Window.Seconds(), quick.Window.Seconds()))
	flags.IntVar(&c.Threads, "threads", full.Threads, "threads of each contender that can have several, and loops of Sluice")
	flags.StringVar(&only, "only", "", "comma-separated names of scenarios, loads and contenders; others are left out")
	flags.Float64Var(&c.Rate, "rate", 0, "queries per second of the paced scenarios (default a third of the peak)")
	flags.Float64Var(&c.Calm, "calm", 0, "take a sample again if other programs used more CPU than this meanwhile, in cores (default: never)")
	flags.StringVar(&c.Sluice, "sluice", "../bin/sluice", "Sluice's program")
	flags.StringVar(&c.Floor, "floor", "floor/relay.c", "source of the bare relay")
	flags.StringVar(&c.out, "out", "", fmt.Sprintf("folder for the report's folder (default %s, quick %s)", outFull, outQuick))
	flags.StringVar(&c.Profiles, "profiles", "", fmt.Sprintf("folder for profiles and traces of Sluice, or none (default %s, quick none)", profilesFull))
	flags.BoolVar(&c.keepProfiles, "keep-profiles", false, fmt.Sprintf("put CPU profiles of at most %d KiB beside the report too", profileMax>>10))
	flags.StringVar(&c.pgo, "pgo", "", "`file` for one profile that is the sum of all, such as ../cmd/sluice/default.pgo")
	flags.Func("contender", "`NAME=PATH` of a contender's program that is not in PATH, or not to be taken from there", func(text string) error {
		name, path, err := suite.ParseProgram(text)
		if err != nil {
			return err
		}
		c.Programs[name], err = filepath.Abs(path)
		return err
	})
	flags.Func("relay", "a relay program as a further contender, `NAME:PROGRAM,FLAG,…`; it is given two addresses, where to listen and the server's", func(text string) error {
		r, err := suite.ParseRelay(text)
		if err != nil {
			return err
		}
		r.Program, err = filepath.Abs(r.Program)
		c.Relays = append(c.Relays, r)
		return err
	})
	flags.Func("variant", "a further Sluice, `NAME:KEY=VALUE,…`: environment variables, or BIN=program", func(text string) error {
		v, err := suite.ParseVariant(text)
		if err == nil {
			err = absolute(&v.Program)
		}
		c.Variants = append(c.Variants, v)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	c.Progress = os.Stderr
	if only != "" {
		c.Only = strings.Split(only, ",")
	}
	c.Window = time.Duration(seconds * float64(time.Second))
	c.fill()
	return c, nil
}

// noProfiles is the word for a run without them.
const noProfiles = "none"

// fill sets what was not given.
func (c *command) fill() {
	standard := suite.Defaults(c.Quick)
	out, profiles := outFull, profilesFull
	if c.Quick {
		out, profiles = outQuick, noProfiles
	}
	if c.Rounds == 0 {
		c.Rounds = standard.Rounds
	}
	if c.Window == 0 {
		c.Window = standard.Window
	}
	if c.out == "" {
		c.out = out
	}
	if c.Profiles == "" {
		c.Profiles = profiles
	}
	if c.Profiles == noProfiles {
		c.Profiles = ""
	}
}

// absolute makes paths good from any folder: the contenders run in their own.
func absolute(paths ...*string) error {
	for _, p := range paths {
		if *p == "" {
			continue // not given
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		*p = abs
	}
	return nil
}
