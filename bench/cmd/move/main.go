// Command move measures what it takes to move sessions from one server to another: how long a crowd of sessions at rest
// needs to leave a server that is drained, and how long a client that works without a pause waits in between. It starts
// two servers of each kind and Sluice before them, prints tables, and writes a report.
//
// It is run in the folder bench: go run ./cmd/move -help
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sluice/bench/e2e/real"
	"sluice/bench/internal/suite"
)

// options are what the flags say.
type options struct {
	sluice   string
	kinds    []string
	sessions int   // at rest
	busy     []int // how many clients work without a pause, one after the other
	rounds   int
	out      string // the folder of reports; "": none is written
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "move:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	machine := suite.ReadMachine(ctx)
	dir, err := os.MkdirTemp("", "sluice-move-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil { // for servers that run as other users
		return err
	}
	ca, err := real.NewAuthority(dir)
	if err != nil {
		return err
	}
	cert, err := ca.Issue("server", "localhost")
	if err != nil {
		return err
	}
	var stages []*stage
	for _, name := range o.kinds {
		s, err := startStage(dir, name, o, ca, cert)
		if err != nil {
			return err
		}
		defer s.stop()
		stages = append(stages, s)
	}
	// In turn, so that what else the machine does meets all of them.
	for round := range o.rounds {
		for _, s := range stages {
			if err := s.measure(ctx, round); err != nil {
				return fmt.Errorf("%s, round %d: %w", s.kind.name, round+1, err)
			}
		}
	}
	r := report{Date: time.Now().UTC().Format(time.RFC3339), Machine: machine, Rounds: o.rounds, Sessions: o.sessions}
	for _, s := range stages {
		r.Results = append(r.Results, result{Servers: s.kind.name, Sessions: s.crowd(), Leaving: s.leaving, Working: s.working})
	}
	fmt.Fprint(out, r.markdown())
	if o.out == "" {
		return nil
	}
	folder, err := r.write(o.out)
	fmt.Fprintln(os.Stderr, "written to", folder)
	return err
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("move", flag.ContinueOnError)
	names := slices.Collect(func(yield func(string) bool) {
		for _, k := range kinds {
			if !yield(k.name) {
				return
			}
		}
	})
	flags.StringVar(&o.sluice, "sluice", "../bin/sluice", "the program under test")
	flags.IntVar(&o.sessions, "sessions", 1000, "sessions at rest")
	flags.StringVar(&o.out, "out", "results", "folder of reports; none is written if empty")
	busy := flags.String("busy", "1,8", "how many clients work without a pause, one number after the other")
	flags.IntVar(&o.rounds, "rounds", 10, "how often all sessions move")
	which := flags.String("servers", strings.Join(names, ","), "kinds of servers")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.kinds = strings.Split(*which, ",")
	for _, name := range o.kinds {
		if !slices.Contains(names, name) {
			return o, fmt.Errorf("there is no kind of server %q, but %s", name, strings.Join(names, ", "))
		}
	}
	for word := range strings.SplitSeq(*busy, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return o, fmt.Errorf("%q is no number of clients", word)
		}
		o.busy = append(o.busy, n)
	}
	if o.sessions < 1 || o.rounds < 1 {
		return o, errors.New("there is nothing to measure")
	}
	o.sluice, err = filepath.Abs(o.sluice)
	return o, err
}
