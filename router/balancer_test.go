package router

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// TestSpeeds: sessions move as fast as they are to, whatever the speed and however often that is looked at, and not
// faster by stops in between.
func TestSpeeds(t *testing.T) {
	for _, tick := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second} {
		for _, speed := range []float64{0.1, 0.7, 1, 3.3, 10, 99, 1000} {
			t.Run(fmt.Sprintf("%v per second, every %v", speed, tick), func(t *testing.T) {
				w := newWorld()
				w.tick, w.spread = tick, Spread{CountRatio: 1.2, Speeds: [Factors]float64{FactorConnection: speed}}
				w.at("a").sessions = 1e7
				w.at("b")
				const seconds = 20
				w.run(seconds / 2 * time.Second)
				w.at("a").gone = true // for a moment
				w.run(tick)
				w.at("a").gone = false
				w.run(seconds / 2 * time.Second)
				most := math.Ceil(speed*(seconds+2*tick.Seconds())) + 1
				if n := float64(w.moves("")); n < math.Floor(speed*(seconds-1)) || n > most {
					t.Errorf("%v sessions in %v s", n, seconds)
				}
			})
		}
	}
}

// TestFutileOrder: that the sessions of the worst backend would only come back is no reason to leave the next one as it is.
func TestFutileOrder(t *testing.T) {
	w := newWorld()
	full, busy, idle := w.at("full"), w.at("busy"), w.at("idle")
	full.silent, full.memory, full.sessions = false, 0.8, 1
	busy.silent, busy.cpu, busy.perCPU, busy.sessions = false, 0.5, 0.004, 100
	idle.silent, idle.memory = false, 0.3
	w.run(5 * time.Minute)
	if n := w.moves("busy>idle cpu"); n < 20 {
		t.Errorf("moved: %v", w.moved)
	}
	if text := w.explain("full"); w.moves("full") > 0 || !strings.Contains(text, "would be moved back") {
		t.Errorf("%q, moved: %v", text, w.moved)
	}
}

// TestStepsOfManyGroups: sessions of one group are not moved to backends of another, and what one has ordered the next
// one knows.
func TestStepsOfManyGroups(t *testing.T) {
	snap := &Snapshot{Backends: []Standing{{Addr: "a", Healthy: true, Score: 900}, {Addr: "b", Healthy: true},
		{Addr: "c", Healthy: true, Score: 500}, {Addr: "d", Healthy: true}},
		Groups: []Group{{Name: "ab", Members: []int{0, 1}}, {Name: "cd", Members: []int{2, 3}}, {Name: "none"}, {Name: "c", Members: []int{2}}}}
	b := NewBalancer()
	spread := Spread{CountRatio: 1.2}
	got := map[string]int{}
	for i := range 100 {
		for _, o := range b.Step(noon.Add(time.Duration(i)*100*time.Millisecond), snap, &spread) {
			got[o.Group+" "+o.From+o.To] += o.Count
			b.Moved(noon, &o, o.Count)
		}
	}
	if len(got) != 2 || got["ab ab"] == 0 || got["cd cd"] == 0 {
		t.Errorf("got %v", got)
	}
}

// TestNothingMoves: an order that comes to nothing is given again, later and later.
func TestNothingMoves(t *testing.T) {
	w := newWorld()
	w.spread = Spread{CountRatio: 1.2, Speeds: [Factors]float64{FactorConnection: 1000}}
	w.at("a").sessions = 1000
	w.at("b")
	tries := 0
	w.carry = func(*played, *played, *Order) int { tries++; return 0 }
	w.run(10 * time.Minute)
	if tries < 9 || tries > 20 {
		t.Errorf("tried %d times in ten minutes", tries)
	}
	w.carry = nil
	w.run(2 * time.Minute)
	if n := w.moves("a>b"); n < 400 {
		t.Errorf("%d moved when they could", n)
	}
}

// TestForgotten: what a balancer remembers of backends that are not there any more goes away.
func TestForgotten(t *testing.T) {
	w := newWorld()
	for i := range 200 {
		p := w.at(fmt.Sprint("gone", i))
		p.sessions = 10
		p.down = true
		other := w.at(fmt.Sprint("there", i))
		w.run(time.Second)
		p.gone, other.gone = true, true
	}
	w.at("last")
	w.run(2 * restKept)
	b := w.balancer
	if len(b.paces)+len(b.rests)+len(b.barren) > 0 || len(b.loads) > 1 {
		t.Errorf("it remembers %d paces, %d rests, %d ways, %d loads", len(b.paces), len(b.rests), len(b.barren), len(b.loads))
	}
}

// TestOneLine: whatever is explained has one line.
func TestOneLine(t *testing.T) {
	w := newWorld()
	w.spread.Zone, w.spread.Label, w.spread.LabelValue = "east", "tenant", "shop"
	a, b := w.at("a"), w.at("b")
	a.sessions, a.cpu, a.memory, a.pd, a.kv, a.silent, a.zone = 100, 0.95, 0.8, 0.6, 0.4, false, "west"
	b.sessions, b.cpu, b.silent, b.zone, b.tags = 5, 0.1, false, "east", map[string]string{"tenant": "shop"}
	w.run(time.Minute)
	for _, text := range append(w.why, w.explain("a"), w.explain("b")) {
		if text == "" || strings.ContainsAny(text, "\n") {
			t.Errorf("it says %q", text)
		}
	}
	from, to := &side{Standing: &Standing{Addr: "a"}, load: &unknown}, &side{Standing: &Standing{Addr: "b"}, load: &unknown}
	for f := range Factor(Factors) {
		if text := why(f, from, to, &w.spread); !strings.Contains(text, "a ") || strings.Contains(text, "NaN") && f != FactorCPU {
			t.Errorf("%s: %q", f, text)
		}
	}
	figures := w.balancer.Verdicts()[0].Load.Figures()
	for _, name := range []string{"cpu", "cpu_now", "memory", "pd_failures", "tikv_failures"} {
		if _, ok := figures[name]; !ok {
			t.Errorf("no %s in %v", name, figures)
		}
	}
	if len(unknown.Figures()) > 0 {
		t.Errorf("what is not known: %v", unknown.Figures())
	}
}

// BenchmarkStep is one look at ten backends that have all figures.
func BenchmarkStep(b *testing.B) {
	w := newWorld()
	for i := range 10 {
		p := w.at(fmt.Sprint(i))
		p.sessions, p.cpu, p.memory, p.silent = 100, 0.3+float64(i)/100, 0.4, false
	}
	w.run(2 * time.Minute)
	b.ReportAllocs()
	for b.Loop() {
		w.now = w.now.Add(w.tick)
		w.step()
	}
}
