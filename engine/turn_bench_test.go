package engine

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkArmDisarm arms a timer and stops it before it is due, as a session does for each query that
// has a time-out, beside as many others as there are.
func BenchmarkArmDisarm(b *testing.B) {
	for _, others := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("beside %d", others), func(b *testing.B) {
			l := one(b)
			on(b, l, func() {
				armed := make([]Timer, others)
				for i := range armed {
					armed[i].Fn = func() { b.Error("a timer of minutes has fired") }
					l.Arm(&armed[i], time.Hour+time.Duration(i)*time.Millisecond)
				}
				t := &Timer{Fn: func() { b.Error("a timer that was stopped has fired") }}
				b.ReportAllocs()
				for b.Loop() {
					l.Arm(t, 30*time.Second)
					l.Disarm(t)
				}
				for i := range armed {
					l.Disarm(&armed[i])
				}
				if n := l.Counts().Timers; n != 0 {
					b.Errorf("%d timers are left", n)
				}
			})
		})
	}
}

// BenchmarkTasks hands over a hundred functions at a time: the price of one is mostly its place in the
// queue, where BenchmarkRun's is the wake-up.
func BenchmarkTasks(b *testing.B) {
	const batch = 100
	l := one(b)
	ran := 0
	count := func() { ran++ }
	done := make(chan struct{}, 1)
	last := func() { ran++; done <- struct{}{} }
	b.ReportAllocs()
	batches := 0
	for b.Loop() {
		for range batch - 1 {
			l.Run(count)
		}
		l.Run(last)
		<-done
		batches++
	}
	if ran != batches*batch {
		b.Fatalf("%d tasks ran of %d", ran, batches*batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(ran), "ns/task")
}
