// Command pgx runs the common paths of the driver pgx. The README in the folder above go says how.
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sluice/bench/e2e/drivers/go/paths"
)

func main() {
	paths.Main(
		paths.Path{Name: "connect", Run: connect},
		paths.Path{Name: "tls-require", Run: tlsRequire},
		paths.Path{Name: "tls-verify-full", Run: tlsVerifyFull},
		paths.Path{Name: "startup", Run: startup},
		paths.Path{Name: "simple", Run: simple},
		paths.Path{Name: "parameters", Run: parameters},
		paths.Path{Name: "prepared", Run: prepared},
		paths.Path{Name: "many-statements", Run: manyStatements},
		paths.Path{Name: "close-statement", Run: closeStatement},
		paths.Path{Name: "pipeline", Run: pipeline},
		paths.Path{Name: "pipeline-error", Run: pipelineError},
		paths.Path{Name: "transaction", Run: transaction},
		paths.Path{Name: "copy-in", Run: copyIn},
		paths.Path{Name: "copy-out", Run: copyOut},
		paths.Path{Name: "copy-error", Run: copyError},
		paths.Path{Name: "cancel", Run: cancels},
		paths.Path{Name: "cursor", Run: cursor},
		paths.Path{Name: "settings", Run: settings},
		paths.Path{Name: "listen", Run: listen},
		paths.Path{Name: "types", Run: types},
		paths.Path{Name: "large", Run: large},
		paths.Path{Name: "schema-change", Run: schemaChange},
		paths.Path{Name: "reconnect", Run: reconnect},
	)
}

// dial opens a connection; words are added to the connection string.
func dial(p *paths.P, words ...string) (*pgx.Conn, error) {
	all := append([]string{"host=" + p.Host, "port=" + p.Port, "user=" + p.User, "password='" + p.Password + "'",
		"dbname=" + p.Database, "sslmode=disable"}, words...)
	return pgx.Connect(p, strings.Join(all, " "))
}

func open(p *paths.P, words ...string) *pgx.Conn {
	c, err := dial(p, words...)
	p.Must(err)
	return c
}

func shut(c *pgx.Conn) { _ = c.Close(context.Background()) }

func do(p *paths.P, c *pgx.Conn, sql string, args ...any) {
	if _, err := c.Exec(p, sql, args...); err != nil {
		p.Fail("%.80s: %v", sql, err)
	}
}

// one returns the single value of a query.
func one[T any](p *paths.P, q interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, sql string, args ...any) (v T) {
	if err := q.QueryRow(p, sql, args...).Scan(&v); err != nil {
		p.Fail("%.80s: %v", sql, err)
	}
	return v
}

// state ends the path unless err is the server's error with that SQLSTATE.
func state(p *paths.P, err error, want string) {
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != want {
		p.Fail("error %v, want SQLSTATE %s", err, want)
	}
}

// busy starts n clients that run short transactions.
func busy(p *paths.P, n int) *paths.Neighbours {
	return p.Busy(n, func(ctx context.Context) (func() error, func(), error) {
		c, err := dial(p)
		if err != nil {
			return nil, nil, err
		}
		return func() error {
			return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, "select pg_sleep(0.002), $1::text", "neighbour")
				return err
			})
		}, func() { shut(c) }, nil
	})
}

// table makes an empty table of this run, and returns its name and what drops it.
func table(p *paths.P, c *pgx.Conn, name, columns string) (string, func()) {
	name = fmt.Sprintf("%s_pgx_%s", name, p.Copy)
	do(p, c, "drop table if exists "+name)
	do(p, c, "create table "+name+" ("+columns+")")
	return name, func() { do(p, c, "drop table "+name) }
}
