// Command pq runs the common paths of the driver lib/pq, by way of database/sql. The README in the folder
// above go says how.
package main

import (
	"context"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/lib/pq"

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
		paths.Path{Name: "transaction", Run: transaction},
		paths.Path{Name: "copy-in", Run: copyIn},
		paths.Path{Name: "copy-error", Run: copyError},
		paths.Path{Name: "cancel", Run: cancels},
		paths.Path{Name: "cursor", Run: cursor},
		paths.Path{Name: "settings", Run: settings},
		paths.Path{Name: "listen", Run: listen},
		paths.Path{Name: "types", Run: types},
		paths.Path{Name: "large", Run: large},
		paths.Path{Name: "reconnect", Run: reconnect},
	)
}

// dsn is a connection string; words are added to it.
func dsn(p *paths.P, words ...string) string {
	all := append([]string{"host=" + p.Host, "port=" + p.Port, "user=" + p.User, "password='" + p.Password + "'",
		"dbname=" + p.Database, "sslmode=disable", "connect_timeout=90"}, words...)
	return strings.Join(all, " ")
}

// open returns a database of one connection and what closes it.
func open(p *paths.P, words ...string) (*sql.DB, func()) {
	db, err := sql.Open("postgres", dsn(p, words...))
	p.Must(err)
	db.SetMaxOpenConns(1)
	return db, func() { _ = db.Close() }
}

func do(p *paths.P, db *sql.DB, text string, args ...any) {
	if _, err := db.ExecContext(p, text, args...); err != nil {
		p.Fail("%.80s: %v", text, err)
	}
}

// one returns the single value of a query.
func one[T any](p *paths.P, db *sql.DB, text string, args ...any) (v T) {
	if err := db.QueryRowContext(p, text, args...).Scan(&v); err != nil {
		p.Fail("%.80s: %v", text, err)
	}
	return v
}

// state ends the path unless err is the server's error with that SQLSTATE.
func state(p *paths.P, err error, want string) {
	var e *pq.Error
	if !errors.As(err, &e) || string(e.Code) != want {
		p.Fail("error %v, want SQLSTATE %s", err, want)
	}
}

// busy starts n clients that run short transactions.
func busy(p *paths.P, n int) *paths.Neighbours {
	return p.Busy(n, func(ctx context.Context) (func() error, func(), error) {
		db, end := open(p)
		return func() error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "select pg_sleep(0.002), $1::text", "neighbour"); err != nil {
				return err
			}
			return tx.Commit()
		}, end, nil
	})
}

// table makes an empty table of this run, and returns its name and what drops it.
func table(p *paths.P, db *sql.DB, name, columns string) (string, func()) {
	name = fmt.Sprintf("%s_pq_%s", name, p.Copy)
	do(p, db, "drop table if exists "+name)
	do(p, db, "create table "+name+" ("+columns+")")
	return name, func() { do(p, db, "drop table "+name) }
}

func connect(p *paths.P) {
	db, end := open(p)
	defer end()
	p.Equal("current_user", one[string](p, db, "select current_user"), p.User)
	p.Equal("database", one[string](p, db, "select current_database()"), p.Database)
	wrong, end := open(p, "password=wrong")
	defer end()
	state(p, wrong.PingContext(p), "28P01")
}

func tlsRequire(p *paths.P) {
	db, end := open(p, "sslmode=require")
	defer end()
	p.Equal("an answer over TLS", one[int](p, db, "select $1::int + 1", 1), 2)
}

func tlsVerifyFull(p *paths.P) {
	db, end := open(p, "sslmode=verify-full", "sslrootcert="+p.CA)
	defer end()
	p.Equal("an answer over TLS", one[int](p, db, "select $1::int + 1", 1), 2)

	unsure, end := open(p, "sslmode=verify-full")
	defer end()
	var unknown x509.UnknownAuthorityError
	if err := unsure.PingContext(p); !errors.As(err, &unknown) {
		p.Fail("without the authority's certificate: %v", err)
	}
}

// startup has settings in the startup message.
func startup(p *paths.P) {
	db, end := open(p, "application_name='first words'", "TimeZone=Asia/Tokyo", "extra_float_digits=1",
		"options='-c geqo=off -c statement_timeout=54321'")
	defer end()
	other, end := open(p)
	defer end()
	for range 3 {
		for name, want := range map[string]string{
			"application_name": "first words", "TimeZone": "Asia/Tokyo", "extra_float_digits": "1", "geqo": "off",
			"statement_timeout": "54321ms", "DateStyle": "ISO, MDY",
		} {
			p.Equal(name, one[string](p, db, "select current_setting($1)", name), want)
		}
		p.Equal("statement_timeout of another", one[string](p, other, "select current_setting($1)", "statement_timeout"), "0")
	}
}

// reconnect opens and closes many connections; one that the server ends is replaced by database/sql,
// to which lib/pq tells no more than that the connection is bad.
func reconnect(p *paths.P) {
	for i := range 20 {
		db, end := open(p)
		p.Equal("select", one[int](p, db, "select $1::int", i), i)
		end()
	}
	db, end := open(p)
	defer end()
	if _, err := db.ExecContext(p, "select pg_terminate_backend(pg_backend_pid())"); err == nil {
		p.Fail("the server's end went unnoticed")
	}
	p.Equal("select", one[int](p, db, "select $1::int", 5), 5)
}
