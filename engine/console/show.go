package console

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice/codec"
)

// show is one table that SHOW knows.
type show struct {
	columns []codec.Column
	rows    func(c *Console, who Who) [][]any
}

// shows are the tables by what follows SHOW.
var shows = map[string]show{
	"POOLS":          {poolColumns, (*Console).pools},
	"CLIENTS":        {socketColumns, (*Console).clients},
	"SERVERS":        {socketColumns, (*Console).servers},
	"SOCKETS":        {allSocketColumns, (*Console).sockets},
	"ACTIVE_SOCKETS": {allSocketColumns, (*Console).activeSockets},
	"DATABASES":      {databaseColumns, (*Console).databases},
	"USERS":          {userColumns, (*Console).users},
	"STATS":          {statsColumns, (*Console).stats},
	"STATS_TOTALS":   {statsTotalsColumns, (*Console).statsTotals},
	"STATS_AVERAGES": {statsAveragesColumns, (*Console).statsAverages},
	"TOTALS":         {columns("name text", "value big"), (*Console).totals},
	"LISTS":          {columns("list text", "items int"), (*Console).lists},
	"CONFIG":         {columns("key text", "value text", "default text", "changeable text"), (*Console).config},
	"MEM":            {columns("name text", "size int", "used big", "free big", "memtotal big"), (*Console).memory},
	"STATE":          {columns("key text", "value text"), (*Console).state},
	"VERSION":        {columns("version text"), (*Console).version},
	// There is no cache of DNS, and there are no peers: cancel keys are known by the whole process.
	"DNS_HOSTS": {columns("hostname text", "ttl big", "addrs text"), none},
	"DNS_ZONES": {columns("zonename text", "serial big", "count int"), none},
	"PEERS":     {columns("peer_id int", "host text", "port int", "pool_size int"), none},
	"PEER_POOLS": {columns("peer_id int", "cl_active_cancel_req int", "cl_waiting_cancel_req int",
		"sv_active_cancel int", "sv_login int"), none},

	// Those that PgBouncer lacks.
	"BACKENDS":            {backendColumns, (*Console).backends},
	"BACKEND_POOLS":       {backendPoolColumns, (*Console).backendPools},
	"SESSIONS":            {sessionColumns, (*Console).sessions},
	"PINS":                {pinColumns, (*Console).pins},
	"PREPARED_STATEMENTS": {columns("loop int", "statements int", "bytes big"), (*Console).statements},
}

// none are the rows of a table that is always empty.
func none(*Console, Who) [][]any { return nil }

// parseShow finds what follows SHOW.
func parseShow(list []word) (cmd command, known bool) {
	if len(list) != 1 {
		return parseDriverShow(list)
	}
	if list[0].is("HELP") {
		return command{do: help}, true
	}
	if list[0].is("FDS") {
		return fault(codec.CommandRefused, "SHOW FDS is not supported: file descriptors are not handed to other processes"), true
	}
	if s, ok := shows[strings.ToUpper(list[0].text)]; ok && !list[0].quoted {
		return command{columns: s.columns, rows: s.rows}, true
	}
	return parseDriverShow(list)
}

// columns makes columns from words of the form "name type".
func columns(list ...string) []codec.Column {
	out := make([]codec.Column, len(list))
	for i, s := range list {
		name, typ, _ := strings.Cut(s, " ")
		out[i] = codec.Column{Name: name, Type: map[string]codec.ColumnType{
			"text": codec.ColumnText, "int": codec.ColumnInt, "big": codec.ColumnBig}[typ]}
	}
	return out
}

// number is a value of a column of numbers.
func number[T int | uint32 | uint64 | int64](n T) any { return int64(n) }

// optional is a text, or NULL if it is empty.
func optional(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// flag is 1 or 0.
func flag(b bool) any {
	if b {
		return int64(1)
	}
	return int64(0)
}

// yes is "yes" or "no".
func yes(b bool) any {
	if b {
		return "yes"
	}
	return "no"
}

// moment is a time as PgBouncer writes it, or NULL.
func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02 15:04:05 MST")
}

// seconds and micros are the two columns that PgBouncer splits a wait into.
func seconds(d time.Duration) any { return int64(d / time.Second) }
func micros(d time.Duration) any  { return int64(d % time.Second / time.Microsecond) }

// help is the answer to SHOW HELP.
func help(*Console, context.Context) codec.Answer {
	names := slices.Sorted(maps.Keys(shows))
	text := "\n\tSHOW HELP|" + strings.Join(names, "|") + "\n\t" + strings.Join(usage(), "\n\t")
	return codec.Answer{Tag: "SHOW", Note: &codec.Note{Text: "Console usage", Detail: text}}
}
