package main

import (
	"strings"
	"testing"

	"sluice/bench/prototype/relaytest"
)

func TestMain(m *testing.M) { relaytest.Main(m, main) }

// ideas is every flag, and those together that touch each other.
var ideas = []string{
	"", "-edge", "-sendrecv", "-coalesce", "-readloop 4", "-quickack on", "-quickack off", "-busypoll 50", "-splice",
	"-poll", "-spin 50", "-yield", "-locked", "-blockraw",
	"-edge -coalesce -readloop 3", "-edge -splice -sendrecv", "-splice -readloop 2", "-coalesce -readloop 8 -poll -yield -locked",
}

func underEachIdea(t *testing.T, test func(*testing.T, ...string)) {
	for _, flags := range ideas {
		t.Run(flags, func(t *testing.T) { test(t, strings.Fields(flags)...) })
	}
}

func TestMovesBytes(t *testing.T) { underEachIdea(t, relaytest.MovesBytes) }

func TestHoldsBack(t *testing.T) {
	underEachIdea(t, func(t *testing.T, flags ...string) { relaytest.HoldsBack(t, true, flags...) })
}

func TestPassesEndsOn(t *testing.T) { underEachIdea(t, relaytest.PassesEndsOn) }

func TestAnswersHalfClosed(t *testing.T) { underEachIdea(t, relaytest.AnswersHalfClosed) }

func TestWithoutServer(t *testing.T) { underEachIdea(t, relaytest.WithoutServer) }
