package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

// How the clients work. They leave time between their queries, as applications do, and renew their
// sessions every few seconds, as connection pools do: that is when least connections has its say.
const (
	thinkTime      = 20 * time.Millisecond
	sessionTimeMin = 1 * time.Second
	sessionTimeMax = 3 * time.Second
	queryTimeout   = 5 * time.Second
	insertShare    = 10 // every tenth query is an insert
)

// workload is all clients.
type workload struct {
	db       *sql.DB
	backends []*backend
	figures  *figures
	visit    sync.Mutex // guards lastID
	lastID   int64
	done     sync.WaitGroup
}

// openDB prepares connections to Sluice. database/sql makes a new one for each session and closes it
// at the session's end.
func openDB(addr string) (*sql.DB, error) {
	config := mysql.NewConfig()
	config.User, config.Net, config.Addr, config.DBName = "root", "tcp", addr, database
	config.InterpolateParams = true // one round trip per query
	config.Timeout, config.ReadTimeout, config.WriteTimeout = queryTimeout, queryTimeout, queryTimeout
	config.Logger = &mysql.NopLogger{} // errors are counted, not printed in the middle of a line
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(-1)
	return db, nil
}

// run starts n clients; they work until ctx ends.
func (w *workload) run(ctx context.Context, n int) {
	for range n {
		w.done.Go(func() {
			for ctx.Err() == nil {
				w.session(ctx)
			}
		})
	}
}

// session connects, works for a while and disconnects. It ends early at its first error.
func (w *workload) session(ctx context.Context) {
	began := time.Now()
	life := ""
	err := w.work(ctx, began, &life)
	if err == nil || ctx.Err() != nil {
		return
	}
	for _, b := range w.backends {
		if b.took(life, began) {
			w.figures.ended(err)
			return
		}
	}
	w.figures.failed(err)
	pause(ctx, 5*thinkTime) // what fails must not fail in a tight loop
}

// work is what a session does. As soon as the client knows, it sets life to the server it is on.
func (w *workload) work(ctx context.Context, began time.Time, life *string) error {
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	if err := conn.QueryRowContext(ctx, "SELECT name FROM whoami").Scan(life); err != nil {
		return fmt.Errorf("first query: %w", err)
	}
	until := began.Add(sessionTimeMin + rand.N(sessionTimeMax-sessionTimeMin))
	for time.Now().Before(until) && ctx.Err() == nil {
		asked := time.Now()
		if err := w.query(ctx, conn); err != nil {
			return fmt.Errorf("query: %w", err)
		}
		w.figures.answered(time.Since(asked))
		pause(ctx, thinkTime/2+rand.N(thinkTime))
	}
	return nil
}

// query asks for one account, or notes a visit to it.
func (w *workload) query(ctx context.Context, conn *sql.Conn) error {
	account := rand.Int64N(accountCount)
	if rand.IntN(insertShare) == 0 {
		_, err := conn.ExecContext(ctx, "INSERT INTO visits (id, account) VALUES (?, ?)", w.nextID(), account)
		return err
	}
	var owner string
	err := conn.QueryRowContext(ctx, "SELECT owner FROM accounts WHERE id = ?", account).Scan(&owner)
	if err != nil {
		return err
	}
	if want := ownerOf(account); owner != want {
		return fmt.Errorf("account %d: the answer is %q; want %q", account, owner, want)
	}
	return nil
}

func (w *workload) nextID() int64 {
	w.visit.Lock()
	defer w.visit.Unlock()
	w.lastID++
	return w.lastID
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
