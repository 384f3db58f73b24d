package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"sluice/bench/internal/child"
)

// startPatience is how long a server or Sluice may take until it accepts connections.
const startPatience = 20 * time.Second

// backend is one of the two embedded SQL servers: a process of its own, so that it can be killed as a
// real one would be. It keeps its address over its lives; each life has a name of its own ("alpha 1"),
// by which clients know where they are.
type backend struct {
	name string
	addr string

	mu        sync.Mutex
	process   *child.Process
	lives     int
	killBegan time.Time // of the last kill; zero = never killed
	killEnded time.Time // zero while it is under way
	killed    map[string]bool
}

// newBackends prepares the servers of the demo.
func newBackends(names ...string) ([]*backend, error) {
	var list []*backend
	for _, name := range names {
		addr, err := child.FreeAddress()
		if err != nil {
			return nil, err
		}
		list = append(list, &backend{name: name, addr: addr, killed: make(map[string]bool)})
	}
	return list, nil
}

// start begins a life and waits until the server accepts connections.
func (b *backend) start(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.lives++
	life := fmt.Sprintf("%s %d", b.name, b.lives)
	b.mu.Unlock()
	p, err := child.Start(child.Spec{Name: "SQL server " + b.name, Args: []string{self, "-serve", life, "-listen", b.addr}})
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.process = p
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	return child.Until(ctx, p, func() error { return child.Accepts(b.addr) })
}

// kill ends the server as a power failure would: without a word to its clients.
func (b *backend) kill() {
	b.mu.Lock()
	b.killed[fmt.Sprintf("%s %d", b.name, b.lives)] = true
	b.killBegan, b.killEnded = time.Now(), time.Time{}
	p := b.process
	b.mu.Unlock()
	p.Kill()
	b.mu.Lock()
	b.killEnded = time.Now()
	b.mu.Unlock()
}

// stop ends the server at the end of the demo.
func (b *backend) stop() {
	b.mu.Lock()
	p := b.process
	b.mu.Unlock()
	if p != nil {
		p.Kill()
	}
}

// took reports whether this backend's death explains that a session failed. life is the server that
// the session was on, or "" if it had not yet learned that; began is when it began to connect. A
// session that knows its server ends with it, and with no other. One that was just logging in may have
// been on the dying server; one that began after the death may not fail at all.
func (b *backend) took(life string, began time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if life != "" {
		return b.killed[life]
	}
	return !b.killBegan.IsZero() && (b.killEnded.IsZero() || began.Before(b.killEnded))
}
