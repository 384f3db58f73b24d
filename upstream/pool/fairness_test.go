package pool

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestFairness has clients ask again as soon as they are served, unevenly many on each loop: each gets its
// share, on whichever loop it lives, and few connections are moved for it.
func TestFairness(t *testing.T) {
	tests := []struct {
		name    string
		size    int
		clients []int         // on each loop
		service time.Duration // of a query, on average
	}{
		{"even", 20, []int{100, 100}, 200 * time.Microsecond},
		{"uneven", 20, []int{20, 180}, 200 * time.Microsecond},
		{"very uneven, four loops", 32, []int{10, 300, 20, 70}, 100 * time.Microsecond},
		{"fewer connections than loops", 3, []int{50, 50, 50, 50}, 100 * time.Microsecond},
		{"long queries", 20, []int{30, 90}, 4 * time.Millisecond},
		{"hardly more clients than connections", 20, []int{11, 11}, 200 * time.Microsecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const queries = 400 // of each client, about
			w := newWorld(t, 1, len(tt.clients))
			p := w.group.Pool(Key{}, &Options{Size: tt.size, Connects: tt.size})
			all := 0
			for loop, n := range tt.clients {
				line := new([]*client)
				for range n {
					w.client(p, loop, line)
				}
				all += n
			}
			until := w.crowd(tt.service, queries*all)
			least, most := until, 0
			for _, c := range w.clients {
				least, most = min(least, c.served), max(most, c.served)
			}
			mean := float64(until) / float64(all)
			t.Logf("of %d queries each client had %d to %d, mean %.0f; %d moves", until, least, most, mean, w.moves)
			if float64(least) < 0.8*mean {
				t.Errorf("the slowest client had %d, the mean is %.0f", least, mean)
			}
			if w.moves > until/20 {
				t.Errorf("%d moves for %d queries", w.moves, until)
			}
		})
	}
}

// crowd has all clients use their pool until so many queries were served, and tells how many that were.
func (w *world) crowd(service time.Duration, queries int) (served int) {
	step := max(20*time.Microsecond, service/10)
	dice := rand.New(rand.NewPCG(8, 9))
	ends := map[*client]int64{}
	var at []*client // who have a connection, in the order in which they got it
	w.held = func(c *client) {
		served++
		ends[c] = w.now + int64(dice.ExpFloat64()*float64(service))
		at = append(at, c)
	}
	for _, c := range w.clients {
		c.get()
	}
	for served < queries {
		w.pass(step)
		w.run()
		for i := 0; i < len(at); {
			c := at[i]
			if w.now < ends[c] {
				i++
				continue
			}
			at = slices.Delete(at, i, i+1)
			c.put()
			c.get()
		}
	}
	return served
}
