package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"sluice/bench/internal/child"
)

// The parts of the story, as shares of its length: first both servers work, then one is gone, then
// both work again.
const (
	killAt   = 0.3
	returnAt = 0.6
)

// figuresEvery is how often the live line is renewed.
const figuresEvery = 500 * time.Millisecond

// play runs the whole demo.
func play(ctx context.Context, program string, clients int, length time.Duration) (err error) {
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("%w (make build makes it)", err)
	}
	dir, err := os.MkdirTemp("", "sluice-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d := &demo{screen: newScreen(os.Stdout), figures: &figures{}}
	if d.backends, err = newBackends("alpha", "beta"); err != nil {
		return err
	}
	for _, b := range d.backends {
		defer b.stop()
		if err := b.start(ctx); err != nil {
			return err
		}
	}
	if d.proxy, err = startProxy(ctx, program, dir, d.backends); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.proxy.stop()) }()
	d.introduce()
	return d.run(ctx, clients, length)
}

// demo is the demo under way.
type demo struct {
	screen   *screen
	figures  *figures
	backends []*backend
	proxy    *proxy
	returned int // sessions of the server that came back, at the end
	whole    bool
}

// introduce says what runs and how to try it by hand.
func (d *demo) introduce() {
	s := d.screen
	s.say("Two SQL servers, each a process of its own, and Sluice in front of them with this configuration:\n")
	s.say(s.paint(dim, d.proxy.text))
	s.say("While this runs, connect by hand:  " + s.paint(bold, "mysql -h 127.0.0.1 -P "+child.Port(d.proxy.listen)+" -u root "+database))
	s.say("What Sluice tells of itself:       " + s.paint(bold, "http://"+d.proxy.admin+"/metrics") + "\n")
}

// run lets the clients work while the story goes on around them.
func (d *demo) run(ctx context.Context, clients int, length time.Duration) error {
	db, err := openDB(d.proxy.listen)
	if err != nil {
		return err
	}
	defer db.Close()
	work, stop := context.WithCancel(ctx)
	defer stop()
	w := &workload{db: db, backends: d.backends, figures: d.figures}
	d.screen.began = time.Now()
	d.screen.event(fmt.Sprintf("%d clients begin to work", clients))
	w.run(work, clients)
	err = d.watch(ctx, length)
	stop()
	w.done.Wait()
	if err != nil {
		return err
	}
	return d.judge()
}

// watch shows the figures and has the events happen in their time. It ends with the story or with ctx;
// the latter is no error.
func (d *demo) watch(ctx context.Context, length time.Duration) error {
	victim := d.backends[0]
	share := func(of float64) <-chan time.Time { return time.After(time.Duration(of * float64(length))) }
	kill, back, end := share(killAt), share(returnAt), share(1)
	tick := time.NewTicker(figuresEvery)
	defer tick.Stop()
	var started chan error
	for {
		select {
		case <-kill:
			d.screen.event(fmt.Sprintf("server %s is killed: its sessions end, new ones go to the other", victim.name))
			victim.kill()
		case <-back:
			d.screen.event(fmt.Sprintf("server %s is started again: as the one with the fewest sessions it gets the new ones", victim.name))
			started = make(chan error, 1)
			go func() { started <- victim.start(ctx) }()
		case err := <-started:
			if err != nil && ctx.Err() == nil {
				return err
			}
		case <-d.proxy.process.Done():
			return fmt.Errorf("the proxy ended in the middle: %w", d.proxy.process.Err())
		case <-tick.C:
			if err := d.show(ctx); err != nil {
				return err
			}
		case <-end:
			d.whole = true
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// show renews the live line.
func (d *demo) show(ctx context.Context) error {
	sessions, err := d.proxy.sessions(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	d.returned = sessions[d.backends[0].addr]
	d.screen.figures(d.figures.take(figuresEvery), d.backends, sessions)
	return nil
}

// judge sums up and says whether all was as it should be.
func (d *demo) judge() error {
	s := d.screen
	total := d.figures.take(figuresEvery)
	ends, unexpected := d.figures.texts()
	s.event("the end")
	s.say(fmt.Sprintf("\n%d queries answered; %d sessions ended with their server; %d errors that should not have been.",
		total.answers, total.ended, total.unexpected))
	d.list("What the clients of the killed server were told:", ends)
	d.list("Errors that should not have been:", unexpected)
	switch {
	case total.unexpected > 0:
		return errors.New("clients saw errors that they should not have seen")
	case total.answers == 0:
		return errors.New("no query was answered")
	case d.whole && total.ended == 0:
		return errors.New("a server was killed and no session noticed: the clients were not where they seemed to be")
	case d.whole && d.returned == 0:
		return fmt.Errorf("server %s came back but got no sessions", d.backends[0].name)
	}
	return nil
}

func (d *demo) list(title string, texts map[string]int64) {
	if len(texts) == 0 {
		return
	}
	d.screen.say(title)
	for _, text := range slices.Sorted(maps.Keys(texts)) {
		d.screen.say(fmt.Sprintf("  %4d × %s", texts[text], text))
	}
}
