package guard

import (
	"errors"
	"fmt"
	"net"
	"sync"
)

// clients are sessions with one query under way each.
type clients struct {
	load  load
	conns []net.Conn
}

// connect logs n clients in, one after the other: Sluice puts them on its loops in turn.
func connect(l load, addr string, n int) (*clients, error) {
	c := &clients{load: l}
	for range n {
		conn, err := l.login(addr)
		if err != nil {
			c.close()
			return nil, fmt.Errorf("login: %w", err)
		}
		c.conns = append(c.conns, conn)
	}
	return c, nil
}

// ask has each client ask its share of queries, one after the other. await is called before
// each.
func (c *clients) ask(queries int, await func() error) error {
	var all sync.WaitGroup
	errs := make([]error, len(c.conns))
	for i, conn := range c.conns {
		all.Go(func() { errs[i] = c.talk(conn, queries/len(c.conns), await) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (c *clients) talk(conn net.Conn, queries int, await func() error) error {
	got := make([]byte, len(c.load.answer))
	for range queries {
		if err := await(); err != nil {
			return fmt.Errorf("client: %w", err)
		}
		if err := send(conn, c.load.request); err != nil {
			return fmt.Errorf("client: %w", err)
		}
		if err := receive(conn, got, c.load.answer); err != nil {
			return fmt.Errorf("client: %w", err)
		}
	}
	return nil
}

func (c *clients) close() {
	for _, conn := range c.conns {
		conn.Close()
	}
}
