package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// everywhere runs statements at each instance, as one who may do all.
func everywhere(t *testing.T, every []*real.TiDB, statements ...string) {
	t.Helper()
	for _, d := range every {
		c := single(t, openMySQL(t, d.Addr, "app", ""))
		for _, q := range statements {
			mustMySQL(t, c, q)
		}
	}
}

// heard is what a client hears while it does something.
func heard(c *wire.MySQL, does func(c *wire.MySQL)) string {
	before := c.Len()
	does(c)
	return c.Since(before)
}

// changeUserTo is the body of COM_CHANGE_USER, of a client that has the server say which plugin it wants.
func changeUserTo(user, database string) []byte {
	return wire.Join([]byte(user+"\x00"), []byte{0}, []byte(database+"\x00"), []byte{45, 0}, []byte("another_plugin\x00"))
}

// TestTiDBChangeUser moves sessions whose user is another than the one who logged in, and that were reset.
func TestTiDBChangeUser(t *testing.T) {
	every := trio(t)[:2]
	everywhere(t, every, "create user if not exists other@'%' identified with mysql_native_password by '"+real.Password+"'",
		"grant all on *.* to other@'%'")
	m := startMoving(t, racy(t), every)
	m.only(t, 0)
	c := loginMySQL(t, m.addr, wire.Usual)
	c.Query("set @kept = 'of app'")
	old := c.Prepare("select 'prepared before'")
	c.Command(wire.ComChangeUser, changeUserTo("other", "app"))
	if !c.Authenticate(real.Password) {
		t.Fatalf("the user was not changed:\n%s", &c.Transcript)
	}
	c.Query("set @mine = 'of other'")
	id := c.Prepare("select concat('prepared by ', user())")
	c.Command(wire.ComSetOption, []byte{1, 0}) // several statements in one are off from now on
	c.Packet()
	m.swap(t, 0, 1)
	answer := heard(c, func(c *wire.MySQL) {
		c.Query("select 'one'; select 'two'")
		c.Query("select user(), database(), @kept is null, @mine")
		c.Execute(id, false)
		c.Execute(old+100, false)
	})
	for _, want := range []string{"other@", "of other", "prepared by other@", "1243", "8130"} {
		if !strings.Contains(answer, want) {
			t.Errorf("%q is not in what a session says that has changed its user:\n%s", want, answer)
		}
	}
	c.Command(wire.ComResetConnection)
	c.Packet()
	m.swap(t, 1, 0)
	answer = heard(c, func(c *wire.MySQL) {
		c.Query("select concat('mine: ', ifnull(@mine, 'gone')), user()")
		c.Execute(id, false)
	})
	for _, want := range []string{"mine: gone", "other@", "1243"} {
		if !strings.Contains(answer, want) {
			t.Errorf("%q is not in what a session says that was reset:\n%s", want, answer)
		}
	}
	c.End()
	if err := c.Fault(); err != nil {
		t.Error(err)
	}
}

// TestTiDBDroppedDatabase moves a session whose current database is gone, and leaves one whose database is not at the
// other instance where it is.
func TestTiDBDroppedDatabase(t *testing.T) {
	every := trio(t)[:2]
	everywhere(t, every, "create database if not exists dropped", "drop database if exists lonely")
	everywhere(t, every[:1], "create database lonely")
	m := startMoving(t, racy(t), every, "[cluster.migrate]", `retry-after = "100ms"`)
	m.only(t, 0)
	gone, lonely := loginMySQL(t, m.addr, wire.Usual), loginMySQL(t, m.addr, wire.Usual)
	gone.Query("use dropped")
	gone.Query("set @kept = 'kept'")
	gone.Query("drop database dropped")
	lonely.Query("use lonely")
	lonely.Query("set @kept = 'kept'")
	m.order(t, every[1], "resume")
	m.order(t, every[0], "drain")
	m.sessions(t, every[0], 1)
	answer := heard(gone, orders("select concat('database: ', ifnull(database(), 'none'), ' ', @kept)"))
	if !strings.Contains(answer, "database: none kept") || portOf(gone) != portText(every[1]) {
		t.Errorf("a session whose database was dropped says %s", answer)
	}
	moveFailed(t, m, every[0], every[1], "refused")
	answer = heard(lonely, orders("select concat('database: ', ifnull(database(), 'none'), ' ', @kept)"))
	if !strings.Contains(answer, "database: lonely kept") || portOf(lonely) != portText(every[0]) {
		t.Errorf("a session whose database is nowhere else says %s", answer)
	}
	everywhere(t, every[1:], "create database lonely")
	m.sessions(t, every[0], 0)
	answer = heard(lonely, orders("select concat('database: ', ifnull(database(), 'none'), ' ', @kept)"))
	if !strings.Contains(answer, "database: lonely kept") || portOf(lonely) != portText(every[1]) {
		t.Errorf("a session whose database has come to the other instance says %s", answer)
	}
	gone.End()
	lonely.End()
}

