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
