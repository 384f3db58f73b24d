package main

import (
	"strings"
	"testing"

	"sluice/bench/prototype/relaytest"
)

func TestMain(m *testing.M) { relaytest.Main(m, main) }

func underEachIdea(t *testing.T, test func(*testing.T, ...string)) {
	for _, flags := range []string{"", "-rawwrite"} {
		t.Run(flags, func(t *testing.T) { test(t, strings.Fields(flags)...) })
	}
}

func TestMovesBytes(t *testing.T) { underEachIdea(t, relaytest.MovesBytes) }

// TestHoldsBack leaves half-closing out: gnet closes altogether.
func TestHoldsBack(t *testing.T) {
	underEachIdea(t, func(t *testing.T, flags ...string) { relaytest.HoldsBack(t, false, flags...) })
}

func TestPassesEndsOn(t *testing.T) { underEachIdea(t, relaytest.PassesEndsOn) }

func TestWithoutServer(t *testing.T) { underEachIdea(t, relaytest.WithoutServer) }