// moveFailed waits until a move from one instance to another has ended as result says.
func moveFailed(t *testing.T, m moving, from, to *real.TiDB, result string) {
	t.Helper()
	eventually(t, func() error {
		page, err := m.Get("/metrics")
		if err != nil {
			return err
		}
		labels := []string{fmt.Sprintf("from=%q", from.Addr), fmt.Sprintf("to=%q", to.Addr)}
		if n, err := real.SumMetric(page, "sluice_migrations_total", append(labels, fmt.Sprintf("result=%q", result))...); err == nil && n > 0 {
			return nil
		}
		var all []string
		for line := range strings.Lines(page) {
			if strings.HasPrefix(line, "sluice_migrations_total{") {
				all = append(all, line)
			}
		}
		return fmt.Errorf("no move from %s to %s has ended as %s, but\n%s", from.Addr, to.Addr, result, strings.Join(all, ""))
	})
}

// TestTiDBRenamedUser has a session whose user has another name by now: it stays, is served, and moves when it can.
func TestTiDBRenamedUser(t *testing.T) {
	every := trio(t)[:2]
	everywhere(t, every, "drop user if exists before@'%', behind@'%'",
		"create user before@'%' identified with mysql_native_password by '"+real.Password+"'", "grant all on *.* to before@'%'")
	m := startMoving(t, racy(t), every, "[cluster.migrate]", `retry-after = "100ms"`)
	m.only(t, 0)
	c := single(t, openMySQL(t, m.addr, "before", ""))
	mustMySQL(t, c, "set @kept = 'kept'")
	everywhere(t, every, "rename user before@'%' to behind@'%'")
	m.order(t, every[1], "resume")
	m.order(t, every[0], "drain")
	moveFailed(t, m, every[0], every[1], "refused")
	if got := at(t, c); got != real.Port(every[0].Addr) {
		t.Errorf("the session is at port %d, want it at %s", got, every[0].Addr)
	}
	everywhere(t, every, "rename user behind@'%' to before@'%'")
	m.sessions(t, every[0], 0)
	if got := value(t, c, "select @kept"); got != "kept" || at(t, c) != real.Port(every[1].Addr) {
		t.Errorf("behind the move @kept is %q, at port %d", got, at(t, c))
	}
}

// apart has the second instance count its connections from far behind the first one's on. Those of one PD cluster never
// give two connections the same id; these here know nothing of each other.
func apart(t *testing.T, every []*real.TiDB) {
	t.Helper()
	id := func(d *real.TiDB) uint32 {
		c := loginMySQL(t, d.Addr, wire.Usual)
		defer c.End()
		return c.ID
	}
	for first, second := id(every[0]), id(every[1]); second < first+100; second = id(every[1]) {
	}
}

// TestTiDBKillBehindMoves kills sessions that have moved, two of them compressed, by the ids that their clients were told
// at the login, and by those that they see now: plainly asked, that is the same one; within another statement, and
// in a compressed session, it is the new server's.
func TestTiDBKillBehindMoves(t *testing.T) {
	every := trio(t)[:2]
	apart(t, every)
	m := startMoving(t, racy(t), every, "[cluster.control]", `user = "root"`, `password = ""`)
	m.only(t, 0)
	kills := []string{"kill query ", "kill query ", "kill ", "kill ", "kill query ", "kill query "}
	clients := make([]*wire.MySQL, len(kills))
	for i := range clients {
		caps := uint64(wire.Usual)
		if i >= 4 {
			caps |= wire.Compress
		}
		clients[i] = loginMySQL(t, m.addr, caps)
	}
	killer := single(t, openMySQL(t, m.addr, "app", ""))
	m.swap(t, 0, 1)
	ids := make([]string, len(clients))
	var asleep sync.WaitGroup
	answers := make([]string, len(clients))
	for i, c := range clients {
		ids[i] = fmt.Sprint(c.ID)
		if asked := heard(c, orders("select connection_id()")); i < 4 && !strings.Contains(asked, ids[i]) {
			t.Errorf("session %d was told the id %s at its login, and hears %s", i, ids[i], asked)
		}
		if i%2 == 1 {
			before := c.Len()
			c.Query("select concat('port ', connection_id(), '.')")
			ids[i] = portInAnswer.FindStringSubmatch(c.Since(before))[1]
		}
		asleep.Go(func() {
			answers[i] = heard(c, func(c *wire.MySQL) {
				c.Command(wire.ComQuery, fmt.Appendf(nil, "select sleep(600), 'behind move %d'", i))
				c.Reply()
			})
		})
	}
	watcher := single(t, openMySQL(t, every[1].Addr, "app", ""))
	eventually(t, func() error {
		var n int
		err := watcher.QueryRowContext(within(t, soon), "select count(*) from information_schema.processlist where info like 'select sleep(600), %behind move%'").Scan(&n)
		if err == nil && n != len(clients) {
			err = fmt.Errorf("%d of %d sleep", n, len(clients))
		}
		return err
	})
	for i, id := range ids {
		mustMySQL(t, killer, kills[i]+id)
	}
	asleep.Wait()
	for i, c := range clients {
		switch {
		case kills[i] == "kill query ": // the query is gone, the session is good
			if got := portOf(c); got != portText(every[1]) {
				t.Errorf("session %d after its query was killed: %s, %s", i, answers[i], got)
			}
			c.End()
		case c.Fault() == nil && !strings.Contains(answers[i], "1105") && !strings.Contains(answers[i], "end of the connection"):
			t.Errorf("session %d was killed, and hears %s", i, answers[i])
		}
	}
}
