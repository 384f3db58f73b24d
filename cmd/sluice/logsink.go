package main

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/valyala/bytebufferpool"
)

// logQueue is how many log lines may wait to be written, syncTimeout how long the end of the process
// waits for them.
const (
	logQueue    = 4096
	syncTimeout = time.Second
)

// logSink writes log lines on a goroutine of its own: lines come from the loops too, and a pipe that
// nobody empties must not stop those. When the queue is full, lines are dropped and counted.
type logSink struct {
	to      io.Writer
	lines   chan *bytebufferpool.ByteBuffer
	waiting atomic.Int64 // lines taken and not yet written
	dropped atomic.Uint64
}

func newLogSink(to io.Writer) *logSink {
	s := &logSink{to: to, lines: make(chan *bytebufferpool.ByteBuffer, logQueue)}
	go s.run()
	return s
}

func (s *logSink) run() {
	for line := range s.lines {
		_, _ = s.to.Write(line.B) // there is nobody to tell of a failure
		bytebufferpool.Put(line)
		s.waiting.Add(-1)
	}
}

// Write takes one line. It never blocks.
func (s *logSink) Write(p []byte) (int, error) {
	line := bytebufferpool.Get()
	line.Set(p)
	s.waiting.Add(1)
	select {
	case s.lines <- line:
	default:
		s.waiting.Add(-1)
		s.dropped.Add(1)
		bytebufferpool.Put(line)
	}
	return len(p), nil
}

// Sync waits until what was taken is written, for a second at most.
func (s *logSink) Sync() error {
	for end := time.Now().Add(syncTimeout); s.waiting.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	return nil
}
