package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

var crosstalkTime = flag.Duration("crosstalk", 30*time.Second, "how long each part of TestNoCrosstalk runs")

// zones are what the clients of TestNoCrosstalk set as their time zone.
var zones = []string{"UTC", "Europe/Berlin", "Asia/Tokyo", "America/New_York", "Australia/Sydney"}

// tenants is the number of schemas; each has a table "who" of its own that names it.
const tenants = 7

// talker is one client: what it has set, and so what every answer must show.
type talker struct {
	t      *testing.T
	id     int
	rnd    *rand.Rand
	conn   *pgconn.PgConn
	dsn    string
	name   string // application_name
	zone   string
	tenant int
	told   string // a setting of its own
	role   string // current_user
	named  map[string]int
	asked  int
	counts *crosstalkCounts
}

type crosstalkCounts struct{ answers, errors, cancels, broken, transactions, pins atomic.Int64 }

// TestNoCrosstalk has 500 clients with settings, names and values of their own do random things over three
// server connections, and over sixteen that two loops share. Every answer must be its asker's, and show its
// asker's settings.
func TestNoCrosstalk(t *testing.T) {
	prepareTenants(t, postgres(t, 0))
	t.Run("one loop", func(t *testing.T) { noCrosstalk(t, 1, 3) })
	t.Run("two loops", func(t *testing.T) { noCrosstalk(t, 2, 16) })
}

