package main

import (
	"crypto/tls"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"sluice/bench/e2e/drivers/go/paths"
)

func connect(p *paths.P) {
	c := open(p)
	defer shut(c)
	p.Equal("current_user", one[string](p, c, "select current_user::text"), p.User)
	p.Equal("database", one[string](p, c, "select current_database()::text"), p.Database)
	_, err := dial(p, "password=wrong")
	state(p, err, "28P01")
}

func tlsRequire(p *paths.P) {
	c := open(p, "sslmode=require")
	defer shut(c)
	encrypted(p, c.PgConn())
	p.Equal("an answer over TLS", one[int](p, c, "select $1::int + 1", 1), 2)
}

func tlsVerifyFull(p *paths.P) {
	c := open(p, "sslmode=verify-full", "sslrootcert="+p.CA)
	defer shut(c)
	encrypted(p, c.PgConn())
	p.Equal("an answer over TLS", one[int](p, c, "select $1::int + 1", 1), 2)

	_, err := dial(p, "sslmode=verify-full")
	var unknown *tls.CertificateVerificationError
	if !errors.As(err, &unknown) {
		p.Fail("without the authority's certificate: %v", err)
	}
}

func encrypted(p *paths.P, c *pgconn.PgConn) {
	if t, ok := c.Conn().(*tls.Conn); !ok || !t.ConnectionState().HandshakeComplete {
		p.Fail("the connection is not encrypted")
	}
}

// startup has settings in the startup message, in each form that there is.
func startup(p *paths.P) {
	c := open(p, "application_name='first words'", "TimeZone=Asia/Tokyo", "DateStyle='SQL, DMY'", "extra_float_digits=1",
		"options='-c geqo=off -c statement_timeout=54321 --search_path=pg_catalog'")
	defer shut(c)
	other := open(p)
	defer shut(other)
	for range 3 {
		for name, want := range map[string]string{
			"application_name": "first words", "TimeZone": "Asia/Tokyo", "DateStyle": "SQL, DMY", "extra_float_digits": "1",
			"geqo": "off", "statement_timeout": "54321ms", "search_path": "pg_catalog",
		} {
			p.Equal(name, one[string](p, c, "select current_setting($1)", name), want)
		}
		p.Equal("statement_timeout of another", one[string](p, other, "select current_setting($1)", "statement_timeout"), "0")
	}
	p.Equal("reported", c.PgConn().ParameterStatus("TimeZone"), "Asia/Tokyo")
	do(p, c, "set timezone = 'Europe/Rome'")
	do(p, c, "reset timezone")
	p.Equal("TimeZone after RESET", one[string](p, c, "show timezone"), "Asia/Tokyo")
}

// reconnect opens and closes many connections, and has one ended by the server.
func reconnect(p *paths.P) {
	for i := range 20 {
		c := open(p)
		p.Equal("select", one[int](p, c, "select $1::int", i), i)
		p.Must(c.Close(p))
	}
	c := open(p)
	defer shut(c)
	_, err := c.Exec(p, "select pg_terminate_backend(pg_backend_pid())")
	state(p, err, "57P01")
	if _, err := c.Exec(p, "select 1"); err == nil || !c.IsClosed() {
		p.Fail("the connection goes on after its server's end: %v", err)
	}
	again := open(p)
	defer shut(again)
	p.Equal("select", one[int](p, again, "select $1::int", 5), 5)
}
