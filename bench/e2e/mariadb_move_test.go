package e2e

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"sluice/bench/e2e/real"
)

// movingMaria is Sluice before servers of MariaDB among which sessions of mode proxy move.
type movingMaria struct {
	*real.Sluice
	addr  string
	every []*real.MariaDB
}

// startMovingMaria starts binary before servers whose user app is known by a configured password. more are lines
// and subtables of the cluster.
func startMovingMaria(t *testing.T, binary string, every []*real.MariaDB, more ...string) movingMaria {
	t.Helper()
	m := movingMaria{addr: real.FreeAddr(), every: every}
	var backends []string
	for _, d := range every {
		backends = append(backends, d.Addr)
	}
	m.Sluice = startSluice(t, binary, cluster("my", "mysql", backends, more...)+
		listener("my", m.addr, "my", leisure, tlsTable("listener", "prefer", stage.cert))+users("app", "rest"))
	await(t, m.Sluice, float64(len(every)), "sluice_backend_up")
	return m
}

// pairMaria are the two servers that tests share, with what sessions refer to: the ids of rows differ, so that one
// that is not kept is seen.
func pairMaria(t *testing.T) []*real.MariaDB {
	t.Helper()
	every := []*real.MariaDB{mariadb(t, 0), mariadb(t, 1)}
	sameSchemaMaria(t, every)
	return every
}

func sameSchemaMaria(t *testing.T, every []*real.MariaDB) {
	t.Helper()
	for i, d := range every {
		root, err := sql.Open("mysql", "root@unix("+d.Socket+")/app")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { root.Close() })
		c := single(t, root)
		for _, q := range []string{
			"create role if not exists teller",
			"create or replace user rest@'127.%' identified via mysql_native_password using password('" + real.Password + "')",
			"grant insert, select, create on *.* to rest@'127.%'",
			"grant teller to rest@'127.%'",
			"create database if not exists second",
			fmt.Sprintf("create or replace table moved (id bigint primary key auto_increment, note varchar(100)) auto_increment = %d", 1_000_000*(i+1)),
			"create or replace table second.moved (id int)",
			"grant teller to app@'127.%'",
		} {
			mustMySQL(t, c, q)
		}
	}
}

// ownMaria starts n servers for one test alone.
func ownMaria(t *testing.T, n int) (every []*real.MariaDB) {
	t.Helper()
	for i := range n {
		d, err := real.StartMariaDB(filepath.Join(stage.dir, fmt.Sprintf("%s%d", t.Name(), i)), 10+i, stage.ca, stage.cert)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Stop() })
		every = append(every, d)
	}
	sameSchemaMaria(t, every)
	return every
}

// order gives an order about server i.
func (m movingMaria) order(t *testing.T, i int, what string) {
	t.Helper()
	if _, err := m.Post("/api/backends/" + url.PathEscape(m.every[i].Addr) + "/" + what); err != nil {
		t.Fatal(err)
	}
}

// swap has server to take all sessions that server from has, and waits until they are there.
func (m movingMaria) swap(t *testing.T, from, to int) {
	t.Helper()
	m.order(t, to, "resume")
	m.order(t, from, "drain")
	await(t, m.Sluice, 0, "sluice_backend_sessions", fmt.Sprintf("backend=%q", m.every[from].Addr))
}

// only has all new sessions begin at server i.
func (m movingMaria) only(t *testing.T, i int) {
	t.Helper()
	m.order(t, i, "resume")
	for j := range m.every {
		if j != i {
			m.order(t, j, "drain")
		}
	}
}

// listedSession is what GET /api/sessions says of a session, as far as it is about moves.
type listedSession struct {
	User      string `json:"user"`
	Backend   string `json:"backend"`
	Pin       string `json:"pin"`
	PinReason string `json:"pin_reason"`
	Moves     int    `json:"moves"`
	MoveError string `json:"move_error"`
}

