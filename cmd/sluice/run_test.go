package main

import (
	"testing"

	"sluice/conf"
	"sluice/engine"
)

// TestProcs leaves as many as there are processors to the rest of the process, unless asked otherwise.
func TestProcs(t *testing.T) {
	tests := []struct {
		name         string
		procs, loops int
		own, want    int
	}{
		{"asked for", 1, 4, 8, 1},
		{"one loop", 0, 1, 2, 3},
		{"as many loops", 0, 8, 8, 16},
		{"more loops", 0, 16, 8, 24},
		{"loops by default", 0, 0, 1, engine.DefaultLoops() + 1},
	}
	for _, tt := range tests {
		if got := procs(conf.Engine{Procs: tt.procs, Loops: tt.loops}, tt.own); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
