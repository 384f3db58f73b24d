package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/lib/pq"

	"sluice/bench/e2e/drivers/go/paths"
)

// copyIn copies rows in within a transaction, as text.
func copyIn(p *paths.P) {
	db, end := open(p)
	defer end()
	name, drop := table(p, db, "goods", "id int, name text")
	defer drop()
	n := busy(p, 2)
	tx, err := db.BeginTx(p, nil)
	p.Must(err)
	p.Must(copyRows(p, tx, name, 3000, func(i int) any { return fmt.Sprint("name\t", i) }))
	p.Must(tx.Commit())
	p.Equal("rows there", one[int](p, db, "select count(*) from "+name+" where name = e'name\\t' || id"), 3000)
	p.Must(n.End())
}

// copyError has copies fail by the server's will, and by the client's, who rolls back.
func copyError(p *paths.P) {
	db, end := open(p)
	defer end()
	name, drop := table(p, db, "spoilt", "id int, name int")
	defer drop()
	for range 3 {
		tx, err := db.BeginTx(p, nil)
		p.Must(err)
		err = copyRows(p, tx, name, 300, func(i int) any { return []any{i, "x"}[i/299] })
		state(p, err, "22P02")
		p.Must(tx.Rollback())
		p.Equal("rows", one[int](p, db, "select count(*) from "+name), 0)
	}
}

func copyRows(p *paths.P, tx *sql.Tx, table string, rows int, value func(i int) any) error {
	in, err := tx.PrepareContext(p, "copy "+table+" (id, name) from stdin")
	if err != nil {
		return err
	}
	for i := range rows {
		if _, err := in.ExecContext(p, i, value(i)); err != nil {
			return err
		}
	}
	if _, err := in.ExecContext(p); err != nil {
		return err
	}
	return in.Close()
}

// settings keeps those of two clients apart.
func settings(p *paths.P) {
	var both [2]*sql.DB
	zones := []string{"Asia/Tokyo", "America/New_York"}
	for i := range both {
		db, end := open(p)
		defer end()
		both[i] = db
		schema := fmt.Sprintf("schema_pq_%s_%d", p.Copy, i)
		do(p, db, "drop schema if exists "+schema+" cascade")
		do(p, db, "create schema "+schema)
		defer do(p, db, "drop schema "+schema+" cascade")
		do(p, db, "set search_path = "+schema)
		do(p, db, "set timezone = '"+zones[i]+"'")
		do(p, db, fmt.Sprintf("set application_name = 'client %d'", i))
		do(p, db, "create table place as select '"+schema+"' as name")
	}
	for range 10 {
		for i, db := range both {
			p.Equal("name", one[string](p, db, "select name from place where $1", true), fmt.Sprintf("schema_pq_%s_%d", p.Copy, i))
			p.Equal("TimeZone", one[string](p, db, "show timezone"), zones[i])
			p.Equal("application_name", one[string](p, db, "select current_setting($1)", "application_name"), fmt.Sprint("client ", i))
			noon := []string{"2020-01-01 12:00:00+09", "2020-01-01 12:00:00-05"}[i]
			p.Equal("noon", one[string](p, db, "select '2020-01-01 12:00'::timestamptz::text"), noon)
		}
		for _, set := range []string{"set timezone = 'UTC'; rollback", "set local timezone = 'UTC'; commit"} {
			do(p, both[0], "begin; "+set)
		}
	}
}

// listen hears what another client says, by lib/pq's own Listener.
func listen(p *paths.P) {
	mouth, end := open(p)
	defer end()
	channel := "news_pq_" + p.Copy
	problems := make(chan error, 10)
	ear := pq.NewListener(dsn(p), time.Second, 5*time.Second, func(_ pq.ListenerEventType, err error) {
		if err != nil {
			problems <- err
		}
	})
	defer ear.Close()
	p.Must(ear.Listen(channel))
	for i := range 3 {
		payload := fmt.Sprintf("it rains (%d)", i)
		do(p, mouth, "select pg_notify($1, $2)", channel, payload)
		select {
		case heard := <-ear.Notify:
			if heard == nil {
				p.Fail("the listener had to connect again")
			}
			p.Equal("heard", heard.Channel+": "+heard.Extra, channel+": "+payload)
		case err := <-problems:
			p.Must(err)
		case <-p.Done():
			p.Fail("nothing was heard")
		}
		p.Must(ear.Ping())
	}
	p.Must(ear.Unlisten(channel))
}

// types sends values of many types there and back.
func types(p *paths.P) {
	db, end := open(p)
	defer end()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	round(p, db, "int8", int64(-1<<63))
	round(p, db, "float8", -0.1)
	round(p, db, "bool", true)
	round(p, db, "text", "Zürich, Ελλάδα, 東京, 🦊 '\"\\")
	round(p, db, "text", "")
	round(p, db, "bytea", all)
	round(p, db, "jsonb", []byte(`{"a": [1.5, null, "ü"]}`))
	round(p, db, "numeric", "12345678901234567890.12345")
	round(p, db, "text", sql.NullString{})

	var texts []string
	sent := []string{"a", "", "{\"b\",}", "NULL"}
	p.Must(db.QueryRowContext(p, "select $1::text[]", pq.Array(sent)).Scan(pq.Array(&texts)))
	p.Equal("text[]", texts, sent)
	var numbers []int64
	p.Must(db.QueryRowContext(p, "select $1::int8[]", pq.Array([]int64{1, -2, 3})).Scan(pq.Array(&numbers)))
	p.Equal("int8[]", numbers, []int64{1, -2, 3})
	when := time.Date(2026, 2, 28, 23, 59, 59, 999_999_000, time.UTC)
	p.Equal("timestamptz", one[time.Time](p, db, "select $1::timestamptz", when).UTC(), when)
}

func round[T any](p *paths.P, db *sql.DB, name string, v T) {
	p.Equal(name, one[T](p, db, "select $1::"+name, v), v)
}

// large sends a value of a MiB there and back, as a parameter and within a statement.
func large(p *paths.P) {
	db, end := open(p)
	defer end()
	random := rand.New(rand.NewPCG(1, 2))
	value := make([]byte, 1<<20)
	for i := range value {
		value[i] = byte(random.Uint32())
	}
	for range 3 {
		p.Equal("bytea", bytes.Equal(one[[]byte](p, db, "select $1::bytea", value), value), true)
	}
	text := strings.Repeat("0123456789abcdef", 1<<16)
	p.Equal("in the text", one[string](p, db, "select '"+text+"'") == text, true)
}