// listed returns the only session there is.
func (m movingMaria) listed() (s listedSession, err error) {
	page, err := m.Get("/api/sessions")
	if err != nil {
		return s, err
	}
	var list []listedSession
	if err := json.Unmarshal([]byte(page), &list); err != nil {
		return s, fmt.Errorf("%w: %.200s", err, page)
	}
	if len(list) != 1 {
		return s, fmt.Errorf("%d sessions", len(list))
	}
	return list[0], nil
}

// portraitMaria is what tells one session's state from another's, as a query that changes none of it.
const portraitMaria = `select concat_ws('|', user(), current_user(), ifnull(current_role(), '-'), ifnull(database(), '-'),
@n, @u, @s, collation(@s), hex(@bin), collation(@bin), @d, @dec, @whole, isnull(@nothing), @` + "`odd ``name`" + `, hex(@latin), collation(@latin),
last_insert_id(), @@tx_isolation, @@tx_read_only, @@autocommit, @@sql_mode, @@time_zone, @@character_set_client, @@character_set_results,
@@character_set_connection, @@collation_connection, @@group_concat_max_len, @@max_statement_time, @@sort_buffer_size, @@lc_time_names,
@@foreign_key_checks, @@sql_select_limit, @@optimizer_switch like '%mrr=on%', @@default_storage_engine, @@wait_timeout, now(6), @@insert_id)`

// statefulMaria is a session that has all at its server that can go along with it.
type statefulMaria struct {
	*sql.Conn
	statements []*sql.Stmt
}

// stateOfMaria is what session i takes on, beside statements of the driver's.
func stateOfMaria(i int) []string {
	return []string{
		[]string{"set names utf8mb4 collate utf8mb4_unicode_ci", "set names utf8mb3 collate utf8mb3_bin", "set names latin1"}[i%3],
		fmt.Sprintf(`set @n = -%d, @u = cast(18446744073709551615 as unsigned), @s = 'it''s \\ number %d', @bin = x'00ff%04x'`, i, i, i),
		"set @d = 0.1e0 + 0.2e0, @dec = 123456789012345678.50, @whole = cast(12345678901234567890123 as decimal(30,0)), @nothing = null",
		"set @`odd ``name` = 'x', @latin = _latin1 x'e4' collate latin1_german2_ci",
		"set session transaction isolation level " + []string{"read committed", "serializable, read only", "repeatable read"}[i%3],
		fmt.Sprintf("set time_zone = '+0%d:30', group_concat_max_len = %d, max_statement_time = 600.5", i%10, 2000+i),
		fmt.Sprintf("set sort_buffer_size = %d, optimizer_switch = 'mrr=on', lc_time_names = 'de_DE', wait_timeout = %d", 65536+1024*i, 3000+i),
		"set foreign_key_checks = 0, sql_select_limit = 7, default_storage_engine = 'Aria'",
		[]string{"set role none", "set role teller"}[i%2],
		[]string{"use app", "use second"}[i%2],
		"set session transaction read write",
		fmt.Sprintf("insert into app.moved (note) values ('by %d')", i),
		fmt.Sprintf("prepare by_name from 'select ? + %d'", i),
		[]string{"set session transaction read write", "set session transaction read only"}[i/2%2],
		[]string{"do 1", "set timestamp = 1234567.25"}[i/2%2],
		[]string{"set sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'", "set sql_mode = 'ORACLE'", "set sql_mode = ''"}[i%3],
		[]string{"do 1", "set insert_id = 77"}[i/4%2],
	}
}

// newStatefulMaria logs in and takes state on that nobody else has.
func newStatefulMaria(ctx context.Context, db *sql.DB, i int) (*statefulMaria, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	s := &statefulMaria{Conn: c}
	for _, q := range stateOfMaria(i) {
		if _, err := c.ExecContext(ctx, q); err != nil {
			return nil, fmt.Errorf("%s: %w", q, err)
		}
	}
	for _, q := range []string{fmt.Sprintf("select ? + %d", i), "select concat(?, @s)", "select count(*) from moved where id = ?"} {
		st, err := c.PrepareContext(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("prepare %s: %w", q, err)
		}
		s.statements = append(s.statements, st)
	}
	return s, nil
}

// look returns all that can be seen of the state.
func (s *statefulMaria) look(ctx context.Context, frozen bool) (string, error) {
	return s.lookBy(ctx, portraitMaria, frozen)
}

// lookBy is look with a portrait that the query q paints.
func (s *statefulMaria) lookBy(ctx context.Context, q string, frozen bool) (string, error) {
	var all, sum, text, named string
	if !frozen {
		q = strings.Replace(q, "now(6), ", "", 1)
	}
	if err := s.QueryRowContext(ctx, q).Scan(&all); err != nil {
		return "", err
	}
	if err := s.statements[0].QueryRowContext(ctx, 1000).Scan(&sum); err != nil {
		return "", fmt.Errorf("prepared sum: %w", err)
	}
	if err := s.statements[1].QueryRowContext(ctx, "text: ").Scan(&text); err != nil {
		return "", fmt.Errorf("prepared text: %w", err)
	}
	var rows int
	if err := s.statements[2].QueryRowContext(ctx, 1).Scan(&rows); err != nil || rows != 0 {
		return "", fmt.Errorf("prepared count: %d, %w", rows, err)
	}
	if err := s.QueryRowContext(ctx, "execute by_name using @n").Scan(&named); err != nil {
		return "", fmt.Errorf("statement prepared by name: %w", err)
	}
	return strings.Join([]string{all, sum, text, named}, " "), nil
}

