package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// work has clients ask without a pause while the server they are at is drained, and takes down how long each waited for its
// answers. They are of a cluster of their own: the sessions at rest stay where they are.
func (s *stage) work(ctx context.Context, clients, from, to int) error {
	if err := s.order("busy", from, "resume"); err != nil {
		return err
	}
	if err := s.order("busy", to, "drain"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var wg, warm sync.WaitGroup
	all := make([]busy, clients)
	errs := make([]error, clients)
	warm.Add(clients)
	for i := range all {
		wg.Go(func() { errs[i] = all[i].run(ctx, s, warm.Done) })
	}
	warm.Wait()
	before, err := s.costs()
	if err == nil {
		_, err = s.drain(ctx, "busy", from, to)
	}
	after, afterErr := s.costs()
	wg.Wait()
	if err := errors.Join(append(errs, err, afterErr)...); err != nil {
		return err
	}
	var pauses []float64
	var others []time.Duration
	for _, b := range all {
		pauses, others = append(pauses, millis(b.pause)), append(others, b.steady...)
	}
	w := working{Clients: clients, PausesMS: pauses, Others: quantilesOf(others), shares: after.since(before).shares(after.at.Sub(before.at))}
	w.Ratio = quantile(pauses, 50) / w.Others.P50
	s.working = append(s.working, w)
	return nil
}

// busy is a client without a pause.
type busy struct {
	pause  time.Duration   // until the first answer of its new server
	steady []time.Duration // until each other one
}

// How many answers a client has before the server is drained, and behind its move.
const warmUp, coolDown = 200, 200

func (b *busy) run(ctx context.Context, s *stage, ready func()) error {
	var once sync.Once
	defer once.Do(ready)
	c, err := s.busyDB.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := takeOn(ctx, c, s.kind.state, 0); err != nil {
		return err
	}
	ask, err := c.PrepareContext(ctx, s.kind.where)
	if err != nil {
		return err
	}
	defer ask.Close()
	return b.ask(ctx, ask, func() { once.Do(ready) })
}

// ask asks until some answers have come from another server than the first did.
func (b *busy) ask(ctx context.Context, where *sql.Stmt, ready func()) error {
	home, behind := 0, 0
	for n := 0; behind < coolDown; n++ {
		var port int
		begin := time.Now()
		if err := where.QueryRowContext(ctx).Scan(&port); err != nil {
			return fmt.Errorf("answer %d: %w", n, err)
		}
		took := time.Since(begin)
		switch {
		case n == 0:
			home = port
		case port != home && behind == 0:
			b.pause = took
			behind++
		case port != home:
			behind++
			fallthrough
		default:
			b.steady = append(b.steady, took)
		}
		if n == warmUp {
			ready()
		}
	}
	return nil
}

func numbered(q string, i int) string { return strings.ReplaceAll(q, "%d", fmt.Sprint(i)) }
