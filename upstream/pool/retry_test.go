package pool

import (
	"testing"
	"time"
)

// TestRetry: a pool whose server is known to be back does not sit out the time after its last failure, and
// begins with a short one if there is another.
func TestRetry(t *testing.T) {
	w, p, all := small(t, 1, 2, Options{Size: 2, RetryMin: time.Second, RetryMax: time.Hour})
	c := all[0][0]
	serves := w.connect
	w.connect = func(c *conn) { w.refused(c) }
	for range 10 {
		c.get()
		w.run()
		w.pass(2 * time.Minute)
	}
	if w.run(); p.Usable(w.now) {
		t.Fatal("not the case that was meant")
	}
	before := w.opens
	p.Retry()
	c.get()
	if w.run(); c.failed == nil || w.opens != before+1 {
		t.Errorf("%d were opened, %v", w.opens-before, c.failed)
	}
	w.pass(time.Second)
	w.connect = serves
	c.get()
	if w.run(); c.has == nil {
		t.Error("the time after the first failure since is too long")
	}
}

// TestNotYet: a server that is not ready yet is asked again after the same pause each time, by one attempt,
// whatever the failures before have made of the time between two; a real failure behind it begins with a short
// time again.
func TestNotYet(t *testing.T) {
	const pause = 50 * time.Millisecond
	w, p, all := small(t, 1, 2, Options{Size: 2, RetryMin: time.Second, RetryMax: time.Hour})
	c := all[0][0]
	w.connect = func(c *conn) { w.refused(c) }
	for range 10 {
		c.get()
		w.run()
		w.pass(2 * time.Minute)
	}
	if w.run(); p.Usable(w.now) {
		t.Fatal("not the case that was meant")
	}
	p.Retry()
	refuses := w.connect
	w.connect = func(c *conn) {
		w.gone(c)
		w.part(c.pool, c.loop).ConnectNotYet(&c.Entry, errServer, pause)
	}
	for i := range 20 {
		before := w.opens
		c.get()
		if w.run(); w.opens != before+1 || c.failed == nil {
			t.Fatalf("%d: %d were opened, %v", i, w.opens-before, c.failed)
		}
		c.get()
		if w.run(); w.opens != before+1 || p.Usable(w.now) {
			t.Fatalf("%d: %d were opened before the pause was over", i, w.opens-before)
		}
		w.pass(pause)
	}
	w.connect = refuses
	c.get()
	w.run()
	w.pass(time.Second - 1)
	if w.run(); p.Usable(w.now) {
		t.Error("the time after the first failure since is too short")
	}
	w.pass(1)
	if w.run(); !p.Usable(w.now) {
		t.Error("the time after the first failure since is too long")
	}
}
