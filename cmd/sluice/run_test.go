package main

import (
	"testing"

	"sluice/conf"
	"sluice/engine"
)

// TestProcs leaves one for the rest of the process when every loop has one.
func TestProcs(t *testing.T) {
	tests := []struct {
		name         string
		procs, loops int
		own, want    int
	}{
		{"asked for", 1, 4, 8, 1},
		{"enough", 0, 1, 2, 2},
		{"as many loops", 0, 8, 8, 9},
		{"more loops", 0, 16, 8, 17},
		{"loops by default", 0, 0, 1, engine.DefaultLoops() + 1},
	}
	for _, tt := range tests {
		if got := procs(conf.Engine{Procs: tt.procs, Loops: tt.loops}, tt.own); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
