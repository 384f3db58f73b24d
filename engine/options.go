package engine

import (
	"errors"
	"runtime"
	"time"
)

// Logger takes what gnet has to say. A *zap.SugaredLogger is one.
type Logger interface {
	Debugf(format string, args ...any)
	Infof(format string, args ...any)
	Warnf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Options of an Engine. The zero value is usable: check fills the defaults.
type Options struct {
	// Loops is the number of event loops; 0 = DefaultLoops. GOMAXPROCS should be one more at least:
	// loops then sleep in the cheapest way.
	Loops int
	// LockThreads pins each loop to an operating system thread. Off by default: with it each sleep
	// of a loop is a switch of threads.
	LockThreads bool
	// ReadBuffer is the size in bytes of a loop's read buffer: the most that one turn takes from one
	// connection. It is rounded up to a power of two. Default 64 KiB.
	ReadBuffer int
	// HighWater and LowWater bound the unsent bytes of a connection: above the first it is Full,
	// at the second there is room again. Defaults 256 KiB and 64 KiB.
	HighWater, LowWater int
	// FlushTimeout and DrainTimeout are how long the peer may take nothing in the two phases of
	// CloseFlushed. Defaults 10 s and 2 s.
	FlushTimeout, DrainTimeout time.Duration
	// Logger takes gnet's errors; nil drops them.
	Logger Logger

	gnetTurns bool // for tests: gnet waits and reads, as it does when its alarm is not found
}

// DefaultLoops is one on machines with up to two processors (the second one is better left to the
// server and the kernel), else one per processor.
func DefaultLoops() int {
	if n := runtime.NumCPU(); n > 2 {
		return min(n, maxLoops)
	}
	return 1
}

// check fills the defaults and refuses nonsense.
func (o *Options) check() error {
	if o.Loops < 0 || o.ReadBuffer < 0 || o.HighWater < 0 || o.LowWater < 0 ||
		o.FlushTimeout < 0 || o.DrainTimeout < 0 {
		return errors.New("engine: options must not be negative")
	}
	if o.Loops == 0 {
		o.Loops = DefaultLoops()
	}
	if o.Loops > maxLoops {
		return errors.New("engine: Loops must not be over 256")
	}
	if o.ReadBuffer == 0 {
		o.ReadBuffer = 64 << 10
	}
	if o.HighWater == 0 {
		o.HighWater = 256 << 10
	}
	if o.LowWater == 0 {
		o.LowWater = min(64<<10, o.HighWater/2)
	}
	if o.LowWater >= o.HighWater {
		return errors.New("engine: LowWater must be below HighWater")
	}
	if o.FlushTimeout == 0 {
		o.FlushTimeout = 10 * time.Second
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = 2 * time.Second
	}
	return nil
}

// maxLoops is gnet's own limit (its descriptors' ids hold a loop number of 8 bits).
const maxLoops = 256
