package suite

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"sluice/bench/internal/child"
)

// startPgbench starts pgbench with a log of every transaction: when it ended and what it took. So
// the queries of an interval are counted exactly, and percentiles are exact too.
// https://www.postgresql.org/docs/15/pgbench.html#id-1.9.4.11.9.4 (Per-Transaction Logging)
func startPgbench(_ context.Context, l Load, at target) (*generator, error) {
	pgbench, err := program("pgbench", postgresFolders)
	if err != nil {
		return nil, err
	}
	prefix := filepath.Join(at.dir, "pgbench")
	args := []string{pgbench, "--no-vacuum", "--client", strconv.Itoa(l.Clients), "--jobs", "1",
		"--time", strconv.Itoa(wholeSeconds(at.lasts)), "--log", "--log-prefix", prefix, "--progress", "1"}
	if at.rate > 0 {
		args = append(args, "--rate", strconv.FormatFloat(at.rate, 'f', 1, 64))
	}
	if l.Script != "" {
		script := filepath.Join(at.dir, l.Name+".sql")
		if err := os.WriteFile(script, []byte(l.Script), 0o644); err != nil {
			return nil, err
		}
		args = append(args, "--file", script)
	}
	var progress output
	p, err := child.Start(child.Spec{Name: "pgbench", Env: pgEnv(at.addr, at.sides), Args: append(args, l.Args...), Stderr: &progress})
	if err != nil {
		return nil, err
	}
	log := fmt.Sprintf("%s.%d", prefix, p.PID())
	return &generator{
		Process: p,
		said:    &progress,
		warm:    func() error { return progress.says("progress: ") },
		result: func(from, to time.Time) (clientView, error) {
			defer os.Remove(log)
			return readPgbenchLog(log, from, to)
		},
	}, nil
}

// readPgbenchLog counts the transactions that ended between two moments.
func readPgbenchLog(name string, from, to time.Time) (clientView, error) {
	f, err := os.Open(name)
	if err != nil {
		return clientView{}, err
	}
	defer f.Close()
	var took []time.Duration
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		ended, d, err := parsePgbenchLine(lines.Bytes())
		if err != nil {
			return clientView{}, err
		}
		if ended.After(from) && !ended.After(to) {
			took = append(took, d)
		}
	}
	if err := lines.Err(); err != nil {
		return clientView{}, err
	}
	slices.Sort(took)
	return clientView{queries: int64(len(took)),
		p50: percentile(took, 50), p99: percentile(took, 99),
		p999: percentile(took, 99.9)}, nil
}

// parsePgbenchLine reads "client_id transaction_no time script_no time_epoch time_us [schedule_lag]".
// time is in microseconds and, with --rate, counts from when the transaction was due.
func parsePgbenchLine(line []byte) (ended time.Time, took time.Duration, err error) {
	fields := bytes.Fields(line)
	if len(fields) < 6 {
		return ended, 0, fmt.Errorf("pgbench's log: not a transaction: %q", line)
	}
	var n [3]int64
	for i, at := range []int{2, 4, 5} {
		if n[i], err = strconv.ParseInt(string(fields[at]), 10, 64); err != nil {
			return ended, 0, fmt.Errorf("pgbench's log: %q: %w", line, err)
		}
	}
	return time.Unix(n[1], n[2]*1000), time.Duration(n[0]) * time.Microsecond, nil
}

// percentile of sorted durations: the smallest that at least p percent of them do not exceed.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	i := int(math.Ceil(float64(len(sorted)) * p / 100))
	return sorted[max(i, 1)-1]
}

func wholeSeconds(d time.Duration) int {
	return int(math.Ceil(d.Seconds()))
}
