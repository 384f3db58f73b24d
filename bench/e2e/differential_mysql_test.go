package e2e

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// app is the account that scripts log in with.
func app(caps uint64) wire.Account {
	return wire.Account{User: "app", Password: real.Password, Database: "app", Caps: caps, Collation: 45}
}

// ql is a client that logs in and asks queries one after the other.
func ql(caps uint64, queries ...string) func(*wire.MySQL, lane) {
	return func(m *wire.MySQL, _ lane) {
		m.Login(app(caps))
		for _, sql := range queries {
			m.Query(sql)
		}
		m.End()
	}
}

func myCases() []myCase {
	var all []myCase
	for _, part := range [][]myCase{myResultCases(), myStatementCases(), mySessionCases(), myLoginCases(), myLongCases(), myScriptedCases()} {
		all = append(all, part...)
	}
	return all
}

// bothFramings runs a case with EOF packets and without.
func bothFramings(name string, want []string, client func(caps uint64) func(*wire.MySQL, lane)) []myCase {
	return []myCase{
		{name: name, want: want, client: client(wire.Usual)},
		{name: name + "-deprecate-eof", want: want, client: client(wire.Usual | wire.DeprecateEOF)},
	}
}

func myResultCases() []myCase {
	all := bothFramings("pitfall-57-end-of-rows", []string{"1050", "row"}, func(caps uint64) func(*wire.MySQL, lane) {
		return ql(caps, "select 1", "select 'row' from seq_1_to_300", "select 1 from seq_1_to_10 where seq > 100", "do 1",
			"select if(seq < 50, seq, (select 'no row' union select 'two')) from seq_1_to_100", "create table mysql.user (a int)",
			"select repeat('\xfe', 300)", "select null, '', repeat('x', 70000)")
	})
	all = append(all, bothFramings("pitfall-58-multi-results", []string{"1146", "second"}, func(caps uint64) func(*wire.MySQL, lane) {
		return ql(caps, "select 'first'; do 0; select 'second'; set @a = 1", "select 1; select * from nowhere; select 'never'",
			"create or replace procedure multi() begin select 'second'; select 3 from seq_1_to_4; end", "call multi()", "call multi(); select 4",
			"begin not atomic select 5; signal sqlstate '45000'; end", "select 6")
	})...)
	all = append(all, bothFramings("pitfall-65-sequence-numbers", []string{"row"}, func(caps uint64) func(*wire.MySQL, lane) {
		return ql(caps, "select 'row' from seq_1_to_600", "select 1; select 'row' from seq_1_to_300; select 2", "select 3")
	})...)
	return append(all,
		myCase{name: "pitfall-59-local-infile", client: localInfile, want: []string{`\xfb/tmp/of-the-client`, "more than one", "Records: 3", "error 1146"}},
		myCase{name: "pitfall-61-shapes-of-answers", want: []string{"answer_column"}, client: func(m *wire.MySQL, _ lane) {
			m.Login(app(wire.Usual))
			m.Query("create temporary table shape (answer_column int, b text)")
			m.Command(wire.ComFieldList, []byte("shape\x00"))
			m.Rows()
			m.Command(wire.ComFieldList, []byte("nowhere\x00"))
			m.Packet()
			m.Command(wire.ComPing)
			m.Packet()
			m.Command(wire.ComInitDB, []byte("mysql"))
			m.Packet()
			m.Command(wire.ComInitDB, []byte("nowhere"))
			m.Packet()
			m.Command(0x7f) // no command at all
			m.Packet()
			m.End()
		}},
		myCase{name: "pitfall-75-answers-about-the-last-statement", want: []string{"Warning"}, client: ql(wire.Usual,
			"create temporary table t (id int auto_increment primary key, v tinyint)", "set sql_mode=''", "insert into t (v) values (1), (1000)", "show warnings",
			"select row_count(), last_insert_id()", "select sql_calc_found_rows * from t limit 1", "select found_rows()", "select 1/0", "show count(*) warnings",
			"selec", "show errors", "get diagnostics @n = number", "select @n")},
		myCase{name: "pitfall-77-set-option", want: []string{"1064"}, client: func(m *wire.MySQL, _ lane) {
			m.Login(app(wire.Usual &^ wire.MultiStatements))
			m.Query("select 1; select 2")
			for _, option := range []string{"\x00\x00", "\x01\x00"} { // on, off
				m.Command(wire.ComSetOption, []byte(option))
				m.Packet()
				m.Query("select 1; select 2")
			}
			m.End()
		}},
	)
}

