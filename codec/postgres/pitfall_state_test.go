package postgres

import (
	"strings"
	"testing"

	"sluice/codec"
)

// More of the traps, by number: those of what a session keeps, and of how it ends.

// A Describe in front of the Bind goes to the server at once, in whatever order they come.
func TestPitfall10DescribeFirst(t *testing.T) {
	plays(t, `
		c: P(b;begin) D(S;b) H
		s? P(sluice_0_1;begin) D(S;sluice_0_1) H
		s: 1 t n
		c? 1 t n
		c: B(;b) E P(;select 1) D(S;) B E S
		s? B(;sluice_0_1) E P(;select 1) D(S;) B E S
		s: 2 C(BEGIN) 1 t T 2 C(SELECT 1) Z(T)
		c? 2 C(BEGIN) 1 t T 2 C(SELECT 1) Z(T)
		taken`)
}

// DEALLOCATE ALL among other statements drops what the protocol has prepared as well, on both sides, though
// the text fails behind it.
func TestPitfall14DeallocateAmongOthers(t *testing.T) {
	plays(t, `
		c: P(a;select 1) S
		s? P(sluice_0_1;select 1) S
		s: 1 Z(I)
		c? 1 Z(I)
		c: Q(select 1; deallocate all; bad)
		s? Q(select 1; deallocate all; bad)
		s: C(SELECT 1) C(DEALLOCATE ALL) E(42601;bad) Z(I)
		c? C(SELECT 1) C(DEALLOCATE ALL) E(42601;bad) Z(I)
		s~ pg_prepared_statements
		s: C(SELECT 0) Z(I)
		prepared=0
		c: B(;a) E S
		s? B(;a) E S
		s: E(26000;prepared statement "a" does not exist) Z(I)
		c? E(26000;prepared statement "a" does not exist) Z(I)`)
}

// What a SET came to is asked from the server when the transaction is over, and only then.
func TestPitfall17SetRolledBack(t *testing.T) {
	plays(t, `
		c: Q(begin; set work_mem = '1MB')
		s? Q(begin; set work_mem = '1MB')
		s: C(BEGIN) C(SET) Z(T)
		c? C(BEGIN) C(SET) Z(T)
		c: Q(savepoint a; set search_path = b; rollback to a) Q(commit)
		s? Q(savepoint a; set search_path = b; rollback to a) Q(commit)
		s: C(SAVEPOINT) C(SET) C(ROLLBACK) Z(T) C(COMMIT) Z(I)
		c? C(SAVEPOINT) C(SET) C(ROLLBACK) Z(T) C(COMMIT) Z(I)
		s~ pg_settings
		taken
		s: D(S;work_mem;1024) D(R) D(U) C(SELECT 3) Z(I)
		settings=work_mem=1024;
		free
		detach
		client 2
		c: Q(select 1)
		s~ set_config('work_mem',NULL,false)`)
	plays(t, `
		c: Q(begin; set work_mem = '1MB') Q(bad) Q(rollback)
		s? Q(begin; set work_mem = '1MB') Q(bad) Q(rollback)
		s: C(BEGIN) C(SET) Z(T) E(42601;bad) Z(E) C(ROLLBACK) Z(I)
		c? C(BEGIN) C(SET) Z(T) E(42601;bad) Z(E) C(ROLLBACK) Z(I)
		s~ pg_settings
		s: D(R) D(U) C(SELECT 2) Z(I)
		settings=
		free`)
}

// SET TRANSACTION and SET LOCAL end with their transaction; SET ROLE does not, and no ParameterStatus tells of it.
func TestPitfall18TransactionAndRole(t *testing.T) {
	plays(t, `
		c: Q(begin) Q(set transaction read only) Q(set local work_mem = '1MB') Q(commit)
		s? Q(begin) Q(set transaction read only) Q(set local work_mem = '1MB') Q(commit)
		s: C(BEGIN) Z(T) C(SET) Z(T) C(SET) Z(T) C(COMMIT) Z(I)
		c? C(BEGIN) Z(T) C(SET) Z(T) C(SET) Z(T) C(COMMIT) Z(I)
		s?
		free
		c: Q(set role other)
		s? Q(set role other)
		s: C(SET) Z(I)
		c? C(SET) Z(I)
		s~ current_setting('role')
		s: D(R;;other) D(U;;joe) C(SELECT 2) Z(I)
		pin=role
		taken`)
}

// A LISTEN in a transaction binds the session to the server that listens for it, and its notifications
// reach nobody else.
func TestPitfall21Listen(t *testing.T) {
	plays(t, `
		c: Q(begin) Q(listen news) Q(commit)
		s? Q(begin) Q(listen news) Q(commit)
		s: C(BEGIN) Z(T) C(LISTEN) Z(T) C(COMMIT) Z(I)
		c? C(BEGIN) Z(T) C(LISTEN) Z(T) C(COMMIT) Z(I)
		s~ pg_listening_channels
		s: D(N) C(SELECT 1) Z(I)
		pin=listen
		taken
		s: A(news;first)
		c? A(news;first)
		c: Q(unlisten news)
		s? Q(unlisten news)
		s: C(UNLISTEN) Z(I)
		c? C(UNLISTEN) Z(I)
		s~ pg_listening_channels
		s: C(SELECT 0) Z(I)
		pin=
		free
		detach
		s: A(news;late)
		c?`)
}

