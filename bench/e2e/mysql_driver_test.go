package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// openMySQL opens addr by go-sql-driver as user, on the database "app", with options of its DSN.
func openMySQL(t *testing.T, addr, user, options string) *sql.DB {
	t.Helper()
	registerTLS(t)
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)/app?timeout=90s&maxAllowedPacket=0&%s", user, real.Password, addr, options))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// registerTLS gives the driver the name "ours": verify the server by the test's authority.
func registerTLS(t *testing.T) {
	t.Helper()
	if err := mysql.RegisterTLSConfig("ours", &tls.Config{RootCAs: stage.ca.Pool(), ServerName: "localhost"}); err != nil {
		t.Fatal(err)
	}
}

// single returns one connection of db.
func single(t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	c, err := db.Conn(within(t, soon))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func wantMySQLError(t *testing.T, err error, want uint16) {
	t.Helper()
	var e *mysql.MySQLError
	if !errors.As(err, &e) || e.Number != want {
		t.Errorf("error %v, want MySQL error %d", err, want)
	}
}

// TestMySQLDriver does with go-sql-driver what applications do, plain, in TLS and compressed.
func TestMySQLDriver(t *testing.T) {
	addr, s := mysqlProxy(t)
	split := []int{40 << 20, wire.PacketMax - 4, wire.PacketMax, wire.PacketMax + 1}
	short := []int{1 << 20, wire.PacketMax + 1} // packing more takes the driver minutes
	for _, way := range []struct {
		name, options string
		blobs         []int
	}{
		{"plain", "", split},
		{"tls", "tls=ours", split[:1]},
		{"compressed", "compress=true", short},
		{"compressed-tls", "compress=true&tls=ours", short[:1]},
	} {
		t.Run(way.name, func(t *testing.T) {
			open := func(more string) *sql.DB { return openMySQL(t, addr, "app", way.options+"&"+more) }
			t.Run("multi-statements", func(t *testing.T) { testMultiStatements(t, open("multiStatements=true")) })
			t.Run("local-infile", func(t *testing.T) { testLocalInfile(t, open("")) })
			t.Run("prepared", func(t *testing.T) { testMySQLPrepared(t, open("")) })
			t.Run("transactions", func(t *testing.T) { testTransactions(t, open("")) })
			t.Run("blobs", func(t *testing.T) { testBlobs(t, open(""), open("interpolateParams=true"), way.blobs) })
		})
	}
	t.Run("logins", func(t *testing.T) { testMySQLLogins(t, addr) })
	t.Run("cursors", func(t *testing.T) { testCursors(t, addr) })
	await(t, s, 0, "sluice_sessions")
}

func testMultiStatements(t *testing.T, db *sql.DB) {
	rows, err := db.QueryContext(within(t, soon), "select 1; do 0; select 2 union select 3 order by 1; select 'x' from nowhere")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []int
	for {
		for rows.Next() {
			var n int
			if err := rows.Scan(&n); err != nil {
				t.Fatal(err)
			}
			got = append(got, n)
		}
		if !rows.NextResultSet() {
			break
		}
	}
	wantMySQLError(t, rows.Err(), 1146)
	if fmt.Sprint(got) != "[1 2 3]" {
		t.Errorf("rows %v, want [1 2 3]", got)
	}
}

// testLocalInfile sends a file, a file that can't be read, and an empty one.
func testLocalInfile(t *testing.T, db *sql.DB) {
	c := single(t, db)
	ctx := within(t, 5*time.Minute)
	mustMySQL(t, c, "create temporary table from_file (id int, name varchar(200))")
	var file strings.Builder
	for i := range 150_000 {
		fmt.Fprintf(&file, "%d\tthis is the name of number %d\n", i, i)
	}
	mysql.RegisterReaderHandler("good", func() io.Reader { return strings.NewReader(file.String()) })
	mysql.RegisterReaderHandler("empty", func() io.Reader { return strings.NewReader("") })
	mysql.RegisterReaderHandler("broken", func() io.Reader { return io.MultiReader(strings.NewReader("1\tx\n"), brokenReader{}) })
	if _, err := c.ExecContext(ctx, "load data local infile 'Reader::empty' into table from_file"); err != nil {
		t.Error(err)
	}
	if _, err := c.ExecContext(ctx, "load data local infile 'Reader::broken' into table from_file"); err == nil {
		t.Error("a broken file was loaded without an error")
	}
	mustMySQL(t, c, "delete from from_file")
	if _, err := c.ExecContext(ctx, "load data local infile 'Reader::good' into table from_file"); err != nil {
		t.Error(err)
	}
	var n, sum int
	if err := c.QueryRowContext(ctx, "select count(*), sum(id) from from_file").Scan(&n, &sum); err != nil || n != 150_000 || sum != 150_000*149_999/2 {
		t.Errorf("%d rows with the sum %d: %v", n, sum, err)
	}
}

func mustMySQL(t *testing.T, c *sql.Conn, query string, args ...any) {
	t.Helper()
	if _, err := c.ExecContext(within(t, 5*time.Minute), query, args...); err != nil {
		t.Fatalf("%.80s: %v", query, err)
	}
}

func testMySQLPrepared(t *testing.T, db *sql.DB) {
	ctx := within(t, soon)
	st, err := db.PrepareContext(ctx, "select ? + ?, concat('<', ?, '>')")
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for i := range 200 {
		var sum float64
		var text string
		if err := st.QueryRowContext(ctx, i, i*i, fmt.Sprint("t", i)).Scan(&sum, &text); err != nil {
			t.Fatal(err)
		}
		if sum != float64(i+i*i) || text != fmt.Sprintf("<t%d>", i) {
			t.Fatalf("got %v and %q for %d", sum, text, i)
		}
	}
	if _, err := db.PrepareContext(ctx, "select from where"); err == nil {
		t.Error("nonsense was prepared")
	} else {
		wantMySQLError(t, err, 1064)
	}
}

func testTransactions(t *testing.T, db *sql.DB) {
	ctx := within(t, soon)
	c := single(t, db)
	mustMySQL(t, c, "create temporary table ledger (amount int) engine=innodb")
	for i := range 20 {
		tx, err := c.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(ctx, "insert into ledger values (?)", i); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			err = tx.Commit()
		} else {
			err = tx.Rollback()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var sum int
	if err := c.QueryRowContext(ctx, "select sum(amount) from ledger").Scan(&sum); err != nil || sum != 90 {
		t.Errorf("sum %d: %v, want 90", sum, err)
	}
}

// testBlobs sends and reads values of those sizes: around the length at which a packet is split, and
// well beyond.
func testBlobs(t *testing.T, prepared, text *sql.DB, sizes []int) {
	ctx := within(t, 10*time.Minute)
	noise := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	for _, size := range sizes {
		blob := bytes.Repeat(noise, size>>20+1)[:size]
		// As a parameter of a prepared statement, which comes back in the binary protocol.
		var got []byte
		if err := prepared.QueryRowContext(ctx, "select ?", blob).Scan(&got); err != nil {
			t.Fatalf("%d bytes, prepared: %v", size, err)
		}
		if !bytes.Equal(got, blob) {
			t.Errorf("%d bytes, prepared: %d others came back", size, len(got))
		}
	}
	// As text, of which bytes are escaped.
	blob := bytes.Repeat([]byte("abc'efg\n"), sizes[0]/8)
	var got []byte
	if err := text.QueryRowContext(ctx, "select ?", blob).Scan(&got); err != nil {
		t.Fatalf("as text: %v", err)
	}
	if !bytes.Equal(got, blob) {
		t.Errorf("as text: %d other bytes came back", len(got))
	}
}

// testMySQLLogins logs in by each plugin, rightly and wrongly.
func testMySQLLogins(t *testing.T, addr string) {
	for _, user := range []string{"app", "ed"} {
		var got string
		db := openMySQL(t, addr, user, "")
		if err := unlessMalformed(func() error { return db.QueryRow("select user()").Scan(&got) }); err != nil {
			t.Errorf("%s: %v", user, err)
		} else if !strings.HasPrefix(got, user+"@") {
			t.Errorf("logged in as %s, want %s", got, user)
		}
	}
	bad, err := sql.Open("mysql", fmt.Sprintf("app:wrong@tcp(%s)/app", addr))
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	wantMySQLError(t, bad.Ping(), 1045)
	nowhere, err := sql.Open("mysql", fmt.Sprintf("app:%s@tcp(%s)/nowhere", real.Password, addr))
	if err != nil {
		t.Fatal(err)
	}
	defer nowhere.Close()
	wantMySQLError(t, nowhere.Ping(), 1049)
}

// testCursors reads a result in portions, from two cursors by turns.
func testCursors(t *testing.T, addr string) {
	m := loginMySQL(t, addr, wire.Usual)
	defer m.End()
	var ids [2]uint32
	for i := range ids {
		ids[i] = m.Prepare("select seq, repeat('x', 100) from seq_1_to_5000")
		m.Execute(ids[i], true)
	}
	before := m.Len()
	more := true
	for more && m.Fault() == nil {
		more = m.Fetch(ids[0], 700)
		if again := m.Fetch(ids[1], 700); again != more {
			t.Fatal("one cursor ended before the other")
		}
	}
	if err := m.Fault(); err != nil {
		t.Fatal(err)
	}
	// 5000 rows in 8 portions, each with its end, from both.
	if got, want := m.Len()-before, 2*(5000+8); got != want {
		t.Errorf("%d packets fetched, want %d", got, want)
	}
}

// loginMySQL logs the byte-level client in as app.
func loginMySQL(t *testing.T, addr string, caps uint64) *wire.MySQL {
	t.Helper()
	m, err := wire.DialMySQL(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Conn.Close() })
	m.Login(wire.Account{User: "app", Password: real.Password, Database: "app", Caps: caps, Collation: 45})
	if err := m.Fault(); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMySQLKill kills queries and connections of sessions on two servers, by the ids that the clients
// were told, from connections that may be on the other server.
func TestMySQLKill(t *testing.T) {
	addr := real.FreeAddr()
	s := startSluice(t, racy(t), cluster("my", "mysql", []string{mariadb(t, 0).Addr, mariadb(t, 1).Addr},
		"[cluster.control]", `user = "root"`, `password = ""`)+listener("my", addr, "my"))
	await(t, s, 2, "sluice_backend_up")

	const sessions = 6
	conns := make([]*wire.MySQL, sessions)
	ids := make(map[uint32]bool)
	for i := range conns {
		conns[i] = loginMySQL(t, addr, wire.Usual)
		ids[conns[i].ID] = true
	}
	if len(ids) != sessions {
		t.Fatalf("%d sessions were told %d different ids", sessions, len(ids))
	}
	// All wait for a lock; of each three, one's query is killed, one's connection, and one is left alone.
	var holders [2]*sql.Conn
	for i := range holders {
		holders[i] = single(t, openMySQL(t, mariadb(t, i).Addr, "app", ""))
		if _, err := holders[i].ExecContext(within(t, soon), "do get_lock('kill_me', 0)"); err != nil {
			t.Fatal(err)
		}
	}
	answers := make([]chan []byte, sessions)
	for i, m := range conns {
		answers[i] = make(chan []byte, 1)
		go func() {
			m.Command(wire.ComQuery, []byte("select get_lock('kill_me', 600) + release_lock('kill_me') as kill_me"))
			answers[i] <- m.Reply()
		}()
	}
	eventually(t, func() error {
		waiting := 0
		for i, c := range holders {
			var n int
			err := c.QueryRowContext(within(t, soon), "select count(*) from information_schema.processlist where info like 'select get_lock%kill_me'").Scan(&n)
			if err != nil {
				return err
			}
			if n == 0 {
				return fmt.Errorf("nobody waits on server %d", i)
			}
			waiting += n
		}
		if waiting != sessions {
			return fmt.Errorf("%d of %d sessions wait", waiting, sessions)
		}
		return nil
	})
	killer := single(t, openMySQL(t, addr, "app", ""))
	other := single(t, openMySQL(t, addr, "app", ""))
	for i, m := range conns {
		c := killer
		if i >= sessions/2 {
			c = other
		}
		var err error
		switch i % 3 {
		case 0:
			_, err = c.ExecContext(within(t, soon), fmt.Sprintf("KILL QUERY %d", m.ID))
		case 1:
			_, err = c.ExecContext(context.Background(), fmt.Sprintf("/* for good */ kill %d", m.ID))
		}
		if err != nil {
			t.Errorf("kill of session %d: %v", i, err)
		}
	}
	for i, m := range conns {
		if i%3 == 2 { // those that were left alone get the lock, one after the other
			for _, c := range holders {
				if _, err := c.ExecContext(within(t, soon), "do release_lock('kill_me')"); err != nil {
					t.Fatal(err)
				}
			}
		}
		p := <-answers[i]
		switch i % 3 {
		case 0: // the query is gone, the session is good
			m.Query("select 'alive'")
			if m.Fault() != nil || !m.Contains("alive") {
				t.Errorf("session %d after its query was killed:\n%s", i, &m.Transcript)
			}
		case 1:
			m.Closed()
			if m.Fault() != nil || !m.Contains("end of the connection") {
				t.Errorf("session %d after it was killed:\n%s", i, &m.Transcript)
			}
		case 2:
			if len(p) == 0 || p[0] == 0xff {
				t.Errorf("session %d was hit: %q", i, p)
			}
			m.End()
		}
	}
	// An id that nobody has is refused as the server would.
	_, err := killer.ExecContext(within(t, soon), "KILL QUERY 4000000000")
	wantMySQLError(t, err, 1094)
}
