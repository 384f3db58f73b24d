package engine

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// fakeWheel is a wheel whose time is a number; clock is its wish to be called again.
type fakeWheel struct {
	wheel
	now   int64
	fired []string
}

func newFakeWheel(t *testing.T, now int64) *fakeWheel {
	w := &fakeWheel{now: now}
	w.init(func(func()) {})
	t.Cleanup(func() { w.clock.Stop() })
	return w
}

// timer makes a timer that notes its name and time when it fires.
func (w *fakeWheel) timer(name string) *Timer {
	return &Timer{Fn: func() { w.fired = append(w.fired, name) }}
}

// set arms t in so many steps.
func (w *fakeWheel) set(t *Timer, steps int64) { w.arm(t, w.now, time.Duration(steps)*tick) }

// pass lets so many steps go by, one after the other.
func (w *fakeWheel) pass(steps int64) {
	for range steps {
		w.now += int64(tick)
		w.advance(w.now)
	}
}

// TestTimerOrder arms timers in another order than they are due.
func TestTimerOrder(t *testing.T) {
	w := newFakeWheel(t, 12345)
	var want []string
	for i, steps := range []int64{3, 1, 600, 2, 511, 512, 513, 2000, 0, 3} {
		name := fmt.Sprintf("%04d #%d", steps, i)
		want = append(want, name)
		w.set(w.timer(name), steps)
	}
	slices.Sort(want)
	w.pass(2001)
	if !slices.Equal(w.fired, want) {
		t.Errorf("fired %q\nwant  %q", w.fired, want)
	}
	if w.armed != 0 {
		t.Errorf("%d timers are counted as armed", w.armed)
	}
}

// TestTimerNeverEarly arms timers at odd times for odd durations: each fires after its time has come,
// and at most one step later.
func TestTimerNeverEarly(t *testing.T) {
	for _, offset := range []time.Duration{0, 1, tick / 2, tick - 1} {
		for _, d := range []time.Duration{-time.Hour, 0, 1, tick - 1, tick, tick + 1, 99 * time.Millisecond,
			slots*tick - 1, slots * tick, slots*tick + 1, 3*slots*tick + tick/2} {
			w := newFakeWheel(t, int64(7*tick+offset))
			armed, fired := w.now, int64(-1)
			tm := &Timer{Fn: func() { fired = w.now }}
			w.arm(tm, w.now, d)
			w.now -= int64(offset) // the wheel is advanced at whole steps
			due := armed + int64(max(d, 0))
			for fired < 0 && w.now < due+int64(3*tick) {
				w.pass(1)
			}
			if fired < due || fired > due+int64(tick) {
				t.Errorf("armed at %v for %v: fired at %v", time.Duration(armed), d, time.Duration(fired))
			}
		}
	}
}

// TestTimerRevolutions has timers of several revolutions share one list: each fires in its own.
func TestTimerRevolutions(t *testing.T) {
	w := newFakeWheel(t, 0)
	for _, r := range []int64{0, 1, 2, 5} {
		w.set(w.timer(fmt.Sprint(r)), 10+r*slots)
	}
	for r := range int64(6) {
		before := len(w.fired)
		w.pass(slots)
		var want []string
		if r == 0 || r == 1 || r == 2 || r == 5 {
			want = []string{fmt.Sprint(r)}
		}
		if got := w.fired[before:]; !slices.Equal(got, want) {
			t.Errorf("revolution %d: fired %q, want %q", r, got, want)
		}
	}
}

// TestTimerLateLoop has the loop be away for longer than a revolution: what came due meanwhile fires at
// once, what did not stays.
func TestTimerLateLoop(t *testing.T) {
	w := newFakeWheel(t, 0)
	for _, steps := range []int64{1, 100, 511, 512, 900, 5000} {
		w.set(w.timer(fmt.Sprint(steps)), steps)
	}
	w.now += 1000 * int64(tick)
	w.advance(w.now)
	slices.Sort(w.fired)
	if want := []string{"1", "100", "511", "512", "900"}; !slices.Equal(w.fired, want) {
		t.Errorf("fired %q, want %q", w.fired, want)
	}
	w.pass(4001)
	if last := w.fired[len(w.fired)-1]; last != "5000" || len(w.fired) != 6 {
		t.Errorf("fired %q, want 5000 at the end", w.fired)
	}
}

