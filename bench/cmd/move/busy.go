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
func (s *stage) work(ctx context.Context, from, to int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
		warm sync.WaitGroup
	)
	warm.Add(s.options.busy)
	for range s.options.busy {
		wg.Go(func() {
			b := &busy{}
			err := b.run(ctx, s, warm.Done)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
			s.pauses = append(s.pauses, b.pauses...)
			s.steady = append(s.steady, b.steady...)
		})
	}
	warm.Wait()
	_, err := s.drain(ctx, "busy", from, to)
	wg.Wait()
	return errors.Join(append(errs, err)...)
}

// busy is a client without a pause.
type busy struct {
	pauses, steady []time.Duration
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
			b.pauses = append(b.pauses, took)
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
