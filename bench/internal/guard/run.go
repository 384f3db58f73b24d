package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"sluice/bench/internal/child"
)

// environment of the counted program. Preemption by signals comes by the clock and would only add to
// the spread. The number of threads is what the program finds on a machine with two processors, so
// that the count does not depend on how many there are.
var environment = []string{"GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=2"}

// measure counts what a query costs in a cell, from one short and one long run of program. dir takes
// files.
func (c cell) measure(ctx context.Context, program, dir string) (pair, error) {
	short, err := c.run(ctx, program, dir, warmUp)
	if err != nil {
		return pair{}, err
	}
	long, err := c.run(ctx, program, dir, warmUp+c.queries)
	return pair{short, long}, err
}

// pair is a short and a long run.
type pair struct{ short, long count }

// least has the lower count of each run. Whatever disturbs a run adds to it.
func (p pair) least(q pair) pair {
	if q.short.total() < p.short.total() {
		p.short = q.short
	}
	if q.long.total() < p.long.total() {
		p.long = q.long
	}
	return p
}

// run has Sluice relay that many queries and counts its instructions from its start to its end.
func (c cell) run(ctx context.Context, program, dir string, queries int) (n count, err error) {
	dir, err = os.MkdirTemp(dir, "run")
	if err != nil {
		return nil, err
	}
	var p *child.Process
	await := func() error { return nil }
	if c.paced {
		await = func() error { return untilAsleep(p.PID()) }
	}
	b, err := startBackend(c.load, await)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	addr, err := child.FreeAddress()
	if err != nil {
		return nil, err
	}
	if p, err = c.start(ctx, program, dir, addr, b.addr()); err != nil {
		return nil, err
	}
	defer p.Kill()
	if err := c.relay(addr, queries, await); err != nil {
		p.Kill()
		return nil, errors.Join(err, p.Err()) // with the end of what Sluice wrote
	}
	if err := p.Stop(syscall.SIGTERM, patience); err != nil {
		return nil, err
	}
	return read(filepath.Join(dir, countFile))
}

// relay has clients ask queries through Sluice at addr.
func (c cell) relay(addr string, queries int, await func() error) error {
	s, err := connect(c.load, addr, c.clients)
	if err != nil {
		return err
	}
	defer s.close()
	return s.ask(queries, await)
}

// funnelConfig is a listener that has its clients share server connections, and a user for them.
const funnelConfig = `mode = "funnel"
pool-size = %d
pool-wait-timeout = "3m"
[[listener.rule]]
from = ["127.0.0.0/8"]
method = "trust"
[[user]]
name = "app"
`

// countFile is what cachegrind writes, in the folder of a run.
const countFile = "count"

// start starts Sluice under valgrind and waits until it accepts connections. There is no admin side
// and one health check: what works by the clock disturbs the count. Nothing else ends by the clock either,
// however slow the machine is.
func (c cell) start(ctx context.Context, program, dir, listen, server string) (*child.Process, error) {
	text := fmt.Sprintf(`[engine]
loops = %d
[admin]
listen = ""
[log]
level = "warn"
[[cluster]]
name = "guard"
protocol = %q
discovery = "static"
backends = [{ addr = %q }]
connect-timeout = "1m"
retry-timeout = "3m"
[cluster.health]
interval = "1h"
timeout = "3m"
[[listener]]
name = "guard"
listen = %q
cluster = "guard"
login-timeout = "3m"
`, c.loops, c.load.protocol, server, listen)
	if c.load.pool == 0 {
		text += "mode = \"proxy\"\n"
	} else {
		text += fmt.Sprintf(funnelConfig, c.load.pool)
	}
	config := filepath.Join(dir, "sluice.toml")
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	p, err := child.Start(child.Spec{Name: "valgrind", Dir: dir, Env: environment, Args: []string{"valgrind",
		"--tool=cachegrind", "--fair-sched=try", "--cache-sim=no", "--cachegrind-out-file=" + filepath.Join(dir, countFile), "--quiet",
		program, "run", "--config", config}})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := child.Until(ctx, p, func() error { return child.Accepts(listen) }); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

func read(name string) (count, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parse(f)
}
