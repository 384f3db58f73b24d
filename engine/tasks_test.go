package engine

import (
	"io"
	"sync"
	"testing"
	"time"
)

// TestRunOrder has ten producers submit 20,000 tasks, far more than gnet's own queue keeps in order,
// while the loop is busy: each producer's tasks run in its order, and none is lost.
func TestRunOrder(t *testing.T) {
	const producers, each = 10, 2000
	l := one(t)
	busy, release := make(chan struct{}), make(chan struct{})
	l.Run(func() { close(busy); <-release })
	await(t, busy, "the first task")

	var next [producers]int // touched on the loop only
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				if i == each/2 && p == 0 {
					close(release) // from here on producers and loop run side by side
				}
				l.Run(func() {
					if next[p] != i {
						t.Errorf("producer %d: task %d ran when %d was due", p, i, next[p])
					}
					next[p] = i + 1
				})
			}
		})
	}
	wg.Wait()
	on(t, l, func() {
		for p, n := range next {
			if n != each {
				t.Errorf("producer %d: %d of %d tasks ran", p, n, each)
			}
		}
	})
}

// TestRunIsNotNested has a task submit another: that runs later, not inside.
func TestRunIsNotNested(t *testing.T) {
	l := one(t)
	inner := make(chan bool, 1)
	inside := false
	on(t, l, func() {
		inside = true
		l.Run(func() { inner <- inside })
		inside = false
	})
	if await(t, inner, "the inner task") {
		t.Error("Run called the function at once")
	}
}

// TestRunIsFair has a task that submits itself again for as long as the test runs: clients are
// answered all the same.
func TestRunIsFair(t *testing.T) {
	l := one(t)
	_, far := connect(t, l, hooks{data: func(c *Conn, p []byte) { c.Write(p) }})
	stop, turns := false, 0
	var again func()
	again = func() {
		if turns++; !stop {
			l.Run(again)
		}
	}
	l.Run(again)
	buf := make([]byte, 4)
	for range 100 {
		_ = far.SetDeadline(time.Now().Add(patience))
		if _, err := far.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(far, buf); err != nil {
			t.Fatalf("starved by a task: %v", err)
		}
	}
	on(t, l, func() {
		stop = true
		if turns < 100 {
			t.Errorf("the task ran %d times beside 100 echoes: it was starved", turns)
		}
	})
}

// BenchmarkRun is the price of a hop to a loop and back.
func BenchmarkRun(b *testing.B) {
	l := one(b)
	done := make(chan struct{}, 1)
	f := func() { done <- struct{}{} }
	b.ReportAllocs()
	for b.Loop() {
		l.Run(f)
		<-done
	}
}
