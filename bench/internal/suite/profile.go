package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sluice/bench/internal/child"
)

// How long Sluice is profiled under a load, and how long a trace of its scheduler gets: traces are
// large. The rest of the time is for the two to be written.
const (
	cpuProfileSeconds = 2
	traceSeconds      = 0.2
	profileTakes      = 3 * time.Second
)

// Profile is where Sluice's time went under one load.
type Profile struct {
	Name  string `json:"name"` // scenario-load
	CPU   string `json:"-"`    // file: a CPU profile
	Top   string `json:"-"`    // the functions that most of it was spent in, as text
	Sched string `json:"-"`    // where goroutines waited for the scheduler, and how long, as text
}

// profile runs a load once more, for Sluice only, while it is profiled through its HTTP side. What it
// does meanwhile is in no sample.
func (r *run) profile(ctx context.Context, c cell, e *entrant, rate float64) error {
	if err := os.MkdirAll(r.Profiles, 0o755); err != nil {
		return err
	}
	at := target{addr: e.addr, sides: c.Sides, certs: r.certs, rate: rate, window: profileTakes,
		lasts: c.pace.lasts(profileTakes), dir: r.dir}
	ctx, cancel := context.WithTimeout(ctx, at.lasts+generatorPatience)
	defer cancel()
	g, err := c.start(ctx, c.Load, at)
	if err != nil {
		return err
	}
	defer g.Kill()
	if err := child.Until(ctx, g.Process, g.warm); err != nil {
		return g.explain(err)
	}
	begun := time.Now()
	p := Profile{Name: c.Scenario.Name + "-" + c.Load.Name}
	base := filepath.Join(r.Profiles, p.Name)
	p.CPU = base + ".cpu.pprof"
	if err := fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", e.admin, cpuProfileSeconds), p.CPU); err != nil {
		return err
	}
	if err := fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/trace?seconds=%g", e.admin, traceSeconds), base+".trace"); err != nil {
		return err
	}
	if err := g.Wait(ctx); err != nil {
		return g.explain(err)
	}
	if _, err := g.result(begun, begun); err != nil { // it also takes its files away
		return err
	}
	if p.Top, err = top(ctx, p.CPU); err != nil {
		r.report.note("No tables of the profiles: " + err.Error())
	}
	if p.Sched, err = scheduler(ctx, base+".trace"); err != nil {
		r.report.note("No tables of the scheduler: " + err.Error())
	}
	r.report.Profiles = append(r.report.Profiles, p)
	fmt.Fprintf(r.Progress, "%-10s %-15s profiled\n", c.Scenario.Name, c.Load.Name)
	return nil
}

// fetch stores the answer of Sluice's HTTP side in a file.
func fetch(ctx context.Context, url, name string) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return ask(ctx, http.MethodGet, url, "", f)
}

// topCount is how many functions a profile's table has.
const topCount = "40"

// top has Go's own tool make the table of a profile.
func top(ctx context.Context, profile string) (string, error) {
	var out bytes.Buffer
	err := child.Run(ctx, child.Spec{Name: "go tool pprof", Stdout: &out,
		Args: []string{"go", "tool", "pprof", "-top", "-nodecount=" + topCount, profile}})
	return out.String(), err
}

// scheduler makes of a trace the table of how long goroutines that could have run did not.
// https://pkg.go.dev/cmd/trace
func scheduler(ctx context.Context, trace string) (string, error) {
	profile := trace + ".sched.pprof"
	f, err := os.Create(profile)
	if err != nil {
		return "", err
	}
	err = child.Run(ctx, child.Spec{Name: "go tool trace", Stdout: f, Args: []string{"go", "tool", "trace", "-pprof=sched", trace}})
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return top(ctx, profile)
}

// MergeProfiles writes one profile that is the sum of a run's, for the compiler to go by.
// https://go.dev/doc/pgo
func (r *Report) MergeProfiles(ctx context.Context, name string) error {
	if len(r.Profiles) == 0 {
		return errors.New("no profile was taken")
	}
	args := []string{"go", "tool", "pprof", "-proto"}
	for _, p := range r.Profiles {
		args = append(args, p.CPU)
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	err = child.Run(ctx, child.Spec{Name: "go tool pprof", Args: slices.Clip(args), Stdout: f})
	return errors.Join(err, f.Close())
}