// localInfile sends files: in two packets, empty, after an error, and as the second of two statements.
func localInfile(m *wire.MySQL, _ lane) {
	m.Login(app(wire.Usual | wire.LocalFiles))
	m.Query("create temporary table of_lines (a int, b varchar(50))")
	load := "load data local infile '/tmp/of-the-client' into table of_lines"
	m.Query(load)
	m.Write([]byte("1\tone\n2\ttw"))
	m.Write([]byte("o\n3\tthree\n"))
	m.Write(nil)
	m.Packet()
	m.Query(load)
	m.Write(nil)
	m.Packet()
	m.Query("load data local infile '/tmp/of-the-client' into table nowhere")
	m.Query("select 'more than one'; " + load + "; select count(*) from of_lines")
	m.Write([]byte("4\tfour\n"))
	m.Write(nil)
	m.Reply()
	m.Query("select * from of_lines")
	m.End()
}

func myStatementCases() []myCase {
	all := bothFramings("pitfall-61-prepare", []string{"1064", "1146"}, func(caps uint64) func(*wire.MySQL, lane) {
		return func(m *wire.MySQL, _ lane) {
			m.Login(app(caps))
			for _, sql := range []string{"select ?, ?", "do 1", "select 1 from seq_1_to_3", "insert into nowhere values (?)", "selec", "set @x = ?"} {
				if id := m.Prepare(sql); id != 0 && !strings.Contains(sql, "?") {
					m.Execute(id, false)
				}
			}
			m.End()
		}
	})
	all = append(all, bothFramings("pitfall-62-cursor", []string{"row"}, func(caps uint64) func(*wire.MySQL, lane) {
		return func(m *wire.MySQL, _ lane) {
			m.Login(app(caps))
			a, b := m.Prepare("select seq, 'row' from seq_1_to_10"), m.Prepare("select seq from seq_1_to_3")
			m.Execute(a, true)
			m.Execute(b, true)
			for range 4 {
				m.Fetch(a, 4)
				m.Fetch(b, 4)
			}
			m.Execute(a, true)
			m.Fetch(a, 2)
			m.Query("select 'between'")
			m.Fetch(a, 2)
			m.Command(wire.ComStmtReset, wire.StmtID(a)) // closes the cursor
			m.Packet()
			m.Fetch(a, 2)
			m.Execute(b, true)
			m.Fetch(99, 1)
			m.Fetch(b, 100)
			m.End()
		}
	})...)
	return append(all,
		myCase{name: "pitfall-60-commands-without-answer", want: []string{"1243", "long data"}, client: func(m *wire.MySQL, _ lane) {
			m.Login(app(wire.Usual))
			id := m.Prepare("select concat(?, '!'), ?")
			m.LongData(id, 0, "long ")
			m.LongData(id, 0, "data")
			m.Execute(id, false, "\x00", "short")
			m.LongData(id, 9, "no such parameter")
			m.Execute(id, false, "a", "b")
			m.LongData(id, 0, "forgotten")
			m.Command(wire.ComStmtReset, wire.StmtID(id))
			m.Packet()
			m.Execute(id, false, "c", "d")
			m.LongData(777, 0, "no such statement")
			m.Command(wire.ComStmtClose, wire.StmtID(id))
			m.Command(wire.ComStmtClose, wire.StmtID(888))
			m.Command(wire.ComPing)
			m.Packet()
			m.Execute(id, false, "e", "f")
			m.End()
		}},
		myCase{name: "pitfall-82-statement-metadata", want: []string{"1146"}, client: func(m *wire.MySQL, _ lane) {
			m.Login(app(wire.Usual | wire.DeprecateEOF))
			m.Query("create temporary table meta (a int)")
			id := m.Prepare("select * from meta")
			m.Execute(id, false)
			m.Query("alter table meta add b text")
			m.Execute(id, false)
			m.Query("drop table meta")
			m.Execute(id, false)
			m.Query("select 1")
			m.End()
		}},
		myCase{name: "pitfall-82-metadata-skipped", want: []string{"row"}, client: func(m *wire.MySQL, _ lane) {
			m.Login(app((wire.Usual | wire.DeprecateEOF | wire.MariaCacheMeta) &^ wire.LongPassword))
			id := m.Prepare("select seq, 'row' from seq_1_to_5")
			m.Execute(id, false)
			m.Execute(id, false) // without the definitions of columns
			m.Query("select 'row'; select 2")
			m.Execute(id, true)
			m.Fetch(id, 10)
			m.End()
		}},
	)
}