func noCrosstalk(t *testing.T, loops, size int) {
	pg := postgres(t, 0)
	addr := real.FreeAddr()
	s := startSluice(t, racy(t), section("[engine]", fmt.Sprintf("loops = %d", loops))+
		cluster("pg", "postgres", []string{pg.Addr})+funnel("pool", addr, "pg",
		fmt.Sprintf("pool-size = %d", size), "prepared-max = 20", `auth.method = "trust"`)+users("app"))
	const clients = 500
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	counts := &crosstalkCounts{}
	var all, first sync.WaitGroup
	first.Add(clients)
	for id := range clients {
		all.Go(func() {
			c := &talker{t: t, id: id, rnd: rand.New(rand.NewPCG(seed, uint64(id))), counts: counts,
				dsn: funnelDSN(addr, "app", "")}
			c.run(ctx, &first)
		})
	}
	go func() { // the time counts from when all are at work
		first.Wait()
		time.AfterFunc(*crosstalkTime, cancel)
	}()
	most := 0
	for ctx.Err() == nil {
		most = max(most, sessionsOf(t, pg, "app"))
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	all.Wait()
	t.Logf("%d answers, %d errors asked for, %d cancels, %d connections broken off, %d transactions, %d pins; at most %d server sessions",
		counts.answers.Load(), counts.errors.Load(), counts.cancels.Load(), counts.broken.Load(),
		counts.transactions.Load(), counts.pins.Load(), most)
	if counts.answers.Load() == 0 {
		t.Error("no answers")
	}
	if most > size {
		t.Errorf("%d server sessions at a time, want at most %d", most, size)
	}
	await(t, s, 0, "sluice_pool_waiting")
	await(t, s, 0, "sluice_pool_server_connections", `state="active"`)
}

// prepareTenants makes the schemas.
func prepareTenants(t *testing.T, pg *real.Postgres) {
	t.Helper()
	c := connect(t, pg.DSN("app", "app"))
	defer c.Close(context.Background())
	for i := range tenants {
		for _, sql := range []string{"create schema if not exists tenant%d", "create table if not exists tenant%d.who (v int)",
			"delete from tenant%d.who", "insert into tenant%[1]d.who values (%[1]d)",
			"create or replace view tenant%d.seen as select current_setting('application_name') as name, current_user as who",
			"drop role if exists crosstalk%d", "create role crosstalk%d",
			"grant usage on schema tenant%d to public", "grant select on all tables in schema tenant%d to public"} {
			if _, err := c.Exec(t.Context(), fmt.Sprintf(sql, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// sessionsOf is how many client sessions of a user the server has.
func sessionsOf(t *testing.T, pg *real.Postgres, user string) int {
	t.Helper()
	c := connect(t, pg.DSN("postgres", "postgres"))
	defer c.Close(context.Background())
	n := 0
	err := c.QueryRow(context.Background(), "select count(*) from pg_stat_activity where usename = $1 and backend_type = 'client backend'", user).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// run does random things until ctx ends, and tells when it has had the first answer.
func (c *talker) run(ctx context.Context, first *sync.WaitGroup) {
	told := sync.OnceFunc(first.Done)
	defer told()
	defer func() {
		if c.conn != nil {
			_ = c.conn.Close(context.Background())
		}
	}()
	for ctx.Err() == nil && !c.t.Failed() {
		if c.conn == nil || c.conn.IsClosed() {
			if !c.connect() {
				return
			}
		}
		actions := []func() error{c.look, c.look, c.prepared, c.prepared, c.transaction, c.rolledBack,
			c.pipeline, c.fails, c.change, c.cancelled, c.breakOff, c.lock, c.temporary, c.local, c.asRole, c.asLocalRole}
		i := c.rnd.IntN(len(actions))
		if err := actions[i](); err != nil {
			c.t.Errorf("client %d, action %d: %v", c.id, i, err)
			return
		}
		told()
	}
}

// connect logs in, with or without settings in the startup.
func (c *talker) connect() bool {
	cfg, err := pgconn.ParseConfig(c.dsn)
	if err != nil {
		c.t.Error(err)
		return false
	}
	c.name = fmt.Sprintf("client-%d-%d", c.id, c.rnd.IntN(1000))
	c.zone = zones[c.rnd.IntN(len(zones))]
	c.tenant = c.rnd.IntN(tenants)
	c.told, c.role, c.named = "", "app", map[string]int{}
	cfg.RuntimeParams["application_name"] = c.name
	cfg.RuntimeParams["TimeZone"] = c.zone
	cfg.RuntimeParams["search_path"] = fmt.Sprintf("tenant%d", c.tenant)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if c.conn, err = pgconn.ConnectConfig(ctx, cfg); err != nil {
		c.t.Errorf("client %d: %v", c.id, err)
		return false
	}
	return true
}

// shows is a query whose answer shows who asks.
const shows = "select '%d-%d', current_setting('application_name'), current_setting('TimeZone'), (select v from who), " +
	"coalesce(current_setting('my.word', true), ''), to_char('2020-06-01 00:00+00'::timestamptz, 'HH24:MI'), (select name || ' ' || who from seen)"

// want is what it must show.
func (c *talker) want() string {
	zone, err := time.LoadLocation(c.zone)
	if err != nil {
		panic(err)
	}
	at := time.Date(2020, 6, 1, 0, 0, 0, 0, time.UTC).In(zone).Format("15:04")
	return strings.Join([]string{fmt.Sprintf("%d-%d", c.id, c.asked), c.name, c.zone, fmt.Sprint(c.tenant), c.told, at, c.name + " " + c.role}, "|")
}

// row joins the only row of a result.
func row(r *pgconn.Result) (string, error) {
	if r.Err != nil {
		return "", r.Err
	}
	if len(r.Rows) != 1 {
		return "", fmt.Errorf("%d rows", len(r.Rows))
	}
	var cols []string
	for _, v := range r.Rows[0] {
		cols = append(cols, string(v))
	}
	return strings.Join(cols, "|"), nil
}

// exec runs statements by a simple query and returns the last result.
func (c *talker) exec(sql string) (*pgconn.Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	all, err := c.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", sql, err)
	}
	return all[len(all)-1], nil
}

// look asks who asks.
func (c *talker) look() error {
	c.asked++
	r, err := c.exec(fmt.Sprintf(shows, c.id, c.asked))
	if err != nil {
		return err
	}
	got, err := row(r)
	if err != nil {
		return err
	}
	if got != c.want() {
		return fmt.Errorf("got %q, want %q", got, c.want())
	}
	c.counts.answers.Add(1)
	return nil
}

// prepared runs a statement by a name that other clients use for other texts.
func (c *talker) prepared() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	name := fmt.Sprintf("s%d", c.rnd.IntN(4))
	add, ok := c.named[name]
	if !ok {
		add = c.rnd.IntN(40)
		sql := fmt.Sprintf("select $1::int + %d, to_char('2020-06-01 00:00'::timestamptz at time zone 'UTC', 'HH24:MI'), (select v from who)", add)
		if _, err := c.conn.Prepare(ctx, name, sql, nil); err != nil {
			return fmt.Errorf("prepare %s: %w", name, err)
		}
		c.named[name] = add
	}
	c.asked++
	n := c.rnd.IntN(1000)
	got, err := row(c.conn.ExecPrepared(ctx, name, [][]byte{[]byte(fmt.Sprint(n))}, nil, nil).Read())
	if err != nil {
		return err
	}
	if v, rest, _ := strings.Cut(got, "|"); v != fmt.Sprint(n+add) || !strings.HasSuffix(rest, fmt.Sprintf("|%d", c.tenant)) {
		return fmt.Errorf("%s: got %q, want %d and tenant %d", name, got, n+add, c.tenant)
	}
	c.counts.answers.Add(1)
	if c.rnd.IntN(8) == 0 {
		delete(c.named, name)
		return c.conn.Deallocate(ctx, name)
	}
	return nil
}

// transaction sees its own writes and nobody else's.
func (c *talker) transaction() error {
	c.counts.transactions.Add(1)
	if _, err := c.exec("begin"); err != nil {
		return err
	}
	for range 1 + c.rnd.IntN(3) {
		if err := c.look(); err != nil {
			return err
		}
		if err := c.prepared(); err != nil {
			return err
		}
	}
	end := "commit"
	if c.rnd.IntN(2) == 0 {
		end = "rollback"
	}
	_, err := c.exec(end)
	return err
}

// rolledBack changes settings in a transaction that does not last, or lasts in part.
func (c *talker) rolledBack() error {
	c.counts.transactions.Add(1)
	zone, word := c.zone, c.told
	c.zone, c.told = zones[c.rnd.IntN(len(zones))], fmt.Sprintf("word-%d", c.id)
	if _, err := c.exec(fmt.Sprintf("begin; set timezone = '%s'; select set_config('my.word', '%s', false)", c.zone, c.told)); err != nil {
		return err
	}
	c.named = map[string]int{} // their text is of another zone: asked for anew
	if err := c.look(); err != nil {
		return err
	}
	inner := c.zone
	if _, err := c.exec("savepoint a; set timezone = 'Asia/Kolkata'"); err != nil {
		return err
	}
	if _, err := c.exec("rollback to a"); err != nil {
		return err
	}
	c.zone = inner
	if err := c.look(); err != nil {
		return err
	}
	end := "commit"
	if c.rnd.IntN(2) == 0 {
		end, c.zone, c.told = "rollback", zone, word
	}
	if _, err := c.exec(end + "; deallocate all"); err != nil {
		return err
	}
	return c.look()
}

// local changes a setting for one transaction only.
func (c *talker) local() error {
	r, err := c.exec("begin; set local timezone = 'Asia/Kolkata'; select current_setting('TimeZone')")
	if err != nil {
		return err
	}
	if got, err := row(r); err != nil || got != "Asia/Kolkata" {
		return fmt.Errorf("got %q, %v", got, err)
	}
	if _, err := c.exec("commit"); err != nil {
		return err
	}
	return c.look()
}

// pipeline asks several things without waiting for the answers, some of which are errors.
func (c *talker) pipeline() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	p := c.conn.StartPipeline(ctx)
	type asked struct {
		n     int
		wrong bool
	}
	var list []asked
	for range 2 + c.rnd.IntN(5) {
		a := asked{c.rnd.IntN(1000), c.rnd.IntN(4) == 0}
		if a.wrong {
			p.SendQueryParams("select 1/$1::int", [][]byte{[]byte("0")}, nil, nil, nil)
		} else {
			p.SendQueryParams("select $1::int, (select v from who)", [][]byte{[]byte(fmt.Sprint(a.n))}, nil, nil, nil)
		}
		if err := p.Sync(); err != nil {
			return err
		}
		list = append(list, a)
	}
	for _, a := range list {
		res, err := p.GetResults()
		var told *pgconn.PgError
		switch {
		case a.wrong:
			if rr, ok := res.(*pgconn.ResultReader); ok {
				err = rr.Read().Err
			}
			if !errors.As(err, &told) || told.Code != "22012" {
				return fmt.Errorf("pipeline: got %v, want a division by zero", err)
			}
			c.counts.errors.Add(1)
		case err != nil:
			return fmt.Errorf("pipeline: %w", err)
		default:
			got, err := row(res.(*pgconn.ResultReader).Read())
			if want := fmt.Sprintf("%d|%d", a.n, c.tenant); err != nil || got != want {
				return fmt.Errorf("pipeline: got %q, %v, want %q", got, err, want)
			}
			c.counts.answers.Add(1)
		}
		for {
			if _, ok := res.(*pgconn.PipelineSync); ok {
				break
			}
			if res, err = p.GetResults(); err != nil {
				return fmt.Errorf("pipeline: sync: %w", err)
			}
		}
	}
	return p.Close()
}

// fails asks for an error, alone or in a transaction.
func (c *talker) fails() error {
	sql := "select nosuchcolumn from who"
	if c.rnd.IntN(2) == 0 {
		sql = "begin; select 1/0"
	}
	_, err := c.exec(sql)
	var told *pgconn.PgError
	if !errors.As(err, &told) || told.Code != "42703" && told.Code != "22012" {
		return fmt.Errorf("got %v, want an error of the statement", err)
	}
	c.counts.errors.Add(1)
	if strings.HasPrefix(sql, "begin") {
		if _, err := c.exec("select 1"); !errors.As(err, &told) || told.Code != "25P02" {
			return fmt.Errorf("in a failed transaction: %v", err)
		}
		if _, err := c.exec("rollback"); err != nil {
			return err
		}
	}
	return c.look()
}

// change sets something for good.
func (c *talker) change() error {
	var sql string
	switch c.rnd.IntN(4) {
	case 0:
		c.zone = zones[c.rnd.IntN(len(zones))]
		sql = fmt.Sprintf("set time zone '%s'", c.zone)
	case 1:
		c.tenant = c.rnd.IntN(tenants)
		sql = fmt.Sprintf("set search_path = tenant%d", c.tenant)
	case 2:
		c.name = fmt.Sprintf("client-%d-%d", c.id, c.rnd.IntN(1000))
		sql = fmt.Sprintf("set application_name = '%s'", c.name)
	case 3:
		c.told = fmt.Sprintf("it''s %d\\", c.id)
		sql = fmt.Sprintf("select set_config('my.word', '%s', false)", c.told)
		c.told = strings.ReplaceAll(c.told, "''", "'")
	}
	if _, err := c.exec(sql); err != nil {
		return err
	}
	return c.look()
}

// cancelled cancels its own query. It may come too late: then the query has its answer, and nothing of
// what comes later may be hit.
func (c *talker) cancelled() error {
	if c.id%10 != 0 {
		return nil // sleeping is slow
	}
	c.counts.cancels.Add(1)
	done := make(chan error, 1)
	sleep := c.rnd.IntN(30)
	go func() {
		_, err := c.exec(fmt.Sprintf("select pg_sleep(0.%03d)", sleep))
		done <- err
	}()
	time.Sleep(time.Duration(c.rnd.IntN(30)) * time.Millisecond) // any moment will do
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if err := c.conn.CancelRequest(ctx); err != nil {
		return fmt.Errorf("cancel request: %w", err)
	}
	var told *pgconn.PgError
	if err := <-done; err != nil && (!errors.As(err, &told) || told.Code != "57014") {
		return err
	}
	return c.look()
}

// breakOff goes away at any byte of what it sends.
func (c *talker) breakOff() error {
	if c.rnd.IntN(4) > 0 {
		return nil
	}
	c.counts.broken.Add(1)
	sent := wire.Join(wire.Query("begin; set timezone = 'Asia/Kolkata'; create temp table gone (v int)"),
		wire.Parse("s1", "select 'not yours'"), wire.Bind("", "s1"), wire.Execute("", 0), wire.Sync(),
		wire.Query("select pg_advisory_lock(42); set application_name = 'gone'"))
	sent = sent[:c.rnd.IntN(len(sent)+1)]
	raw := c.conn.Conn()
	if _, err := raw.Write(sent); err != nil {
		return err
	}
	if tcp, ok := raw.(*net.TCPConn); ok && c.rnd.IntN(2) == 0 {
		_ = tcp.SetLinger(0)
	}
	_ = raw.Close()
	c.conn = nil
	return nil
}

// lock takes an advisory lock of its own for more than one statement.
func (c *talker) lock() error {
	if c.id%10 != 1 {
		return nil
	}
	c.counts.pins.Add(1)
	if _, err := c.exec(fmt.Sprintf("select pg_advisory_lock(1000000 + %d)", c.id)); err != nil {
		return err
	}
	if err := c.look(); err != nil {
		return err
	}
	r, err := c.exec(fmt.Sprintf("select pg_advisory_unlock(1000000 + %d)", c.id))
	if err != nil {
		return err
	}
	if got, err := row(r); err != nil || got != "t" {
		return fmt.Errorf("the lock was not there: %q, %v", got, err)
	}
	return c.look()
}

// temporary uses a temporary table that others have by the same name.
func (c *talker) temporary() error {
	if c.id%10 != 2 {
		return nil
	}
	c.counts.pins.Add(1)
	if _, err := c.exec(fmt.Sprintf("create temp table mine as select %d as v", c.id)); err != nil {
		return err
	}
	if err := c.look(); err != nil {
		return err
	}
	r, err := c.exec("select v from mine")
	if err != nil {
		return err
	}
	if got, err := row(r); err != nil || got != fmt.Sprint(c.id) {
		return fmt.Errorf("temp table: %q, %v", got, err)
	}
	if _, err := c.exec("drop table mine"); err != nil {
		return err
	}
	return c.look()
}

// asRole is somebody else for more than one transaction.
func (c *talker) asRole() error {
	if c.id%10 != 3 {
		return nil
	}
	c.counts.pins.Add(1)
	c.role = fmt.Sprintf("crosstalk%d", c.rnd.IntN(tenants))
	if _, err := c.exec("set role " + c.role); err != nil {
		return err
	}
	for range 2 {
		if err := c.look(); err != nil {
			return err
		}
	}
	c.role = "app"
	if _, err := c.exec("reset role"); err != nil {
		return err
	}
	return c.look()
}

// asLocalRole is somebody else for one transaction.
func (c *talker) asLocalRole() error {
	c.counts.transactions.Add(1)
	c.role = fmt.Sprintf("crosstalk%d", c.rnd.IntN(tenants))
	if _, err := c.exec("begin; set local role " + c.role); err != nil {
		return err
	}
	for _, look := range []func() error{c.look, c.prepared} {
		if err := look(); err != nil {
			return err
		}
	}
	c.role = "app"
	if _, err := c.exec("commit"); err != nil {
		return err
	}
	return c.look()
}
