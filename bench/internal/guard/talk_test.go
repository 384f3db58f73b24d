package guard

import (
	"errors"
	"strings"
	"testing"

	"sluice/bench/internal/child"
)

func always() error { return nil }

// TestTalk has clients ask the backend itself: both ends agree on every byte.
func TestTalk(t *testing.T) {
	for _, l := range loads {
		t.Run(l.name, func(t *testing.T) {
			b, err := startBackend(l, always)
			if err != nil {
				t.Fatal(err)
			}
			c, err := connect(l, b.addr(), 3)
			if err != nil {
				t.Fatal(err)
			}
			asked := make(chan struct{}, 100)
			err = c.ask(30, func() error { asked <- struct{}{}; return nil })
			c.close()
			if err := errors.Join(err, b.stop()); err != nil || len(asked) != 30 {
				t.Errorf("asked %d times: %v; want 30", len(asked), err)
			}
		})
	}
}

// TestTalkNoticesAnotherAnswer has the backend and the clients differ in one byte, either way.
func TestTalkNoticesAnotherAnswer(t *testing.T) {
	right := loads[0]
	wrongAnswer, wrongRequest := right, right
	wrongAnswer.answer = append([]byte("x"), right.answer[1:]...)
	wrongRequest.request = append([]byte("x"), right.request[1:]...)
	for name, client := range map[string]load{"answer": wrongAnswer, "request": wrongRequest} {
		t.Run(name, func(t *testing.T) {
			b, err := startBackend(right, always)
			if err != nil {
				t.Fatal(err)
			}
			c, err := connect(client, b.addr(), 1)
			if err != nil {
				t.Fatal(err)
			}
			err = c.ask(5, always)
			c.close()
			if err := errors.Join(err, b.stop()); err == nil || !strings.Contains(err.Error(), "; want") {
				t.Errorf("got %v; want what was got and due", err)
			}
		})
	}
}

// TestAsleep looks at a process that sleeps, one that works, and one that has gone.
func TestAsleep(t *testing.T) {
	start := func(args ...string) *child.Process {
		p, err := child.Start(child.Spec{Name: args[0], Args: args})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Kill)
		return p
	}
	sleeper := start("sleep", "60")
	if err := untilAsleep(sleeper.PID()); err != nil {
		t.Errorf("of one that sleeps: %v", err)
	}
	worker := start("sh", "-c", "while :; do :; done")
	busy := 0
	for range 50 {
		asleep, err := isAsleep(worker.PID())
		if err != nil {
			t.Fatal(err)
		}
		if !asleep {
			busy++
		}
	}
	if busy < 40 {
		t.Errorf("one that works was found at work %d times of 50", busy)
	}
	sleeper.Kill()
	if err := untilAsleep(sleeper.PID()); err == nil {
		t.Error("one that has gone was found asleep")
	}
}

func TestState(t *testing.T) {
	for stat, want := range map[string]byte{"12 (a (b) R) S 1 2": 'S', "12 (sluice) R 1": 'R', "12 (slu": 0, "12 (sluice)": 0, "": 0} {
		if got := state([]byte(stat)); got != want {
			t.Errorf("%q: got %q; want %q", stat, got, want)
		}
	}
}
