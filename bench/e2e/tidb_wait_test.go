package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

var portInAnswer = regexp.MustCompile(`port (\d+)\.`)

// portOf asks a session for the port of the instance it is at.
func portOf(c *wire.MySQL) string {
	before := c.Len()
	c.Query("select concat('port ', @@port, '.')")
	if found := portInAnswer.FindStringSubmatch(c.Since(before)); found != nil {
		return found[1]
	}
	return "none: " + c.Since(before)
}

// portText is the port of an instance as portOf says it.
func portText(d *real.TiDB) string { return fmt.Sprint(real.Port(d.Addr)) }

// waits is what keeps a session where it is for now.
type waits struct {
	name   string
	begin  func(c *wire.MySQL)
	during func(c *wire.MySQL) // nil: nothing can be asked meanwhile
	end    func(c *wire.MySQL)
	want   string // is in what end hears
}

// orders are queries in turn.
func orders(queries ...string) func(c *wire.MySQL) {
	return func(c *wire.MySQL) {
		for _, q := range queries {
			c.Query(q)
		}
	}
}

// allWaits are all of those that end by what their client does.
func allWaits() []waits {
	var id uint32
	var longID uint32
	const half = "select 'both halves', 1"
	message := wire.Packet(0, append([]byte{wire.ComQuery}, half...))
	return []waits{
		{"transaction", orders("begin", "insert into app.counted (note) values ('waits')"), orders("select concat('port ', @@port, '.')"), orders("commit"), ""},
		{"autocommit-off", orders("set autocommit = 0", "select count(*) from app.counted"), orders("select concat('port ', @@port, '.')"), orders("commit"), ""},
		{"cursor", func(c *wire.MySQL) {
			id = c.Prepare("select concat('row ', n), repeat('x', 100) from app.thousand order by n")
			c.Execute(id, true)
			c.Fetch(id, 300)
		}, func(c *wire.MySQL) { c.Fetch(id, 300) }, func(c *wire.MySQL) {
			for c.Fetch(id, 300) && c.Fault() == nil {
			}
		}, "row 999"},
		{"long-data", func(c *wire.MySQL) {
			longID = c.Prepare("select concat('length ', length(?))")
			c.LongData(longID, 0, strings.Repeat("long", 1000))
		}, nil, func(c *wire.MySQL) {
			c.LongData(longID, 0, strings.Repeat("more", 1000))
			c.Execute(longID, false, "\x00")
		}, "length 8000"},
		{"local-infile", func(c *wire.MySQL) {
			c.Query("create table if not exists app.from_file (id int, name varchar(20))")
			c.Command(wire.ComQuery, []byte("load data local infile 'any' into table app.from_file"))
			c.Packet()
		}, nil, func(c *wire.MySQL) {
			c.Write([]byte("1\tone\n2\ttwo\n"))
			c.Write(nil)
			c.Packet()
		}, "Records: 2 "},
		{"half-message", func(c *wire.MySQL) { c.SendRaw(message[:20]) }, nil, func(c *wire.MySQL) {
			c.SendRaw(message[20:])
			c.Reply()
		}, "both halves"},
		{"answer-owed", func(c *wire.MySQL) { c.Command(wire.ComQuery, []byte("select sleep(2), 'has slept'")) }, nil,
			func(c *wire.MySQL) { c.Reply() }, "has slept"},
		{"named-lock", orders("select get_lock('held', 0)"), nil, orders("select release_lock('held')"), "1"},
		{"temporary-table", orders("create temporary table app.passing (n int)", "insert into app.passing values (4711)"),
			nil, orders("select * from app.passing", "drop temporary table app.passing"), "4711"},
	}
}

// TestTiDBMoveWaits holds that nothing is cut or lost that is under way at a session which is to move: it waits for
// the end, and moves then.
func TestTiDBMoveWaits(t *testing.T) {
	every := trio(t)[:2]
	m := startMoving(t, racy(t), every, "[cluster.migrate]", `retry-after = "100ms"`)
	m.only(t, 0)
	thousand(t, every)
	witness := loginMySQL(t, m.addr, wire.Usual)
	cases := allWaits()
	clients := make([]*wire.MySQL, len(cases))
	for i, w := range cases {
		clients[i] = loginMySQL(t, m.addr, wire.Usual|wire.LocalFiles)
		w.begin(clients[i])
		if err := clients[i].Fault(); err != nil {
			t.Fatalf("%s: %v\n%s", w.name, err, &clients[i].Transcript)
		}
	}
	m.order(t, every[1], "resume")
	m.order(t, every[0], "drain")
	m.sessions(t, every[0], len(cases))
	if got := portOf(witness); got != portText(every[1]) {
		t.Errorf("the idle session is at %s, want it at %s", got, portText(every[1]))
	}
	for i, w := range cases {
		if c := clients[i]; w.during != nil {
			before := c.Len()
			w.during(c)
			if answer := c.Since(before); strings.Contains(answer, "port") && !strings.Contains(answer, portText(every[0])) {
				t.Errorf("%s: it has moved meanwhile: %s", w.name, answer)
			}
		}
	}
	for i, w := range cases {
		c := clients[i]
		before := c.Len()
		w.end(c)
		if answer := c.Since(before); c.Fault() != nil || !strings.Contains(answer, w.want) {
			t.Errorf("%s: %v, want %q in %s", w.name, c.Fault(), w.want, tail(answer, 1000))
		}
	}
	m.sessions(t, every[0], 0)
	for i, w := range cases {
		if got := portOf(clients[i]); got != portText(every[1]) {
			t.Errorf("%s: at its end the session is at %s, want it at %s", w.name, got, portText(every[1]))
		}
		clients[i].End()
	}
	witness.End()
	await(t, m.Sluice, 0, "sluice_sessions")
}

// thousand makes a table of 1000 rows at each instance.
func thousand(t *testing.T, every []*real.TiDB) {
	t.Helper()
	values := make([]string, 1000)
	for i := range values {
		values[i] = fmt.Sprintf("(%d)", i)
	}
	for _, d := range every {
		c := single(t, openMySQL(t, d.Addr, "app", ""))
		mustMySQL(t, c, "create table if not exists thousand (n int primary key)")
		mustMySQL(t, c, "replace into thousand values "+strings.Join(values, ","))
	}
}