// In a COPY in both directions each side speaks when it likes, and neither waits for the other.
func TestPitfall23CopyBoth(t *testing.T) {
	plays(t, `
		unit session
		c: Q(START_REPLICATION SLOT s LOGICAL 0/0)
		s? Q(START_REPLICATION SLOT s LOGICAL 0/0)
		s: W d(change)
		c? W d(change)
		busy=replication
		c: d(reply)
		s? d(reply)
		s: d(more)
		c? d(more)
		c: c
		s? c
		s: d(rest) c C(COPY 0) Z(I)
		c? d(rest) c C(COPY 0) Z(I)
		free`)
}

// Messages near a gigabyte pass by in pieces, in both directions; nothing is reserved for what a peer says
// is to come.
func TestPitfall25LongMessages(t *testing.T) {
	p := joined(t)
	p.run(`
		c: P(a;select 1) S
		s? P(sluice_0_1;select 1) S
		s: 1 Z(I)
		c? 1 Z(I)`)
	const size = 0x3ff00000
	piece := make([]byte, 1<<20)
	sent, told := 0, 0
	p.turn.Server.Open(byteCounter{&sent})
	p.turn.Client.Open(byteCounter{&told})
	bind := message('B', "\x00a\x00\x00\x00\x00\x01")
	head := append([]byte{'B', 0x3f, 0xf0, 0, 0}, bind[headerSize:]...)
	if _, err := p.feedAll(head, len(head)); err != nil {
		t.Fatal(err)
	}
	rest := size + 1 - len(head)
	for ; rest > 0; rest -= len(piece) {
		kept, err := p.feedAll(piece[:min(rest, len(piece))], len(piece))
		if err != nil || kept > maxNames {
			t.Fatal(err, kept)
		}
	}
	if want := size + 1 + len("sluice_0_1") - len("a"); sent != want || p.guest.Busy() != "owed" {
		t.Errorf("%d bytes have reached the server, want %d; %s", sent, want, p.guest.Busy())
	}
	p.send("", wire(t, codec.Client, "E S"))
	p.turn.Client.Open(byteCounter{&told})
	row := []byte{'D', 0x7f, 0xff, 0xff, 0xff}
	for _, b := range [][]byte{wire(t, codec.Server, "2"), row, piece} {
		if err := p.host.Server(b, &p.turn); err != nil {
			t.Fatal(err)
		}
		p.turn.Flush()
	}
	if told != len(wire(t, codec.Server, "2"))+len(row)+len(piece) || len(p.host.gather) > 0 || !p.guest.Mid() {
		t.Errorf("%d bytes have reached the client, %d are kept", told, len(p.host.gather))
	}
}

// What a client has sent reaches its server at once, not with the Sync: the server's own time-outs count
// from there.
func TestPitfall26SentAtOnce(t *testing.T) {
	plays(t, `
		c: P(;select 1) B
		s? P(;select 1) B
		c: E
		s? E
		busy=owed
		c: S
		s? S`)
}

// A server that ends in a transaction says so to its client, as it is, and to nobody else.
func TestPitfall42ServerEnds(t *testing.T) {
	plays(t, `
		c: Q(begin)
		s? Q(begin)
		started=true
		s: C(BEGIN) Z(T)
		c? C(BEGIN) Z(T)
		s: E(57P01;terminating connection;FATAL)
		c? E(57P01;terminating connection;FATAL)
		ending=true
		taken
		abandon
		abandoned=false false`)
	plays(t, `
		c: Q(insert into t values (1))
		s? Q(insert into t values (1))
		s: E(57P02;crash of another server process;FATAL)
		c? E(57P02;crash of another server process;FATAL)
		ending=true
		started=true
		taken`)
	// Nothing has been sent for the client yet, which is told nothing: another server will do.
	plays(t, `
		login search_path=mine
		s: T D C(SELECT 1) Z(I)
		s: T D(S;search_path;mine) D(R;;none) D(U;;joe) C(SELECT 3) Z(I)
		detach
		host 2
		s~ set_config
		c: Q(select 1)
		s~ set_config
		started=false
		s: E(57P01;terminating connection;FATAL)
		ending=true
		started=false
		c?`)
}

