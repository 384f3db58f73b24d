package main

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

// TestLogSinkNeverBlocks has a reader that takes nothing: lines are dropped and counted, the others
// come whole and in order once it reads.
func TestLogSinkNeverBlocks(t *testing.T) {
	read, write := io.Pipe()
	s := newLogSink(write)
	const extra = 100
	for i := range logQueue + extra {
		fmt.Fprintf(s, "line %d\n", i)
	}
	// One more than the queue holds may be in the writer's hands.
	if d := s.dropped.Load(); d < extra-1 || d > extra {
		t.Errorf("%d lines were dropped, want about %d", d, extra)
	}
	kept := logQueue + extra - int(s.dropped.Load())
	var want bytes.Buffer
	for i := range kept {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	got := make([]byte, want.Len())
	if _, err := io.ReadFull(read, got); err != nil {
		t.Fatal(err)
	}
	// The line in the writer's hands may have been taken late, so only the first of them are certain.
	if n := len("line 0\n") * 10; !bytes.Equal(got[:n], want.Bytes()[:n]) {
		t.Errorf("got %q", got[:n])
	}
	if err := s.Sync(); err != nil || s.waiting.Load() != 0 {
		t.Errorf("Sync: %v, %d lines wait", err, s.waiting.Load())
	}
}
