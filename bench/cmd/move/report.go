package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report writes a table, a row for each kind of servers.
func report(out io.Writer, o options, stages []*stage) error {
	fmt.Fprintf(out, "%d rounds on %d cores, which servers, clients and Sluice share. Sessions at rest leave a server that is drained;\n"+
		"then %d clients, who ask without a pause, do. The pause is how long such a client waits for the first answer of its new\n"+
		"server, the ratio that to what it waits for any other.\n\n", o.rounds, runtime.NumCPU(), o.busy)
	const form = "| %-9s | %8s | %10s | %10s | %10s | %10s | %10s | %10s | %6s |\n"
	fmt.Fprintf(out, form, "servers", "sessions", "all left", "worst", "pause", "p99", "worst", "others", "ratio")
	fmt.Fprintf(out, form, "---", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:")
	for _, s := range stages {
		pause, steady := quantile(s.pauses, 50), quantile(s.steady, 50)
		fmt.Fprintf(out, form, s.kind.name, fmt.Sprint(s.crowd()), seconds(quantile(s.left, 50)), seconds(quantile(s.left, 100)),
			millis(pause), millis(quantile(s.pauses, 99)), millis(quantile(s.pauses, 100)), millis(steady),
			fmt.Sprintf("%.1f", float64(pause)/float64(max(steady, 1))))
	}
	fmt.Fprintln(out)
	for _, s := range stages {
		var rounds []string
		for _, took := range s.left {
			rounds = append(rounds, seconds(took))
		}
		fmt.Fprintf(out, "%s: all left after %s; %d pauses\n", s.kind.name, strings.Join(rounds, ", "), len(s.pauses))
	}
	return nil
}

// quantile is the value below which percent of all are, the largest for 100.
func quantile(all []time.Duration, percent int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)]
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }
