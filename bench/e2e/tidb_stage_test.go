package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"sluice/bench/e2e/real"
)

// moving is Sluice before instances of TiDB among which sessions move.
type moving struct {
	*real.Sluice
	addr  string
	every []*real.TiDB
}

// leisure is for tests in which no session is cut by force, on a machine that is as slow as it may be.
const leisure = `drain-timeout = "5m"`

// tidbDoor is the configuration of a cluster "ti" of those backends, with TLS, and a listener before it. more are lines
// and subtables of the cluster.
func tidbDoor(addr string, backends []string, more ...string) string {
	if !slices.ContainsFunc(more, func(line string) bool { return strings.HasPrefix(line, "[cluster.tls]") }) {
		more = append(more[:len(more):len(more)], tlsCA("cluster", "verify-full"))
	}
	return cluster("ti", "mysql", backends, more...) + listener("ti", addr, "ti", leisure, tlsTable("listener", "prefer", stage.cert))
}

// startMoving starts binary before instances.
func startMoving(t *testing.T, binary string, every []*real.TiDB, more ...string) moving {
	t.Helper()
	m := moving{addr: real.FreeAddr(), every: every}
	var backends []string
	for _, d := range every {
		backends = append(backends, d.Addr)
	}
	m.Sluice = startSluice(t, binary, tidbDoor(m.addr, backends, more...))
	await(t, m.Sluice, float64(len(every)), "sluice_backend_up")
	return m
}

// drain has all sessions leave d and waits until they have.
func (m moving) drain(t *testing.T, d *real.TiDB) {
	t.Helper()
	m.order(t, d, "drain")
	m.sessions(t, d, 0)
}

// order gives an order about a backend.
func (m moving) order(t *testing.T, d *real.TiDB, what string) {
	t.Helper()
	if _, err := m.Post("/api/backends/" + url.PathEscape(d.Addr) + "/" + what); err != nil {
		t.Fatal(err)
	}
}

// sessions waits until d has n sessions.
func (m moving) sessions(t *testing.T, d *real.TiDB, n int) {
	t.Helper()
	await(t, m.Sluice, float64(n), "sluice_backend_sessions", fmt.Sprintf("backend=%q", d.Addr))
}

// only has all new sessions begin at instance i: the others are drained.
func (m moving) only(t *testing.T, i int) {
	t.Helper()
	m.order(t, m.every[i], "resume")
	for j, d := range m.every {
		if j != i {
			m.order(t, d, "drain")
		}
	}
}

// swap empties instance from, towards instance to, and waits until all its sessions are there.
func (m moving) swap(t *testing.T, from, to int) {
	t.Helper()
	m.order(t, m.every[to], "resume")
	m.drain(t, m.every[from])
}

// asker is what asks for one row: a connection, or a transaction on it.
type asker interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// value is the one value that a query gives.
func value(t *testing.T, c asker, query string, args ...any) string {
	t.Helper()
	var v sql.NullString
	if err := c.QueryRowContext(within(t, soon), query, args...).Scan(&v); err != nil {
		t.Fatalf("%.100s: %v", query, err)
	}
	return v.String
}

// at is the port of the instance that a session is at.
func at(t *testing.T, c asker) int {
	t.Helper()
	var port int
	if err := c.QueryRowContext(within(t, soon), "select @@port").Scan(&port); err != nil {
		t.Fatal(err)
	}
	return port
}

// stateful is a session that has all at its server that can go along with it.
type stateful struct {
	*sql.Conn
	statements []*sql.Stmt
}

// portrait is what tells one session's state from another's, as a query that changes none of it.
const portrait = `select concat_ws('|', user(), current_user(), ifnull(database(), '-'), @n, @s, @d, @bin, isnull(@nothing), @@transaction_isolation,
@@autocommit, @@sql_mode, @@time_zone, @@character_set_client, @@character_set_results, @@collation_connection, @@group_concat_max_len,
@@max_execution_time, @@tidb_mem_quota_query, @@tx_read_only, last_insert_id())`

// newStateful logs in at addr as user and takes state on that nobody else has. Every instance has the tables of prepareStateful.
func newStateful(ctx context.Context, db *sql.DB, i int) (*stateful, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	s := &stateful{Conn: c}
	isolation := []string{"read committed", "repeatable read"}[i%2]
	for _, q := range []string{
		fmt.Sprintf(`set @n = %d, @s = 'it''s \\ number %d', @d = %d.50, @bin = x'00ff%04x', @nothing = null`, i, i, i, i),
		"set session transaction isolation level " + isolation,
		fmt.Sprintf("set sql_mode = 'ANSI_QUOTES,STRICT_TRANS_TABLES', time_zone = '+0%d:30', group_concat_max_len = %d", i%10, 2000+i),
		fmt.Sprintf("set max_execution_time = %d, tidb_mem_quota_query = %d", 600_000+i, 128<<20+i),
		"set names utf8mb4 collate " + []string{"utf8mb4_general_ci", "utf8mb4_bin", "utf8mb4_unicode_ci"}[i%3],
		[]string{"use app", "use second"}[i%2],
		fmt.Sprintf("insert into app.counted (id, note) values (null, 'by %d')", i),
		fmt.Sprintf("prepare by_name from 'select ? + %d'", i),
	} {
		if _, err := c.ExecContext(ctx, q); err != nil {
			return nil, fmt.Errorf("%s: %w", q, err)
		}
	}
	for _, q := range []string{fmt.Sprintf("select ? + %d", i), "select concat(?, @s)", "insert into app.counted (note) values (?)"} {
		st, err := c.PrepareContext(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("prepare %s: %w", q, err)
		}
		s.statements = append(s.statements, st)
	}
	return s, nil
}

// look returns all that can be seen of the state.
func (s *stateful) look(ctx context.Context) (string, error) {
	var all, sum, text, named string
	if err := s.QueryRowContext(ctx, portrait).Scan(&all); err != nil {
		return "", err
	}
	if err := s.statements[0].QueryRowContext(ctx, 1000).Scan(&sum); err != nil {
		return "", fmt.Errorf("prepared sum: %w", err)
	}
	if err := s.statements[1].QueryRowContext(ctx, "text: ").Scan(&text); err != nil {
		return "", fmt.Errorf("prepared text: %w", err)
	}
	if err := s.QueryRowContext(ctx, "execute by_name using @n").Scan(&named); err != nil {
		return "", fmt.Errorf("statement prepared by name: %w", err)
	}
	return strings.Join([]string{all, sum, text, named}, " "), nil
}

// prepareStateful makes what sessions with state want at each instance. Ids differ between instances, so that one that
// is not kept is seen.
func prepareStateful(t *testing.T, every []*real.TiDB) {
	t.Helper()
	for i, d := range every {
		c := single(t, openMySQL(t, d.Addr, "app", ""))
		mustMySQL(t, c, "create database if not exists second")
		mustMySQL(t, c, fmt.Sprintf("create table if not exists counted (id bigint primary key auto_increment, note varchar(100)) auto_increment = %d", 1_000_000*(i+1)))
	}
}
