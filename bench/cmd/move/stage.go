package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"sluice/bench/e2e/real"
)

// A stage is Sluice before two servers of one kind, with sessions at rest.
type stage struct {
	kind    kind
	options options
	sluice  *real.Sluice
	servers []string
	stops   []func() error
	restDB  *sql.DB
	busyDB  *sql.DB
	atRest  []*sql.Conn
	looks   []string // what sessions at rest had at the begin

	leaving []leaving
	working []working
}

// patience is for what happens by itself; no figure comes from it.
const patience = 2 * time.Minute

func startStage(dir, name string, o options, ca *real.Authority, cert real.Pair) (_ *stage, err error) {
	s := &stage{options: o}
	for _, k := range kinds {
		if k.name == name {
			s.kind = k
		}
	}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	for i := range 2 {
		addr, stop, err := s.kind.start(dir, i, ca, cert)
		if err != nil {
			return nil, err
		}
		s.servers, s.stops = append(s.servers, addr), append(s.stops, stop)
	}
	home := filepath.Join(dir, "sluice-"+name)
	if err := os.Mkdir(home, 0o755); err != nil {
		return nil, err
	}
	listen := map[string]string{}
	for _, c := range clusters {
		listen[c] = real.FreeAddr()
	}
	if s.sluice, err = real.StartSluice(o.sluice, home, s.kind.config(listen, s.servers)); err != nil {
		return nil, err
	}
	for _, c := range clusters {
		if err := s.order(c, 1, "drain"); err != nil {
			return nil, err
		}
	}
	if s.restDB, err = s.kind.open(listen["rest"], o.sessions); err != nil {
		return nil, err
	}
	if s.busyDB, err = s.kind.open(listen["busy"], 0); err != nil {
		return nil, err
	}
	return s, s.moveIn()
}

// crowd is the number of sessions at rest.
func (s *stage) crowd() int {
	if s.kind.most > 0 {
		return min(s.options.sessions, s.kind.most)
	}
	return s.options.sessions
}

// moveIn has the sessions at rest log in and take on some state.
func (s *stage) moveIn() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i := range s.crowd() {
		c, err := s.restDB.Conn(ctx)
		if err != nil {
			return fmt.Errorf("session %d: %w", i, err)
		}
		s.atRest = append(s.atRest, c)
		if err := takeOn(ctx, c, s.kind.state, i); err != nil {
			return fmt.Errorf("session %d: %w", i, err)
		}
		var look string
		if err := c.QueryRowContext(ctx, s.kind.look).Scan(&look); err != nil {
			return fmt.Errorf("session %d: %w", i, err)
		}
		s.looks = append(s.looks, look)
	}
	return nil
}

func takeOn(ctx context.Context, c *sql.Conn, state []string, i int) error {
	for _, q := range state {
		if _, err := c.ExecContext(ctx, numbered(q, i)); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	return nil
}

// measure has all sessions at rest move, and then clients that work.
func (s *stage) measure(ctx context.Context, round int) error {
	from, to := round%2, 1-round%2
	before, err := s.costs()
	if err != nil {
		return err
	}
	took, err := s.drain(ctx, "rest", from, to)
	if err != nil {
		return err
	}
	after, err := s.costs()
	if err != nil {
		return err
	}
	used := after.since(before)
	s.leaving = append(s.leaving, leaving{
		Seconds: took.Seconds(), ServersCPU: used.servers().Seconds(), SluiceCPU: used.sluice.Seconds(),
		shares: used.shares(after.at.Sub(before.at)),
	})
	if err := s.check(ctx); err != nil {
		return err
	}
	for _, clients := range s.options.busy {
		if err := s.work(ctx, clients, from, to); err != nil {
			return err
		}
	}
	return nil
}

// drain empties a server and says how long that took.
func (s *stage) drain(ctx context.Context, cluster string, from, to int) (time.Duration, error) {
	if err := s.order(cluster, to, "resume"); err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := s.order(cluster, from, "drain"); err != nil {
		return 0, err
	}
	for {
		n, err := s.sessions(cluster, from)
		switch {
		case err != nil:
			return 0, err
		case n == 0:
			return time.Since(begin), nil
		case time.Since(begin) > patience:
			return 0, fmt.Errorf("%d sessions are still at %s\n%s", n, s.servers[from], s.sluice.Log())
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// sessions is how many sessions of a cluster are at a server, by a page that costs little. The page of metrics, asked
// for this often, took a fifth of the CPU time that Sluice used in a drain: it is asked once, for what else may be there
// when no session is.
func (s *stage) sessions(cluster string, i int) (int, error) {
	page, err := s.sluice.Get("/api/backends")
	if err != nil {
		return 0, err
	}
	var list []struct {
		Cluster, Addr string
		Sessions      int
	}
	if err := json.Unmarshal([]byte(page), &list); err != nil {
		return 0, err
	}
	for _, b := range list {
		if b.Cluster == cluster && b.Addr == s.servers[i] {
			if b.Sessions > 0 {
				return b.Sessions, nil
			}
			n, err := s.sluice.Metric("sluice_backend_sessions", fmt.Sprintf("backend=%q", b.Addr), fmt.Sprintf("cluster=%q", cluster))
			return int(n), err
		}
	}
	return 0, fmt.Errorf("%s is not in %s", s.servers[i], page)
}

// check compares what sessions at rest have with what they had.
func (s *stage) check(ctx context.Context) error {
	for i, c := range s.atRest {
		var look string
		if err := c.QueryRowContext(ctx, s.kind.look).Scan(&look); err != nil || look != s.looks[i] {
			return fmt.Errorf("session %d has %q behind its move, and had %q: %w", i, look, s.looks[i], err)
		}
	}
	return nil
}

// order gives an order about a server of a cluster.
func (s *stage) order(cluster string, i int, what string) error {
	_, err := s.sluice.Post("/api/backends/" + url.PathEscape(s.servers[i]) + "/" + what + "?cluster=" + cluster)
	return err
}

// stop ends all of it.
func (s *stage) stop() {
	for _, c := range s.atRest {
		c.Close()
	}
	var errs []error
	for _, db := range []*sql.DB{s.restDB, s.busyDB} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.sluice != nil {
		errs = append(errs, s.sluice.Stop())
	}
	for _, stop := range s.stops {
		errs = append(errs, stop())
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
