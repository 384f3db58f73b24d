package pool

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// loopCounts are the numbers of loops that are measured.
var loopCounts = []int{1, 2, 4}

// perLoop is the number of connections of each loop in the benchmarks.
const perLoop = 8

// opened is loops whose parts have perLoop idle connections each.
func opened(b testing.TB, loops int) (*real, *Pool) {
	r, p := newReal(b, loops, &Options{Size: loops * perLoop, Connects: loops * perLoop})
	for _, l := range r.loops {
		var ws []*worker
		for range perLoop {
			w := newWorker(l)
			ws = append(ws, w)
			w.waits = true
			if e := l.part.Get(&w.waiter); e != nil {
				b.Fatal("an idle connection in a new pool")
			}
		}
		for l.turn(); l.rings.Load(); {
			l.turn()
		}
		for _, w := range ws {
			w.put()
		}
	}
	if p.Open() != loops*perLoop {
		b.Fatalf("%d are open", p.Open())
	}
	return r, p
}

// atOnce runs f for each loop on a goroutine of its own, n/loops times.
func atOnce(b *testing.B, r *real, n int, f func(l *realLoop, n int)) {
	var all sync.WaitGroup
	b.ResetTimer()
	for _, l := range r.loops {
		all.Go(func() { f(l, n/len(r.loops)) })
	}
	all.Wait()
}

// BenchmarkCheckout is a Get of an idle connection and its Put, on several loops that share one pool. For
// comparison, "with an atomic" is the same with what a counter of free connections, shared by the loops,
// would cost at least: one atomic addition for each Get and each Put.
func BenchmarkCheckout(b *testing.B) {
	var shared atomic.Int64
	for _, loops := range loopCounts {
		for _, counted := range []bool{false, true} {
			name := fmt.Sprintf("loops=%d", loops)
			if counted {
				name += ",with an atomic"
			}
			b.Run(name, func(b *testing.B) {
				r, _ := opened(b, loops)
				b.ReportAllocs()
				atOnce(b, r, b.N, func(l *realLoop, n int) {
					var w Waiter
					for range n {
						if counted {
							shared.Add(-1)
						}
						e := l.part.Get(&w)
						l.part.Put(e)
						if counted {
							shared.Add(1)
						}
					}
				})
			})
		}
	}
}

// BenchmarkWait is the same where all connections are in use and others wait: a Put, the Grant that it
// makes, and the next Get.
func BenchmarkWait(b *testing.B) {
	for _, loops := range loopCounts {
		b.Run(fmt.Sprintf("loops=%d", loops), func(b *testing.B) {
			r, _ := opened(b, loops)
			b.ReportAllocs()
			atOnce(b, r, b.N, func(l *realLoop, n int) {
				q := newQueuers(l, 4*perLoop)
				for i := range n {
					if q.turn(); i%64 == 0 {
						l.turn()
					}
				}
			})
			b.ReportMetric(float64(r.moves.Load())/float64(b.N), "moves/op")
		})
	}
}

// queuers are more users of one loop's part than it has connections.
type queuers struct {
	part    *Part
	waiters []Waiter
	has     []holding // in the order in which they got it
}

type holding struct {
	w *Waiter
	e *Entry
}

func newQueuers(l *realLoop, n int) *queuers {
	q := &queuers{part: l.part, waiters: make([]Waiter, n), has: make([]holding, 0, 16*n)}
	for i := range q.waiters {
		w := &q.waiters[i]
		w.Grant = func(e *Entry) { q.has = append(q.has, holding{w, e}) }
		w.Fail = func(err error) { l.r.t.Error(err) }
		if e := q.part.Get(w); e != nil {
			q.has = append(q.has, holding{w, e})
		}
	}
	return q
}

// turn has who got a connection first give it back, and wait for the next.
func (q *queuers) turn() {
	if len(q.has) == 0 {
		return // they have gone to another loop
	}
	h := q.has[0]
	q.has = append(q.has[:0], q.has[1:]...)
	q.part.Put(h.e)
	if e := q.part.Get(h.w); e != nil {
		q.has = append(q.has, holding{h.w, e})
	}
}

// TestNothingIsAllocated holds a checkout and a wait to no allocation.
func TestNothingIsAllocated(t *testing.T) {
	r, _ := opened(t, 2)
	l := r.loops[0]
	var w Waiter
	checkout := func() { l.part.Put(l.part.Get(&w)) }
	if n := testing.AllocsPerRun(1000, checkout); n != 0 {
		t.Errorf("a checkout allocates %v times", n)
	}
	q := newQueuers(l, 4*perLoop)
	if n := testing.AllocsPerRun(1000, q.turn); n != 0 {
		t.Errorf("a wait allocates %v times", n)
	}
	if len(q.has) == 0 || l.part.Waiting() == 0 {
		t.Error("nobody waited")
	}
}
