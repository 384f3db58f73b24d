package suite

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"sluice/bench/internal/child"
	"sluice/bench/internal/synth"
)

// ownProgram is this process's program, which is the synthetic servers and clients too: they run as
// processes of their own, so that what they use is kept apart.
func ownProgram(args []string) ([]string, error) {
	self, err := os.Executable()
	return append([]string{self}, args...), err
}

// startSynthServer starts a server that costs next to nothing, so that only the way to it is measured.
func startSynthServer(ctx context.Context, db Database) (*server, error) {
	addr, err := child.FreeAddress()
	if err != nil {
		return nil, err
	}
	args, err := ownProgram(synth.ServerArgs(synth.ServerOptions{Protocol: string(db), Listen: addr}))
	if err != nil {
		return nil, err
	}
	r, err := startListening(ctx, addr, child.Spec{Name: "synthetic server", Args: args})
	if err != nil {
		return nil, err
	}
	return &server{addr: addr, version: "bench/internal/synth", stop: func() { _ = r.processes[0].Stop(syscall.SIGTERM, serverPatience) }}, nil
}

// synthAs is how the synthetic clients log in, at either protocol.
func synthAs(l Load, addr string) synth.ClientOptions {
	o := synth.ClientOptions{Protocol: string(l.Database), Addr: addr, Clients: l.Clients, User: pgUser, Database: pgDatabase}
	if l.Database == MariaDB {
		o.User, o.Database = mariaUser, mariaDatabase
	}
	return o
}

// startSynth starts the synthetic clients.
func startSynth(_ context.Context, l Load, at target) (*generator, error) {
	o := synthAs(l, at.addr)
	o.Depth, o.Bytes, o.Rate, o.Prepared = l.Depth, int(l.Bytes), at.rate, l.Prepared
	o.Warm, o.Lasts = l.pace.lead, at.lasts-l.pace.lead
	args, err := ownProgram(synth.ClientArgs(o))
	if err != nil {
		return nil, err
	}
	var out output
	p, err := child.Start(child.Spec{Name: "synthetic clients", Args: args, Stdout: &out})
	if err != nil {
		return nil, err
	}
	return &generator{
		Process: p,
		said:    &out,
		warm:    func() error { return out.says("warm\n") },
		result: func(from, to time.Time) (clientView, error) {
			r, err := synth.ParseResult([]byte(out.String()))
			if err != nil {
				return clientView{}, err
			}
			if !r.Covers(to) {
				return clientView{}, errOutlasted // the word "warm" came late, or the clients stood still
			}
			return clientView{queries: r.Between(from, to), p50: r.P50, p99: r.P99, p999: r.P999}, nil
		},
	}, nil
}

// startIdle logs clients in and returns once all of them are.
func startIdle(ctx context.Context, l Load, addr string) (*child.Process, error) {
	o := synthAs(l, addr)
	o.Idle = true
	args, err := ownProgram(synth.ClientArgs(o))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, idlePatience)
	defer cancel()
	var out output
	p, err := child.Start(child.Spec{Name: "idle clients", Args: args, Stdout: &out})
	if err != nil {
		return nil, err
	}
	word := fmt.Sprintf("ready %d", l.Clients)
	if err := child.Until(ctx, p, func() error { return out.says(word) }); err != nil {
		p.Kill()
		return nil, fmt.Errorf("%w (%s)", err, strings.TrimSpace(out.String()))
	}
	return p, nil
}
