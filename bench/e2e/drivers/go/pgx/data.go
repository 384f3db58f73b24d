package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"sluice/bench/e2e/drivers/go/paths"
)

// copyIn copies rows in, which pgx does in binary.
func copyIn(p *paths.P) {
	c := open(p)
	defer shut(c)
	name, drop := table(p, c, "goods", "id int, name text")
	defer drop()
	n := busy(p, 2)
	rows := pgx.CopyFromSlice(5000, func(i int) ([]any, error) { return []any{i, fmt.Sprint("name ", i)}, nil })
	count, err := c.CopyFrom(p, pgx.Identifier{name}, []string{"id", "name"}, rows)
	p.Must(err)
	p.Equal("rows copied", count, int64(5000))
	p.Equal("rows there", one[int](p, c, "select count(*)::int from "+name+" where name = 'name ' || id"), 5000)
	p.Must(n.End())
}

// copyOut copies rows out as text and in binary.
func copyOut(p *paths.P) {
	c := open(p)
	defer shut(c)
	n := busy(p, 2)
	var got, want bytes.Buffer
	_, err := c.PgConn().CopyTo(p, &got, "copy (select i, 'name ' || i from generate_series(1, 5000) i) to stdout")
	p.Must(err)
	for i := range 5000 {
		fmt.Fprintf(&want, "%d\tname %d\n", i+1, i+1)
	}
	p.Equal("text", got.String() == want.String(), true)

	got.Reset()
	_, err = c.PgConn().CopyTo(p, &got, "copy (select 7::int) to stdout binary")
	p.Must(err)
	p.Equal("binary", got.String(), "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"+"\x00\x01\x00\x00\x00\x04\x00\x00\x00\x07"+"\xff\xff")
	p.Must(n.End())
}

// copyError has copies fail, by the server's will and by the client's.
func copyError(p *paths.P) {
	c := open(p)
	defer shut(c)
	name, drop := table(p, c, "spoilt", "id int")
	defer drop()
	for range 3 {
		_, err := c.PgConn().CopyFrom(p, strings.NewReader("1\n2\nx\n"), "copy "+name+" from stdin")
		state(p, err, "22P02")
		_, err = c.PgConn().CopyFrom(p, io.MultiReader(strings.NewReader("1\n"), broken{}), "copy "+name+" from stdin")
		state(p, err, "57014")
		_, err = c.PgConn().CopyTo(p, io.Discard, "copy (select 1/(3-i) from generate_series(1, 5) i) to stdout")
		state(p, err, "22012")
		p.Equal("rows", one[int](p, c, "select count(*)::int from "+name), 0)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the file is broken") }

// listen hears what another client says.
func listen(p *paths.P) {
	ear, mouth := open(p), open(p)
	defer shut(ear)
	defer shut(mouth)
	channel := "news_pgx_" + p.Copy
	do(p, ear, "listen "+channel)
	for i := range 3 {
		payload := fmt.Sprintf("it rains (%d)", i)
		do(p, mouth, "select pg_notify($1, $2)", channel, payload)
		heard, err := ear.WaitForNotification(p)
		p.Must(err)
		p.Equal("channel", heard.Channel, channel)
		p.Equal("payload", heard.Payload, payload)
		p.Equal("in between", one[int](p, ear, "select $1::int", i), i)
	}
	do(p, ear, "unlisten "+channel)
}

// types sends values of many types there and back.
func types(p *paths.P) {
	c := open(p)
	defer shut(c)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	round(p, c, "int2", int16(-32768))
	round(p, c, "int8", int64(-1<<63))
	round(p, c, "float8", -0.1)
	round(p, c, "bool", true)
	round(p, c, "text", "Zürich, Ελλάδα, 東京, 🦊 '\"\\")
	round(p, c, "text", "")
	round(p, c, "bytea", all)
	round(p, c, "int4[]", []int32{1, -2, 3})
	round(p, c, "text[]", []string{"a", "", "{\"b\",}", "NULL"})
	round(p, c, "jsonb", map[string]any{"a": []any{1.5, nil, "ü"}})
	round(p, c, "interval", pgtype.Interval{Months: 1, Days: 2, Microseconds: 3, Valid: true})
	round(p, c, "uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8")
	round[*int32](p, c, "int4", nil)

	when := time.Date(2026, 2, 28, 23, 59, 59, 999_999_000, time.UTC)
	p.Equal("timestamptz", one[time.Time](p, c, "select $1::timestamptz", when).UTC(), when)
	p.Equal("numeric", one[string](p, c, "select ($1::numeric * 2)::text", "12345678901234567890.12345"), "24691357802469135780.24690")
	p.Equal("json", one[json.RawMessage](p, c, "select $1::json", `{"b": [1, 2]}`), json.RawMessage(`{"b": [1, 2]}`))
}

func round[T any](p *paths.P, c *pgx.Conn, name string, v T) {
	p.Equal(name, one[T](p, c, "select $1::"+name, v), v)
}

// large sends a value of a MiB there and back, as a parameter of each kind of statement and within one.
func large(p *paths.P) {
	c := open(p)
	defer shut(c)
	random := rand.New(rand.NewPCG(1, 2))
	value := make([]byte, 1<<20)
	for i := range value {
		value[i] = byte(random.Uint32())
	}
	for range 3 {
		p.Equal("bytea", bytes.Equal(one[[]byte](p, c, "select $1::bytea", value), value), true)
	}
	text := strings.Repeat("0123456789abcdef", 1<<16)
	p.Equal("in the text", one[string](p, c, "select '"+text+"'") == text, true)
	p.Equal("length", one[int](p, c, "select length($1)", text), 1<<20)
}