// A client that goes in the middle of what it says leaves a server that can't be saved; between two
// messages it can, and the transaction is rolled back before anybody else gets it.
func TestPitfall44ClientGone(t *testing.T) {
	p := joined(t)
	p.send("", wire(t, codec.Client, "Q(begin)"))
	p.answer("", wire(t, codec.Server, "C(BEGIN) Z(T)"))
	insert := message('Q', "insert into t values ('"+strings.Repeat("x", 2*maxQueryHead)+"')\x00")
	p.send("", insert[:2*maxQueryHead])
	p.run("abandon\nabandoned=false false")

	plays(t, `
		c: P(;begin) B E S P(;select pg_sleep(9)) B E S
		s? P(;begin) B E S P(;select pg_sleep(9)) B E S
		s: 1 2 C(BEGIN) Z(T) 1 2
		c? 1 2 C(BEGIN) Z(T) 1 2
		abandon
		abandoned=true true
		s: E(57014;canceling statement due to user request) Z(E)
		s? Q(ROLLBACK)
		taken
		s: C(ROLLBACK) Z(I)
		s? Q(DISCARD ALL)
		taken
		s: C(DISCARD ALL) Z(I)
		c?
		free`)
}

// Settings are compared by the form that the server gives them, and given back quoted as it wants them.
func TestPitfall47NormalForms(t *testing.T) {
	plays(t, `
		login datestyle=iso, dmy;search_path="My ""own""", public
		s~ set_config('search_path','"My ""own""", public',false)
		s: T D C(SELECT 1) S(DateStyle;ISO, DMY) Z(I)
		s: T D(S;DateStyle;ISO, DMY) D(S;search_path;"My ""own""", public) D(R;;none) D(U;;joe) C(SELECT 4) Z(I)
		settings=DateStyle=ISO, DMY;search_path="My ""own""", public;
		detach
		s~ pg_settings
		login DateStyle=ISO, DMY;search_path="My ""own""", public
		s~ pg_settings
		s: T D(S;DateStyle;ISO, DMY) D(S;search_path;"My ""own""", public) D(R;;none) D(U;;joe) C(SELECT 4) Z(I)
		s?
		free`)
}

// Each thing that outlives its transaction binds the session, until it is gone.
func TestPitfall49Bound(t *testing.T) {
	for _, c := range []struct{ begin, tag, row, pin, end, endTag string }{
		{"create temp table t (a int)", "CREATE TABLE", "D(T)", "temp-table", "drop table t", "DROP TABLE"},
		{"select pg_advisory_lock(1)", "SELECT 1", "D(L)", "advisory-lock", "select pg_advisory_unlock(1)", "SELECT 1"},
		{"declare c cursor with hold for select 1", "DECLARE CURSOR", "D(H)", "cursor", "close c", "CLOSE CURSOR"},
		{"prepare transaction 'x'; create temporary view v as select 1", "CREATE VIEW", "D(T)", "temp-table", "discard temp", "DISCARD TEMP"},
	} {
		script := strings.NewReplacer("BEGIN", c.begin, "TAG", c.tag, "ROW", c.row, "PIN", c.pin, "END", c.end, "LAST", c.endTag).Replace(`
			c: Q(BEGIN)
			s? Q(BEGIN)
			s: C(TAG) Z(I)
			c? C(TAG) Z(I)
			s~ SELECT
			taken
			s: ROW C(SELECT 1) Z(I)
			pin=PIN
			taken
			c: Q(END)
			s? Q(END)
			s: C(LAST) Z(I)
			c? C(LAST) Z(I)
			s~ SELECT
			s: C(SELECT 0) Z(I)
			pin=
			free`)
		plays(t, script)
	}
}

// A server's last words are read before its end is reported, though they come in pieces and to nobody.
func TestPitfall54LastWords(t *testing.T) {
	plays(t, `
		c: Q(select 1)
		s? Q(select 1)
		s: C(SELECT 1) Z(I)
		c? C(SELECT 1) Z(I)
		detach
		s: N(00000;closing;NOTICE) E(57P05;terminating connection due to idle-session timeout;FATAL)
		c?
		ending=true
		taken`)
}

// A text need not be UTF-8, and a quote in it need not be one: what can't be read for sure counts as
// what it may be.
func TestPitfall56OtherEncodings(t *testing.T) {
	// In a client_encoding like SJIS the second byte of a letter may be a backslash.
	plays(t, strings.ReplaceAll(`
		c: Q(select 'HIGH\'; set work_mem = '1MB')
		s? Q(select 'HIGH\'; set work_mem = '1MB')
		s: C(SELECT 1) C(SET) Z(I)
		c? C(SELECT 1) C(SET) Z(I)
		s~ pg_settings`, "HIGH", "\x95"))
	plays(t, strings.ReplaceAll(`
		c: P(a;select 'HIGHHIGH' as "NAME") B(;a) E S
		s? P(sluice_0_1;select 'HIGHHIGH' as "NAME") B(;sluice_0_1) E S
		s: 1 2 D C(SELECT 1) Z(I)
		c? 1 2 D C(SELECT 1) Z(I)
		free
		c: Q(execute a)
		s? Q(execute sluice_0_1)
		s: C(SELECT 1) Z(I)
		c? C(SELECT 1) Z(I)
		free`, "HIGH", "\xe9"))
}