// TestMariaDBStateMoves compares sessions before and after they have moved, there and back and there again.
func TestMariaDBStateMoves(t *testing.T) {
	m := startMovingMaria(t, racy(t), pairMaria(t))
	m.only(t, 0)
	const n = 12
	db := openMySQL(t, m.addr, "app", "")
	sessions, before := make([]*statefulMaria, n), make([]string, n)
	for i := range n {
		s, err := newStatefulMaria(within(t, soon), db, i)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		sessions[i] = s
		if before[i], err = s.look(within(t, soon), i/2%2 == 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, to := range []int{1, 0, 1} {
		m.swap(t, 1-to, to)
		for i, s := range sessions {
			if got := at(t, s); got != real.Port(m.every[to].Addr) {
				t.Errorf("session %d is at port %d, not at server %d", i, got, to)
			}
			after, err := s.look(within(t, soon), i/2%2 == 1)
			if err != nil || after != before[i] {
				t.Errorf("session %d: %v\n got %s\nwant %s", i, err, after, before[i])
			}
		}
	}
	await(t, m.Sluice, 3*n, "sluice_migrations_total", `result="moved"`)
	for i, s := range sessions { // statements prepared since are told from those of before
		for j := range 5 {
			var got int
			st, err := s.PrepareContext(within(t, soon), fmt.Sprintf("select %d + ?", 100*i+j))
			if err != nil {
				t.Fatal(err)
			}
			if err := st.QueryRowContext(within(t, soon), 7).Scan(&got); err != nil || got != 100*i+j+7 {
				t.Errorf("session %d, new statement %d: %d, %v", i, j, got, err)
			}
		}
		if after, err := s.look(within(t, soon), i/2%2 == 1); err != nil || after != before[i] {
			t.Errorf("session %d behind new statements: %v\n got %s\nwant %s", i, err, after, before[i])
		}
	}
}

// TestMariaDBInsertIDMoves uses an id that was set for the next row before the move.
func TestMariaDBInsertIDMoves(t *testing.T) {
	m := startMovingMaria(t, racy(t), pairMaria(t))
	m.only(t, 0)
	c := single(t, openMySQL(t, m.addr, "app", ""))
	mustMySQL(t, c, "set insert_id = 4711, rand_seed1 = 11, rand_seed2 = 12")
	m.swap(t, 0, 1)
	mustMySQL(t, c, "insert into moved (note) values ('x')")
	if got := value(t, c, "select concat(last_insert_id(), (select note from moved where id = 4711), rand() < 1)"); got != "4711x1" {
		t.Errorf("got %s", got)
	}
}

// TestMariaDBDroppedDatabase moves a session whose database is gone.
func TestMariaDBDroppedDatabase(t *testing.T) {
	m := startMovingMaria(t, racy(t), pairMaria(t))
	m.only(t, 0)
	c := single(t, openMySQL(t, m.addr, "app", ""))
	mustMySQL(t, c, "create database doomed")
	mustMySQL(t, c, "use doomed")
	mustMySQL(t, c, "create table gone (id int)")
	st, err := c.PrepareContext(within(t, soon), "select * from gone")
	if err != nil {
		t.Fatal(err)
	}
	mustMySQL(t, single(t, openMySQL(t, m.every[0].Addr, "app", "")), "drop database doomed")
	m.swap(t, 0, 1)
	if got := value(t, c, "select ifnull(database(), 'none')"); got != "none" {
		t.Errorf("the database is %s", got)
	}
	if rows, err := st.QueryContext(within(t, soon)); err == nil {
		rows.Close()
		t.Error("the statement works without its table")
	}
	mustMySQL(t, c, "use app")
	if got := value(t, c, "select count(*) from moved where id = 0"); got != "0" {
		t.Errorf("got %s", got)
	}
}

// TestMariaDBStateIsCompared has the new server refuse what the session has: it stays, and works on.
func TestMariaDBStateIsCompared(t *testing.T) {
	every := ownMaria(t, 2)
	m := startMovingMaria(t, racy(t), every)
	m.only(t, 0)
	other := single(t, openMySQL(t, every[1].Addr, "app", ""))
	for _, c := range []struct{ name, at, back, word string }{
		{"init_connect", "set global init_connect = 'set sort_buffer_size = 99328'", "set global init_connect = ''", "sort_buffer_size"},
		{"role", "drop role teller", "create role teller", "SET ROLE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m.only(t, 0)
			user := "app"
			if c.name == "init_connect" {
				user = "rest" // those who may do all are not concerned by it
			}
			s := single(t, openMySQL(t, m.addr, user, ""))
			if user == "app" {
				mustMySQL(t, s, "set role teller")
			}
			mustMySQL(t, s, "set @x = 1")
			mustMySQL(t, other, c.at)
			defer mustMySQL(t, other, c.back)
			m.order(t, 1, "resume")
			m.order(t, 0, "drain")
			eventually(t, func() error {
				l, err := m.listed()
				if err == nil && !strings.Contains(l.MoveError, c.word) {
					err = fmt.Errorf("%q is not in %+v", c.word, l)
				}
				return err
			})
			if got := value(t, s, "select concat(@x, @@port)"); got != fmt.Sprint("1", real.Port(every[0].Addr)) {
				t.Errorf("got %s", got)
			}
			hangUp(t, s)
			await(t, m.Sluice, 0, "sluice_sessions")
		})
	}
}

// TestMariaDBWithoutPassword shows that a session whose user Sluice has no secret of is not moved, and says so.
func TestMariaDBWithoutPassword(t *testing.T) {
	m := startMovingMaria(t, racy(t), pairMaria(t))
	m.only(t, 0)
	s := single(t, openMySQL(t, m.addr, "ed", ""))
	m.order(t, 1, "resume")
	m.order(t, 0, "drain")
	eventually(t, func() error {
		l, err := m.listed()
		if err == nil && l.Pin != "credentials" {
			err = fmt.Errorf("%+v", l)
		}
		return err
	})
	if got := at(t, s); got != real.Port(m.every[0].Addr) {
		t.Errorf("the session is at port %d", got)
	}
}