// TestTimerChanges arms and disarms timers in every situation, callbacks included.
func TestTimerChanges(t *testing.T) {
	tests := []struct {
		name string
		play func(w *fakeWheel)
		want []string
	}{
		{"disarmed", func(w *fakeWheel) {
			tm := w.timer("a")
			w.set(tm, 3)
			w.pass(1)
			w.remove(tm)
			w.remove(tm) // twice does no harm
			w.pass(10)
		}, nil},
		{"never armed", func(w *fakeWheel) { w.remove(w.timer("a")); w.pass(3) }, nil},
		{"postponed", func(w *fakeWheel) {
			tm := w.timer("a")
			for range 10 {
				w.set(tm, 3)
				w.pass(2)
			}
			w.fired = append(w.fired, "end")
			w.pass(10)
		}, []string{"end", "a"}},
		{"preponed", func(w *fakeWheel) {
			tm := w.timer("a")
			w.set(tm, 1000)
			w.set(tm, 1)
			w.pass(3)
			w.fired = append(w.fired, "end")
			w.pass(2000)
		}, []string{"a", "end"}},
		{"armed again by itself", func(w *fakeWheel) {
			tm := w.timer("a")
			fn := tm.Fn
			tm.Fn = func() {
				if fn(); len(w.fired) < 3 {
					w.set(tm, 2)
				}
			}
			w.set(tm, 1)
			w.pass(20)
		}, []string{"a", "a", "a"}},
		{"disarms one that is due in the same step", func(w *fakeWheel) {
			a, b := w.timer("a"), w.timer("b")
			fn := a.Fn
			a.Fn = func() { fn(); w.remove(b) }
			w.set(a, 2)
			w.set(b, 2)
			w.pass(10)
		}, []string{"a"}},
		{"postpones one that is due in the same step", func(w *fakeWheel) {
			a, b := w.timer("a"), w.timer("b")
			fn := a.Fn
			a.Fn = func() { fn(); w.set(b, 5) }
			w.set(a, 2)
			w.set(b, 2)
			w.pass(3)
			w.fired = append(w.fired, "later")
			w.pass(10)
		}, []string{"a", "later", "b"}},
		{"the last one of an idle wheel arms the next", func(w *fakeWheel) {
			a, b := w.timer("a"), w.timer("b")
			fn := a.Fn
			a.Fn = func() { fn(); w.set(b, slots) }
			w.set(a, 1)
			w.pass(slots)
			w.fired = append(w.fired, "later")
			w.pass(10)
		}, []string{"a", "later", "b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newFakeWheel(t, 99)
			tt.play(w)
			if !slices.Equal(w.fired, tt.want) {
				t.Errorf("fired %q, want %q", w.fired, tt.want)
			}
			if w.armed != 0 {
				t.Errorf("%d timers are counted as armed", w.armed)
			}
		})
	}
}

// TestTimerOnLoop has a loop's clock start with the first timer and stop after the last.
func TestTimerOnLoop(t *testing.T) {
	l := one(t)
	fired := make(chan time.Duration, 1)
	for range 2 {
		on(t, l, func() {
			start := Nano()
			l.Arm(&Timer{Fn: func() { fired <- time.Duration(Nano() - start) }}, 3*tick/2)
		})
		if after := await(t, fired, "the timer"); after < 3*tick/2 {
			t.Errorf("fired after %v", after)
		}
		untilOn(t, l, "the clock rests", func() bool { return !l.wheel.ticks && l.Counts().Timers == 0 })
	}
}

func BenchmarkArm(b *testing.B) {
	l := one(b)
	on(b, l, func() {
		tm := &Timer{Fn: func() {}}
		b.ReportAllocs()
		for b.Loop() {
			l.Arm(tm, time.Minute)
		}
		l.Disarm(tm)
	})
}
