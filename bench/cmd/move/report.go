package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice/bench/internal/suite"
)

// report is a run, as report.json has it.
type report struct {
	Date     string        `json:"date"`
	Machine  suite.Machine `json:"machine"`
	Rounds   int           `json:"rounds"`
	Sessions int           `json:"sessions"`
	Results  []result      `json:"results"`
}

// result is what one kind of servers gave.
type result struct {
	Servers  string    `json:"servers"`
	Sessions int       `json:"sessions"` // at rest
	Leaving  []leaving `json:"leaving"`  // a round each
	Working  []working `json:"working"`  // a round and a number of clients each
}

// leaving is one round in which all sessions at rest left a server. The CPU times, in seconds, say what that took.
type leaving struct {
	Seconds    float64 `json:"seconds"`
	ServersCPU float64 `json:"servers_cpu_seconds"`
	SluiceCPU  float64 `json:"sluice_cpu_seconds"`
	shares
}

// working is one round in which clients that work without a pause moved.
type working struct {
	Clients  int       `json:"clients"`
	PausesMS []float64 `json:"pauses_ms"` // of each client: its wait for the first answer from its new server
	// What clients wait for every other answer.
	Others quantiles `json:"others"`
	// The median of the pauses in relation to that of the other answers.
	Ratio float64 `json:"ratio"`
	shares
}

type quantiles struct {
	Answers int     `json:"answers"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
	Worst   float64 `json:"worst_ms"`
}

func quantilesOf(all []time.Duration) quantiles {
	ms := make([]float64, len(all))
	for i, d := range all {
		ms[i] = millis(d)
	}
	return quantiles{Answers: len(all), P50: quantile(ms, 50), P99: quantile(ms, 99), Worst: quantile(ms, 100)}
}

// quantile is the value below which percent of all are, the largest for 100.
func quantile(all []float64, percent int) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)]
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// spread is the median of a figure over the rounds, with the least and the most.
func spread[T any](form string, of []T, figure func(T) float64) string {
	var all []float64
	for _, one := range of {
		all = append(all, figure(one))
	}
	return fmt.Sprintf(form+" ("+form+"–"+form+")", quantile(all, 50), quantile(all, 0), quantile(all, 100))
}

const head = `# Moves of %s at %s

%s, %d cores, Linux %s; %d rounds, the kinds of servers in turn. Two servers of each kind and Sluice before them run on the
machine, as do the clients: all share its cores. Each figure is the median over the rounds, with the least and the most
behind it; foreign is the part of the machine's CPU time that programs used which have nothing to do with the run, stolen
what its host gave to other machines while this one had work to do.

## Sessions at rest leave a server that is drained

From the order to the moment at which the last session has gone. Each has variables, a setting and a prepared statement to take
along, and has them behind its move. The CPU time is that of one session's move: of both servers, with what the idle ones of the other kinds used meanwhile, and of
Sluice.

`

const busyHead = `
## Clients that work without a pause

Each asks for the next answer as soon as it has one, while its server is drained. Its pause is how long it waits for the
first answer of its new server; beside it stands what it waits for every other answer, through Sluice too, and the ratio of the medians
of both in a round.

`

// markdown is the report for people.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, head, r.Date[:len("2006-01-02")], r.Machine.Commit, r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Rounds)
	b.WriteString("| servers | sessions | all left, s | servers, CPU ms/session | Sluice, CPU ms/session | foreign | stolen |\n|---|---:|---:|---:|---:|---:|---:|\n")
	for _, one := range r.Results {
		each := func(cpu float64) float64 { return 1000 * cpu / float64(one.Sessions) }
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s | %s | %s |\n", one.Servers, one.Sessions,
			spread("%.2f", one.Leaving, func(l leaving) float64 { return l.Seconds }),
			spread("%.2f", one.Leaving, func(l leaving) float64 { return each(l.ServersCPU) }),
			spread("%.2f", one.Leaving, func(l leaving) float64 { return each(l.SluiceCPU) }),
			spread("%.0f %%", one.Leaving, func(l leaving) float64 { return 100 * l.Foreign }),
			spread("%.0f %%", one.Leaving, func(l leaving) float64 { return 100 * l.Stolen }))
	}
	b.WriteString(busyHead)
	b.WriteString("| servers | clients | pauses | median, ms | p99, ms | worst, ms | other answers: median, ms | p99, ms | worst, ms | ratio | foreign | stolen |\n" +
		"|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, one := range r.Results {
		for _, group := range byClients(one.Working) {
			writePauses(&b, one.Servers, group)
		}
	}
	return b.String()
}

// writePauses writes the row of one number of clients.
func writePauses(b *strings.Builder, servers string, group []working) {
	var pauses []float64
	for _, w := range group {
		pauses = append(pauses, w.PausesMS...)
	}
	fmt.Fprintf(b, "| %s | %d | %d | %s | %.1f | %.1f | %s | %s | %.1f | %s | %s | %s |\n", servers, group[0].Clients, len(pauses),
		spread("%.1f", group, func(w working) float64 { return quantile(w.PausesMS, 50) }), quantile(pauses, 99), quantile(pauses, 100),
		spread("%.2f", group, func(w working) float64 { return w.Others.P50 }),
		spread("%.1f", group, func(w working) float64 { return w.Others.P99 }),
		quantile(pick(group, func(w working) float64 { return w.Others.Worst }), 100),
		spread("%.1f", group, func(w working) float64 { return w.Ratio }),
		spread("%.0f %%", group, func(w working) float64 { return 100 * w.Foreign }),
		spread("%.0f %%", group, func(w working) float64 { return 100 * w.Stolen }))
}

func pick[T any](of []T, figure func(T) float64) (all []float64) {
	for _, one := range of {
		all = append(all, figure(one))
	}
	return all
}

// byClients puts rounds with the same number of clients together.
func byClients(all []working) (groups [][]working) {
	for _, w := range all {
		i := slices.IndexFunc(groups, func(g []working) bool { return g[0].Clients == w.Clients })
		if i < 0 {
			groups = append(groups, []working{w})
			continue
		}
		groups[i] = append(groups[i], w)
	}
	return groups
}