func mySessionCases() []myCase {
	changeUser := func(user, database string) []byte {
		return wire.Join([]byte(user+"\x00"), []byte{0}, []byte(database+"\x00"), []byte{45, 0}, []byte("mysql_native_password\x00"))
	}
	return []myCase{
		{name: "pitfall-63-change-user-and-reset", want: []string{"auth switch", "1045", "end of the connection"}, client: func(m *wire.MySQL, _ lane) {
			m.Login(app(wire.Usual))
			m.Query("set @mine = 1")
			id := m.Prepare("select 1")
			m.Command(wire.ComResetConnection)
			m.Packet()
			m.Query("select @mine")
			m.Execute(id, false)
			m.Query("start transaction")
			m.Command(wire.ComChangeUser, changeUser("app", "mysql"))
			m.Authenticate(real.Password)
			m.Query("select database(), @mine")
			m.Command(wire.ComChangeUser, changeUser("root", ""))
			m.Authenticate("")
			m.Query("select user() like 'root@%', database()")
			m.Command(wire.ComChangeUser, changeUser("app", "mysql"))
			m.Authenticate("wrong")
			m.End()
		}},
		{name: "pitfall-71-session-track", want: []string{"autocommit"}, client: ql(wire.Usual|wire.SessionTrack|wire.DeprecateEOF,
			"set session session_track_system_variables='*', session_track_schema=1, session_track_state_change=1, session_track_transaction_info='CHARACTERISTICS'",
			"use mysql", "set names latin1", "set autocommit=0", "create temporary table tr (a int)", "insert into tr values (1)", "start transaction read only", "commit",
			"select 1; set @x = 1; use app; select 2", "set time_zone='+03:00'")},
		{name: "pitfall-72-autocommit-off", want: []string{"packet"}, client: ql(wire.Usual,
			"create or replace table app.ac (a int) engine=innodb", "set autocommit=0", "select 1", "select * from app.ac", "commit", "insert into app.ac values (1)", "rollback",
			"insert into app.ac values (2)", "create or replace table app.ac2 (a int)", "insert into app.ac values (3)", "set autocommit=1", "select * from app.ac")},
		{name: "pitfall-73-set-transaction", want: []string{"SERIALIZABLE"}, client: ql(wire.Usual,
			"create or replace table app.st (a int) engine=innodb", "set transaction read only", "start transaction", "insert into app.st values (1)", "commit",
			"insert into app.st values (1)", "begin", "insert into app.st values (2)", "begin", "rollback", "select * from app.st",
			"set session transaction isolation level serializable", "select @@tx_isolation")},
		{name: "pitfall-74-session-bound", want: []string{"prepared text"}, client: ql(wire.Usual,
			"set @a = 7", "select @a", "create temporary table te (a int)", "insert into te values (1)", "select get_lock('l', 1)", "select is_used_lock('l') is not null",
			"create or replace table app.ha (a int)", "lock tables app.ha write", "insert into app.ha values (1)", "unlock tables", "handler app.ha open", "handler app.ha read first",
			"handler app.ha close", "prepare p from \"select 'prepared text', ?\"", "execute p using @a", "deallocate prepare p", "xa start 'x'", "xa end 'x'", "xa rollback 'x'")},
		{name: "pitfall-79-kill-query", want: []string{"1317"}, client: func(m *wire.MySQL, l lane) {
			m.Login(app(wire.Usual))
			// A query that says nothing before its end, whenever the kill comes.
			m.Command(wire.ComQuery, []byte("create temporary table nap as select sleep(600)"))
			if err := killNap(l, m.ID); err != nil {
				m.Fail(err)
				return
			}
			m.Reply()
			m.Query("select 'alive'")
			m.End()
		}},
		{name: "pitfall-80-packet-too-large", long: true, want: []string{"1153", "end of the connection"}, client: func(m *wire.MySQL, l lane) {
			m.Login(app(wire.Usual))
			askMySQL(l, "set global max_allowed_packet = 1048576")
			defer askMySQL(l, "set global max_allowed_packet = 1073741824")
			h, err := wire.DialMySQL(l.addr)
			if err != nil {
				m.Fail(err)
				return
			}
			defer h.Conn.Close()
			h.Login(app(wire.Usual))
			h.Query("select length('" + strings.Repeat("x", 2<<20) + "')")
			h.Closed()
			m.Note("%s", h.String())
			m.End()
		}},
		{name: "pitfall-84-collations-above-255", want: []string{"utf8mb4_uca1400_ai_ci"}, client: ql(wire.Usual,
			"select @@collation_connection", "set names utf8mb4 collate utf8mb4_uca1400_ai_ci", "select @@collation_connection, 'é'", "set character_set_results=latin1", "select 'é'")},
		{name: "pitfall-86-wait-timeout", told: "the connection to the server was lost", want: []string{"end of the connection"}, client: func(m *wire.MySQL, _ lane) {
			m.Login(app(wire.Usual))
			m.Query("set session wait_timeout=1")
			m.Closed()
		}},
		{name: "pitfall-78-binlog-dump", want: []string{"event"}, client: binlogDump},
	}
}

