package suite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/bench/internal/child"
)

// A window is the part of a load's run that is measured. It begins when the load generator says that
// its lead is over, with all clients connected and all caches filled; the tail behind it, which allows
// for the delay of that word, keeps the end of the run out of it. Both are the generator's pace.

// generatorPatience is how much longer than its run a load generator may take.
const generatorPatience = 20 * time.Second

// errOutlasted tells that a window was still open when its load had already ended: the machine was too
// busy for the tail to cover the delay.
var errOutlasted = errors.New("the load ended before its window")

// Sample is what one window showed. Times are in microseconds, per query where the name says so; for
// a load whose unit is another, read that for query.
type Sample struct {
	PerSecond     float64 `json:"per_second"`
	P50           float64 `json:"p50_us"`
	P99           float64 `json:"p99_us"`
	P999          float64 `json:"p999_us"`
	CPU           float64 `json:"cpu_us_per_query"`             // the contender's own processes
	User          float64 `json:"cpu_user_us_per_query"`        // its part in user space
	System        float64 `json:"cpu_system_us_per_query"`      // its part in the kernel
	AllCPU        float64 `json:"all_cpu_us_per_query"`         // generator, contender and server together
	Switches      float64 `json:"switches_per_query"`           // the contender's context switches
	Voluntary     float64 `json:"voluntary_switches_per_query"` // those of them when a thread had to wait
	Forced        float64 `json:"forced_switches_per_query"`    // those of them when it was taken off its core
	Resident      float64 `json:"resident_bytes"`
	ForeignShare  float64 `json:"foreign_cpu_share"` // CPU that other programs used, in cores
	WindowSeconds float64 `json:"window_seconds,omitempty"`

	// Of idle clients only: what each of them costs. The last two are told by Sluice alone: its Go heap
	// after a collection, and the part of that which the collector has to look through.
	ResidentEach float64 `json:"resident_per_client_bytes,omitempty"`
	HeapEach     float64 `json:"heap_per_client_bytes,omitempty"`
	HeapScanEach float64 `json:"heap_scan_per_client_bytes,omitempty"`
}

// reading is all counters at one moment.
type reading struct {
	at      time.Time
	usage   Usage
	machine MachineLoad
	count   int64
}

// measure runs a load against an entrant and samples it over the target's window.
func measure(ctx context.Context, l Load, s *server, e *entrant, at target) (Sample, error) {
	at.lasts = l.pace.lasts(at.window) + at.more
	ctx, cancel := context.WithTimeout(ctx, at.lasts+generatorPatience)
	defer cancel()
	pids, err := e.pids()
	if err != nil {
		return Sample{}, err
	}
	g, err := l.start(ctx, l, at)
	if err != nil {
		return Sample{}, err
	}
	defer g.Kill()
	if err := child.Until(ctx, g.Process, g.warm); err != nil {
		return Sample{}, g.explain(err)
	}
	before, err := read(l, s, pids, true)
	if err != nil {
		return Sample{}, err
	}
	if err := pause(ctx, at.window); err != nil {
		return Sample{}, err
	}
	after, err := read(l, s, pids, false)
	if err != nil {
		return Sample{}, err
	}
	select {
	case <-g.Done():
		return Sample{}, errOutlasted
	default:
	}
	if err := g.Wait(ctx); err != nil {
		return Sample{}, g.explain(err)
	}
	view, err := g.result(before.at, after.at)
	if err != nil {
		return Sample{}, err
	}
	return sampleOf(l, before, after, view)
}

// read takes all counters. What is slow to read stands outside of the window, at its first reading
// before and at its second behind; the rest are within a millisecond of its edge.
func read(l Load, s *server, pids []int, first bool) (r reading, err error) {
	if first {
		if r.machine, err = ReadMachineLoad(); err != nil {
			return r, err
		}
	}
	if s.count != nil {
		if r.count, err = s.count(l.Counter); err != nil {
			return r, err
		}
	}
	r.at = time.Now()
	if r.usage, err = usageOfAll(pids); err != nil {
		return r, err
	}
	if !first {
		r.machine, err = ReadMachineLoad()
	}
	return r, err
}

func sampleOf(l Load, before, after reading, view clientView) (Sample, error) {
	queries := view.queries
	if queries < 0 {
		queries = after.count - before.count
	}
	if queries <= 0 {
		return Sample{}, fmt.Errorf("%s: no query ended in the window", l.Name)
	}
	units := float64(queries) * l.PerQuery
	seconds := after.at.Sub(before.at).Seconds()
	used := after.usage.Since(before.usage)
	machine := after.machine.Since(before.machine)
	perUnit := func(d time.Duration) float64 { return micros(d) / units }
	return Sample{
		PerSecond:     units / seconds,
		P50:           micros(view.p50),
		P99:           micros(view.p99),
		P999:          micros(view.p999),
		CPU:           perUnit(used.CPU),
		User:          perUnit(used.CPU) * share(used.User, used.User+used.System),
		System:        perUnit(used.CPU) * share(used.System, used.User+used.System),
		AllCPU:        perUnit(machine.Ours),
		Switches:      float64(used.Voluntary+used.Involuntary) / units,
		Voluntary:     float64(used.Voluntary) / units,
		Forced:        float64(used.Involuntary) / units,
		Resident:      float64(used.Resident),
		ForeignShare:  max(machine.Foreign.Seconds()/seconds, 0),
		WindowSeconds: seconds,
	}, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func share(part, of time.Duration) float64 {
	if of <= 0 {
		return 0
	}
	return float64(part) / float64(of)
}

// pause lets a load work for d.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
