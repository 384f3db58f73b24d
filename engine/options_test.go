package engine

import (
	"fmt"
	"testing"
)

func TestOptions(t *testing.T) {
	tests := []struct {
		name string
		opt  Options
		ok   bool
	}{
		{"zero value", Options{}, true},
		{"smallest marks", Options{HighWater: 1}, true},
		{"negative loops", Options{Loops: -1}, false},
		{"too many loops", Options{Loops: maxLoops + 1}, false},
		{"negative read buffer", Options{ReadBuffer: -1}, false},
		{"marks the wrong way round", Options{HighWater: 10, LowWater: 20}, false},
		{"equal marks", Options{HighWater: 10, LowWater: 10}, false},
		{"negative time-out", Options{FlushTimeout: -1}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opt := tt.opt
			err := opt.check()
			if (err == nil) != tt.ok {
				t.Fatalf("check() = %v, want ok %t", err, tt.ok)
			}
			if err == nil && (opt.Loops < 1 || opt.ReadBuffer < 1 || opt.LowWater >= opt.HighWater ||
				opt.FlushTimeout <= 0 || opt.DrainTimeout <= 0) {
				t.Errorf("check left %+v", opt)
			}
		})
	}
}

// TestReadBuffer bounds what one turn takes from a connection.
func TestReadBuffer(t *testing.T) {
	const size = 1 << 20
	l := start(t, Options{Loops: 1, ReadBuffer: 4096}).Loops()[0]
	most, got := 0, 0
	all := make(chan struct{})
	_, far := connect(t, l, hooks{data: func(_ *Conn, p []byte) {
		most = max(most, len(p))
		if got += len(p); got == size {
			close(all)
		}
	}})
	if _, err := far.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	await(t, all, "the last byte")
	if most != 4096 {
		t.Errorf("OnData got up to %d bytes", most)
	}
}

// logLines notes what is logged as an error, and nothing else.
type logLines []string

func (*logLines) Debugf(string, ...any) {}
func (*logLines) Infof(string, ...any)  {}
func (*logLines) Warnf(string, ...any)  {}
func (l *logLines) Errorf(format string, args ...any) {
	*l = append(*l, fmt.Sprintf(format, args...))
}
func (*logLines) Fatalf(string, ...any) {}

// TestLogger passes on gnet's errors, its last words included, and can do without a logger.
func TestLogger(t *testing.T) {
	var lines logLines
	for _, q := range []quiet{{&lines}, {}} {
		q.Debugf("no")
		q.Infof("no")
		q.Warnf("no")
		q.Errorf("error %d", 1)
		q.Fatalf("error %d", 2)
	}
	if got := fmt.Sprint(lines); got != "[gnet: error 1 gnet: error 2]" {
		t.Errorf("logged %s", got)
	}
}