// killNap kills the query of session id once it runs.
func killNap(l lane, id uint32) error {
	h, err := wire.DialMySQL(l.addr)
	if err != nil {
		return err
	}
	defer h.End()
	h.Login(app(wire.Usual))
	err = real.Eventually(soon, func() error {
		h.Query("select concat('naps: ', count(*)) from information_schema.processlist where info like 'create temporary table nap%'")
		if h.Fault() == nil && !h.Contains("naps: 1") {
			return errors.New("it does not run yet")
		}
		return nil
	})
	h.Query(fmt.Sprintf("kill query %d", id))
	return cmp.Or(err, h.Fault())
}

// askMySQL runs a query on a connection of its own.
func askMySQL(l lane, sql string) {
	h, err := wire.DialMySQL(l.addr)
	if err != nil {
		return
	}
	h.Login(app(wire.Usual))
	h.Query(sql)
	h.End()
}

// binlogDump reads the first events of the oldest log, the same on every connection, as a replica does;
// what else the log holds is left to the end of the connection.
func binlogDump(m *wire.MySQL, _ lane) {
	m.Login(app(wire.Usual))
	m.Query("set @master_binlog_checksum = 'NONE'")
	m.Command(wire.ComRegisterReplica, []byte("\xd7\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	m.Packet()
	m.Command(wire.ComBinlogDump, []byte("\x04\x00\x00\x00\x01\x00\xd7\x00\x00\x00binlog.000001"))
	for range 12 {
		if p := m.Packet(); len(p) > 20 && p[0] == 0 {
			m.Note("an event of type %d", p[5])
		}
	}
	m.Conn.Close()
}

func myLoginCases() []myCase {
	return []myCase{
		{name: "pitfall-68-auth-switch", want: []string{"auth switch", "hello"}, client: func(m *wire.MySQL, _ lane) {
			a := app(wire.Usual)
			a.Plugin = "caching_sha2_password"
			m.Login(a)
			m.Query("select 'hello'")
			m.End()
		}},
		{name: "pitfall-70-greeting", want: []string{"greeting", "MariaDB"}, client: func(m *wire.MySQL, _ lane) {
			m.Login(wire.Account{User: "app", Password: real.Password, Caps: wire.Protocol41 | wire.SecureConnection, Collation: 8})
			m.Query("select database(), @@collation_connection")
			m.End()
		}},
		{name: "pitfall-68-denied", want: []string{"1045", "end of the connection"}, client: func(m *wire.MySQL, _ lane) {
			m.Login(wire.Account{User: "app", Password: "wrong", Caps: wire.Usual})
			m.Closed()
		}},
		{name: "pitfall-68-unknown-database", want: []string{"1049", "end of the connection"}, client: func(m *wire.MySQL, _ lane) {
			a := app(wire.Usual)
			a.Database = "nowhere"
			m.Login(a)
			m.Closed()
		}},
		{name: "pitfall-66-compression", want: []string{"frame", "1146"}, client: func(m *wire.MySQL, l lane) {
			m.Login(app(wire.Usual | wire.Compress | wire.LocalFiles))
			m.Query("select 1")
			m.Query("select repeat('compress me ', 2000)")
			m.Query("select 1; select * from nowhere; select 2")
			m.Query("select md5(seq) from seq_1_to_300")
			m.Query("create temporary table of_lines (a int, b varchar(50))")
			m.Query("load data local infile 'x' into table of_lines")
			m.Write([]byte(strings.Repeat("1\tone line like another\n", 100)))
			m.Write(nil)
			m.Packet()
			m.LongData(4000, 0, strings.Repeat("long ", 500)) // no answer
			m.Query("do " + strings.Repeat("1 + ", 500) + "1")
			m.End()
		}},
	}
}

// myLongCases cross the length at which a packet is split.
func myLongCases() []myCase {
	text := func(n int) string { return strings.Repeat("x", n) }
	split := func(extra int) func(*wire.MySQL, lane) {
		return func(m *wire.MySQL, _ lane) {
			m.Login(app(wire.Usual | wire.DeprecateEOF))
			frame := "select length('')"
			m.Query("select length('" + text(wire.PacketMax-1-len(frame)+extra) + "')")
			m.Query(fmt.Sprintf("select repeat('y', %d)", wire.PacketMax-4+extra)) // 4: the value's length
			m.Query("select 'after'")
			m.End()
		}
	}
	return []myCase{
		{name: "pitfall-64-split-exact", long: true, client: split(0), want: []string{"after", "16777219 bytes"}},
		{name: "pitfall-64-split-three-packets", long: true, client: split(wire.PacketMax), want: []string{"after"}},
		{name: "pitfall-57-long-first-column", long: true, want: []string{"tail"}, client: ql(wire.Usual|wire.DeprecateEOF,
			// The row's first byte is 0xFE, as that of an EOF or OK packet.
			"select repeat('z', 17000000), 'tail' from seq_1_to_2", "select 'tail'")},
		{name: "pitfall-57-long-first-column-eof", long: true, want: []string{"tail"}, client: ql(wire.Usual,
			"select repeat('z', 17000000), 'tail' from seq_1_to_2", "select 'tail'")},
	}
}

func myScriptedCases() []myCase {
	const base = wire.Usual
	// asks is a client that sends one query per answer that it expects.
	asks := func(caps uint64, n int) func(*wire.MySQL, lane) {
		return func(m *wire.MySQL, _ lane) {
			m.Login(app(caps))
			for i := range n {
				m.Query(fmt.Sprint("query ", i))
			}
			m.End()
		}
	}
	answered := make(chan bool, 1)
	return []myCase{
		{name: "pitfall-85-progress-reports", caps: (base | wire.MariaProgress) &^ wire.LongPassword, want: []string{`\xff\xff\xff`, "stage"},
			client: asks((base|wire.MariaProgress)&^wire.LongPassword, 2),
			server: func(p *wire.MyPeer) {
				p.Send(wire.OK(2))
				p.Read()
				p.Send(wire.Progress(1, 2, "stage one"), wire.Progress(2, 2, "stage two"), wire.OK(2))
				p.Read()
				p.Send(wire.Progress(1, 1, "stage"), wire.ERR(1205, "HY000", "too slow"))
				p.Gone()
			}},
		{name: "pitfall-86-error-at-idle", caps: base, want: []string{"4031", "end of the connection"},
			server: func(p *wire.MyPeer) {
				p.Send(wire.OK(2))
				p.Read()
				p.Send(wire.OK(2))
				<-answered // the error is to come by itself, not behind the answer
				p.Reset()
				p.Send(wire.ERR(4031, "HY000", "the client was disconnected by the server because of inactivity"))
			},
			client: func(m *wire.MySQL, _ lane) {
				m.Login(app(base))
				m.Query("one")
				answered <- true
				m.Closed()
			}},
		{name: "pitfall-66-zstd", caps: base | wire.Zstd, want: []string{"frame", "zstd zstd"}, client: func(m *wire.MySQL, _ lane) {
			a := app(base | wire.Zstd)
			a.ZstdLevel = 3
			m.Login(a)
			m.Query("select " + strings.Repeat("much the same ", 100))
			m.Query("select 2")
			m.End()
		}, server: func(p *wire.MyPeer) {
			p.Send(wire.OK(2))
			p.Zstd()
			for range 2 {
				p.Read()
				p.Send([]byte{1}, wire.Column("c"), wire.EOF(2), wire.TextRow([]byte("zstd "+strings.Repeat("zstd ", 60))), wire.EOF(2))
			}
			p.Gone()
		}},
		{name: "pitfall-81-query-attributes", caps: base | wire.QueryAttributes, want: []string{"attributed"}, client: func(m *wire.MySQL, _ lane) {
			m.Login(app(base | wire.QueryAttributes))
			// One attribute, of which the value holds what looks like a KILL.
			attr := "\x01\x01\x00\x01\xfe\x00\x04name\x0fKILL QUERY 4711"
			m.Command(wire.ComQuery, []byte(attr+"select 1"))
			m.Reply()
			m.Command(wire.ComQuery, []byte("\x00\x01select 2"))
			m.Reply()
			m.End()
		}, server: func(p *wire.MyPeer) {
			p.Send(wire.OK(2))
			for range 2 {
				b, _ := p.Read()
				p.Send([]byte{1}, wire.Column("c"), wire.EOF(2), wire.TextRow([]byte("attributed "+string(b[1:]))), wire.EOF(2))
			}
			p.Gone()
		}},
		{name: "pitfall-61-statistics", caps: base, want: []string{"Uptime: 7"}, client: func(m *wire.MySQL, _ lane) {
			m.Login(app(base))
			m.Command(wire.ComStatistics)
			m.Packet()
			m.Query("one")
			m.End()
		}, server: func(p *wire.MyPeer) {
			p.Send(wire.OK(2))
			p.Read()
			p.Send([]byte("Uptime: 7  Threads: 1"))
			p.Read()
			p.Send(wire.OK(2))
			p.Gone()
		}},
		{name: "pitfall-58-status-before-error", caps: base, want: []string{"1064"}, client: asks(base, 2), server: func(p *wire.MyPeer) {
			p.Send(wire.OK(2))
			p.Read()
			p.Send(wire.OK(2|1|8), []byte{1}, wire.Column("c"), wire.EOF(2|8), wire.TextRow([]byte("r")), wire.EOF(2|1|8), wire.ERR(1064, "42000", "wrong"))
			p.Read()
			p.Send(wire.OK(3))
			p.Gone()
		}},
		{name: "pitfall-42-server-vanishes-in-row", caps: base, want: []string{"end of the connection"}, client: asks(base, 1), server: func(p *wire.MyPeer) {
			p.Send(wire.OK(2))
			p.Read()
			p.Send([]byte{1}, wire.Column("c"), wire.EOF(2))
			_, _ = p.Conn.Write([]byte("\x50\x00\x00\x04half a row"))
		}},
	}
}
