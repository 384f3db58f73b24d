package main

import (
	"fmt"
	"math"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice/conf"
	"sluice/engine"
	"sluice/engine/console"
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
	since time.Time   // which it is; written before ready

	changing sync.Mutex // of the configuration: a reload, a SET
	console  *console.Console
	orders   chan console.Shutdown // of operators
}

// run runs the proxy until a signal ends it.
func run(path string) error {
	cfg, err := conf.Load(path, os.Environ())
	if err != nil {
		return err
	}
	p := &process{path: path, orders: make(chan console.Shutdown, 1)}
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
	setup, err := setupOf(cfg, p.log)
	if err != nil {
		return err
	}
	if p.eng, err = engine.Start(engineOptions(cfg, p.log.Sugar())); err != nil {
		return err
	}
	p.proxy = session.New(p.eng, p.log, p.every)
	p.console = console.New(consoleSource{p})
	p.proxy.SetConsole(consoleDesk{p.console}, version)
	if cfg.Admin.Listen != "" {
		if p.admin, err = startAdmin(p, cfg.Admin.Listen); err != nil {
			return fmt.Errorf("admin: %w", err)
		}
	}
	if err := p.proxy.Apply(setup); err != nil {
		return err
	}
	p.since = time.Now()
	p.ready.Store(true)
	p.log.Info("sluice is ready", zap.String("version", version), zap.Int("loops", len(p.eng.Loops())),
		zap.Int("procs", runtime.GOMAXPROCS(0)), zap.Uint64("open_files_max", files))
	for _, fe := range p.proxy.Frontends() {
		p.log.Info("listening", zap.String("listener", fe.Name()), zap.Stringer("address", fe.Addr()),
			zap.String("cluster", fe.Settings().Cluster), zap.Int("sockets", len(fe.Addrs())))
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
