package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice/conf"
	"sluice/engine"
	"sluice/engine/session"
)

// process is the running program.
type process struct {
	path  string
	cfg   atomic.Pointer[conf.Config]
	log   *zap.Logger
	every *zap.Logger // log without thinning out, for lines that were asked for one by one
	level zap.AtomicLevel
	sink  *logSink
	eng   *engine.Engine
	proxy *session.Proxy
	admin *admin
	ready atomic.Bool // the first setup is in force
}

// run runs the proxy until a signal ends it.
func run(path string) error {
	cfg, err := conf.Load(path, os.Environ())
	if err != nil {
		return err
	}
	p := &process{path: path}
	p.cfg.Store(cfg)
	p.sink = newLogSink(os.Stderr)
	p.every, p.level = newLogger(cfg, p.sink)
	p.log = thinned(p.every)
	defer func() { _ = p.log.Sync() }()

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	signal.Ignore(syscall.SIGPIPE) // a log that nobody reads any more is no reason to stop serving
	if err := p.start(cfg); err != nil {
		return err
	}
	notify("READY=1\nSTATUS=serving")
	p.serve(signals)
	return nil
}

// start opens everything. On an error nothing is left open that the end of the process would not
// close.
func (p *process) start(cfg *conf.Config) error {
	files, err := engine.RaiseFileLimit()
	if err != nil {
		p.log.Warn("the limit of open files could not be raised", zap.Error(err))
	}
	tune(cfg)
	setup, err := setupOf(cfg)
	if err != nil {
		return err
	}
	if p.eng, err = engine.Start(engineOptions(cfg, p.log.Sugar())); err != nil {
		return err
	}
	p.proxy = session.New(p.eng, p.log, p.every)
	if cfg.Admin.Listen != "" {
		if p.admin, err = startAdmin(p, cfg.Admin.Listen); err != nil {
			return fmt.Errorf("admin: %w", err)
		}
	}
	if err := p.proxy.Apply(setup); err != nil {
		return err
	}
	p.ready.Store(true)
	p.log.Info("sluice is ready", zap.String("version", version), zap.Int("loops", len(p.eng.Loops())),
		zap.Int("procs", runtime.GOMAXPROCS(0)), zap.Uint64("open_files_max", files))
	for _, fe := range p.proxy.Frontends() {
		p.log.Info("listening", zap.String("listener", fe.Name()), zap.Stringer("address", fe.Addr()),
			zap.String("cluster", fe.Settings().Cluster))
	}
	if p.admin != nil {
		p.log.Info("listening", zap.String("listener", "admin"), zap.Stringer("address", p.admin.addr()))
	}
	return nil
}

// tune sets what concerns Go's runtime.
func tune(cfg *conf.Config) {
	runtime.GOMAXPROCS(procs(cfg.Engine, runtime.GOMAXPROCS(0)))
	tuneMemory(cfg)
}

// procs is GOMAXPROCS: what was asked for, or else Go's own choice and one more for each loop. A loop
// keeps one even while it sleeps, and handshakes, dials and the collector should find as many as there are
// processors.
func procs(e conf.Engine, own int) int {
	if e.Procs > 0 {
		return e.Procs
	}
	loops := e.Loops
	if loops == 0 {
		loops = engine.DefaultLoops()
	}
	return own + loops
}

// tuneMemory sets how Go's collector weighs memory against work.
func tuneMemory(cfg *conf.Config) {
	debug.SetGCPercent(cfg.Engine.GCPercent)
	limit := int64(cfg.Engine.MemoryLimit)
	if limit == 0 {
		limit = math.MaxInt64
	}
	debug.SetMemoryLimit(limit)
}

// serve handles signals until one ends the process.
func (p *process) serve(signals <-chan os.Signal) {
	for s := range signals {
		if s == syscall.SIGHUP {
			p.reload()
			continue
		}
		p.log.Info("stopping", zap.Stringer("signal", s))
		notify("STOPPING=1\nSTATUS=waiting for sessions to reach a safe point")
		p.stop(signals)
		return
	}
}

// reload puts the file's present content in force. A file with a problem changes nothing.
func (p *process) reload() {
	notify(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonicMicros()))
	defer notify("READY=1\nSTATUS=serving")
	running := p.cfg.Load()
	read, err := conf.Load(p.path, os.Environ())
	var cfg *conf.Config
	if err == nil {
		// What can't change goes on, and must make sense together with what does: the credentials of
		// an admin side that stays open to the network, say.
		cfg = read.Keep(running)
		err = cfg.Check()
	}
	if err == nil {
		err = cfg.CheckFiles()
	}
	var setup session.Setup
	if err == nil {
		setup, err = setupOf(cfg)
	}
	if err == nil {
		err = p.proxy.Apply(setup)
	}
	if err != nil {
		p.log.Error("reload failed, the configuration in force stays", zap.Error(err))
		return
	}
	if fixed := conf.Diff(running, read).Fixed; len(fixed) > 0 {
		p.log.Warn("these settings need a restart to change", zap.Strings("keys", fixed))
	}
	p.level.SetLevel(levelOf(cfg))
	tuneMemory(cfg)
	p.cfg.Store(cfg)
	p.log.Info("reloaded", zap.Stringer("changes", conf.Diff(running, cfg)))
}

// stop ends the process gracefully, or at once if another signal comes.
func (p *process) stop(signals <-chan os.Signal) {
	cfg := p.cfg.Load()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		for s := range signals {
			if s != syscall.SIGHUP {
				p.log.Warn("stopping at once", zap.Stringer("signal", s))
				cancel()
				return
			}
		}
	}()
	if p.admin != nil {
		p.admin.stopping.Store(true)
	}
	if wait := cfg.Engine.ShutdownWait.Std(); wait > 0 {
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

// newLogger makes the process's logger, and the handle on its level.
func newLogger(cfg *conf.Config, sink zapcore.WriteSyncer) (*zap.Logger, zap.AtomicLevel) {
	level := zap.NewAtomicLevelAt(levelOf(cfg))
	enc := zap.NewProductionEncoderConfig()
	enc.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	enc.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(enc)
	if cfg.Log.Format == "console" {
		encoder = zapcore.NewConsoleEncoder(enc)
	}
	return zap.New(zapcore.NewCore(encoder, sink, level)), level
}

// thinned returns the logger with equal lines thinned out beyond a hundred in a second: a flood of bad
// clients must not become a flood of the disk.
func thinned(log *zap.Logger) *zap.Logger {
	return log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, time.Second, 100, 100)
	}))
}

func levelOf(cfg *conf.Config) zapcore.Level {
	level, err := zapcore.ParseLevel(cfg.Log.Level)
	if err != nil {
		return zapcore.InfoLevel // conf lets no other word through
	}
	return level
}
