package main

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

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
	for _, flags := range allowed(t) {
		t.Run(flags, func(t *testing.T) {
			t.Parallel()
			test(t, strings.Fields(flags)...)
		})
	}
}

// allowed is the ideas that this process may try: busy-polling is a privilege. Where it is not there,
// the relay must say so.
func allowed(t *testing.T) []string {
	const busyPoll = "-busypoll 50"
	l, err := newLoop(options{listen: netip.MustParseAddrPort("127.0.0.1:0"), server: netip.MustParseAddrPort("127.0.0.1:1"), busyPoll: 50})
	if err == nil {
		l.close()
		return ideas
	}
	if !errors.Is(err, unix.EPERM) {
		t.Fatal(err)
	}
	return slices.DeleteFunc(slices.Clone(ideas), func(flags string) bool { return flags == busyPoll })
}

func TestMovesBytes(t *testing.T) { underEachIdea(t, relaytest.MovesBytes) }

func TestHoldsBack(t *testing.T) {
	underEachIdea(t, func(t *testing.T, flags ...string) { relaytest.HoldsBack(t, true, flags...) })
}

func TestPassesEndsOn(t *testing.T) { underEachIdea(t, relaytest.PassesEndsOn) }

func TestAnswersHalfClosed(t *testing.T) { underEachIdea(t, relaytest.AnswersHalfClosed) }

func TestWithoutServer(t *testing.T) { underEachIdea(t, relaytest.WithoutServer) }
