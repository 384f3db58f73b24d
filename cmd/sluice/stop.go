package main

import (
	"context"
	"os"
	"syscall"
	"time"

	"go.uber.org/zap"

	"sluice/engine/console"
)

// serve handles signals and the orders of operators until one ends the process.
func (p *process) serve(signals <-chan os.Signal) {
	watch, done := context.WithCancel(context.Background())
	defer done()
	go p.console.Watch(watch)
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGHUP {
				_ = p.reload() // which has told the log
				continue
			}
			p.log.Info("stopping", zap.Stringer("signal", s))
			p.stop(signals, console.ShutdownServers)
		case how := <-p.orders:
			p.log.Info("stopping", zap.String("signal", "SHUTDOWN"))
			p.stop(signals, how)
		}
		return
	}
}

// stop ends the process in one of the ways to do so; another signal, or SHUTDOWN, ends it at once.
func (p *process) stop(signals <-chan os.Signal, how console.Shutdown) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	notify("STOPPING=1\nSTATUS=waiting for sessions to reach a safe point")
	if p.admin != nil {
		p.admin.stopping.Store(true)
	}
	if how == console.ShutdownNow {
		cancel()
	}
	go p.hurry(ctx, cancel, signals)
	cfg := p.cfg.Load()
	if how == console.ShutdownClients {
		p.waitForClients(ctx)
	} else if wait := cfg.Engine.ShutdownWait.Std(); wait > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	bounded, done := context.WithTimeout(ctx, cfg.Engine.ShutdownTimeout.Std())
	defer done()
	if forced := p.proxy.Drain(bounded); forced > 0 {
		p.log.Warn("sessions were ended by force", zap.Int("sessions", forced))
	}
	p.proxy.Close()
	p.eng.Stop()
	if p.admin != nil {
		p.admin.close()
	}
	p.log.Info("stopped")
}

// hurry cancels what the process waits for at its end, if it is told again to end.
func (p *process) hurry(ctx context.Context, cancel func(), signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			if s == syscall.SIGHUP {
				continue
			}
			p.log.Warn("stopping at once", zap.Stringer("signal", s))
		case <-p.orders:
			p.log.Warn("stopping at once", zap.String("signal", "SHUTDOWN"))
		}
		cancel()
	}
}

// clientsPoll is how often waitForClients looks whether all have gone.
const clientsPoll = 100 * time.Millisecond

// waitForClients stops accepting and waits until the clients have gone by themselves. Those of the admin
// console are not waited for: they are who waits.
func (p *process) waitForClients(ctx context.Context) {
	p.proxy.CloseFrontends()
	ticker := time.NewTicker(clientsPoll)
	defer ticker.Stop()
	for p.proxy.Clients() > p.proxy.Consoles() {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
