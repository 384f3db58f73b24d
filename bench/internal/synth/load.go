package synth

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"
)

// bin is the width of the bins in which answers are counted.
const bin = 10 * time.Millisecond

// load is what becomes of the questions of one run. All times are the poller's.
//
//	begin ── warm ──▶ warm ── lasts ──▶ end ── at most patience ──▶ all answered
//	                   └ questions due from here on are measured
type load struct {
	begin, warm, end time.Duration
	asking           bool // until the end
	isWarm           bool
	pace             *pace // of an open loop; nil for a closed one
	bins             []int64
	queries          int64
	unsent           int64
	latency          histogram
	cpu              time.Duration // this process's, when it was warm
}

// pace is when questions are due, and who may ask them. Dues are a Poisson process: they do not know
// of each other or of answers, and no delay ever moves one. So a question that has to wait until a
// client is free has waited since it was due.
type pace struct {
	every  float64 // mean distance, in nanoseconds
	random *rand.Rand
	exact  float64 // the next due, in nanoseconds
	free   []int   // a ring of clients, each as often as it may ask
	oldest int
	count  int
}

// newPace makes a pace for so many clients, all of them free. It is the same in each run.
func newPace(rate float64, begin time.Duration, clients, depth int) *pace {
	p := &pace{every: 1e9 / rate, random: rand.New(rand.NewPCG(1, 2)), exact: float64(begin), free: make([]int, clients*depth)}
	for range depth {
		for token := range clients {
			p.release(token)
		}
	}
	p.next()
	return p
}

// due is when the next question is to be asked.
func (p *pace) due() time.Duration { return time.Duration(p.exact) }

func (p *pace) next() { p.exact += p.every * p.random.ExpFloat64() }

// take returns the client that has been free for the longest time; there is one.
func (p *pace) take() int {
	token := p.free[p.oldest]
	p.oldest = (p.oldest + 1) % len(p.free)
	p.count--
	return token
}

// release lets a client ask once more.
func (p *pace) release(token int) {
	p.free[(p.oldest+p.count)%len(p.free)] = token
	p.count++
}

// answered counts the answer to a question that came at that time.
func (l *load) answered(a asked, now time.Duration) {
	l.queries++
	l.bins[min(int((now-l.begin)/bin), len(l.bins)-1)]++
	if a.due >= l.warm {
		l.latency.add(now-a.due, 1)
	}
}

// stopAsking ends the asking. What was due until then and has not been asked has waited at least that
// long.
func (l *load) stopAsking(at time.Duration) {
	l.asking, l.end = false, at
	if l.pace == nil {
		return
	}
	for ; l.pace.due() < at; l.pace.next() {
		l.unsent++
		if due := l.pace.due(); due >= l.warm {
			l.latency.add(at-due, 1)
		}
	}
}

// work asks until the time is over, and waits for the last answers.
func (c *client) work(say io.Writer) (Result, error) {
	begin, wall := c.poll.now(), time.Now()
	warm := begin + c.Warm
	l := &load{begin: begin, warm: warm, end: warm + c.Lasts, asking: true}
	l.bins = make([]int64, (c.Warm+c.Lasts+2*patience)/bin+1)
	c.load, c.heard = l, begin
	if c.Rate > 0 {
		l.pace = newPace(c.Rate, begin, c.Clients, c.Depth)
	} else if err := c.askAll(); err != nil {
		return Result{}, err
	}
	for l.asking || c.owed > 0 {
		if err := c.step(say); err != nil {
			return Result{}, err
		}
	}
	return l.result(wall, cpuTime()), nil
}

// askAll lets all clients of a closed loop ask as much as they may.
func (c *client) askAll() error {
	for token, k := range c.conns {
		now := c.poll.now()
		for range c.Depth {
			c.ask(k, now)
		}
		if err := c.flush(token, k); err != nil {
			return err
		}
	}
	return nil
}

// step is one turn of the loop under load.
func (c *client) step(say io.Writer) error {
	l, now := c.load, c.poll.now()
	if !l.isWarm && now >= l.warm {
		l.isWarm, l.cpu = true, cpuTime()
		if _, err := fmt.Fprintln(say, "warm"); err != nil {
			return err
		}
	}
	if l.asking && now >= l.end {
		l.stopAsking(l.end)
		return nil
	}
	if c.owed == 0 {
		c.heard = now // nothing is due
	} else if now-c.heard > c.patience {
		return fmt.Errorf("%d questions are without an answer, and none has come within %v", c.owed, c.patience)
	}
	if l.asking && l.pace != nil {
		if err := c.askDue(now); err != nil {
			return err
		}
	}
	if err := c.poll.arm(c.wake()); err != nil {
		return err
	}
	stopped, err := c.turn(c.tick())
	if stopped && l.asking {
		l.stopAsking(min(l.end, c.poll.now()))
	}
	return err
}

// dueMax bounds how many questions are asked before answers are looked at again.
const dueMax = 64

// askDue asks the questions that are due, as far as clients are free.
func (c *client) askDue(now time.Duration) error {
	p := c.load.pace
	for range dueMax {
		due := p.due()
		if p.count == 0 || due > now || due >= c.load.end {
			return nil
		}
		p.next()
		token := p.take()
		c.ask(c.conns[token], due)
		if err := c.flush(token, c.conns[token]); err != nil {
			return err
		}
	}
	return nil
}

// wake is when something has to be done even if no answer comes; 0 for never.
func (c *client) wake() time.Duration {
	l := c.load
	switch {
	case !l.asking:
		return 0
	case l.pace != nil && l.pace.count > 0:
		return min(l.next(), l.pace.due())
	}
	return l.next()
}

// next is the next moment of the run itself.
func (l *load) next() time.Duration {
	if !l.isWarm {
		return l.warm
	}
	return l.end
}

// result sums up.
func (l *load) result(wall time.Time, cpu time.Duration) Result {
	bins := l.bins
	for len(bins) > 0 && bins[len(bins)-1] == 0 {
		bins = bins[:len(bins)-1]
	}
	r := Result{
		Queries: l.queries, Unsent: l.unsent, Measured: int64(l.latency.total),
		P50: l.latency.percentile(50), P99: l.latency.percentile(99), P999: l.latency.percentile(99.9), Max: l.latency.max,
		Start: wall.UnixNano(), Until: wall.Add(l.end - l.begin).UnixNano(), Bin: bin, Bins: bins,
	}
	if l.isWarm {
		r.CPU = cpu - l.cpu
	}
	return r
}

// cpuTime is the CPU time of this process, all threads together.
func cpuTime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts) != nil {
		return 0 // the kernel has had this clock since 2.6.12
	}
	return time.Duration(ts.Nano())
}
