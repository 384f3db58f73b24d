package guard

import (
	"net"

	"sluice/bench/e2e/wire"
)

// load is one shape of query: always the same request and the same answer, to the byte.
type load struct {
	name            string
	protocol        string
	request, answer []byte
	// accept lets a client in that has connected to the backend. ok is false for a health check,
	// which has then been answered.
	accept func(net.Conn) (ok bool)
	// login starts a session as a client at addr.
	login func(addr string) (net.Conn, error)
	// pool is how many server connections the clients share. Sluice then says to the backend what it
	// wants to say, and reply answers a message of it, or tells why it is not what is due.
	pool  int
	reply func(kind byte, body []byte) (answer []byte, err error)
}

// loads are what the guard counts: the shapes of a point select as pgbench and sysbench send it.
var loads = []load{
	{
		name: "pg-prepared", protocol: "postgres",
		request: wire.Join(wire.Bind("", "P0_1", "4711"), wire.Describe('P', ""), wire.Execute("", 0), wire.Sync()),
		answer: wire.Join(wire.Msg('2', nil), rowDescription("abalance"), dataRow("-1234"),
			wire.Msg('C', []byte("SELECT 1\x00")), wire.Ready('I')),
		accept: acceptPG, login: loginPG,
	},
	{
		name: "my-text", protocol: "mysql",
		request: wire.Packet(0, append([]byte{wire.ComQuery}, "SELECT c FROM sbtest1 WHERE id=4711"...)),
		answer: wire.Join(wire.Packet(1, []byte{1}), wire.Packet(2, wire.Column("c")), wire.Packet(3, wire.EOF(2)),
			wire.Packet(4, wire.TextRow(make([]byte, 119))), wire.Packet(5, wire.EOF(2))),
		accept: acceptMySQL, login: loginMySQL,
	},
}

// further are loads that are counted busy on one loop only: the other way in which each protocol is spoken. With
// loads they show what it costs that each text is looked at, and each statement.
var further = []load{
	{
		name: "pg-text", protocol: "postgres",
		request: wire.Msg('Q', []byte("SELECT abalance FROM pgbench_accounts WHERE aid = 4711;\x00")),
		answer: wire.Join(rowDescription("abalance"), dataRow("-1234"),
			wire.Msg('C', []byte("SELECT 1\x00")), wire.Ready('I')),
		accept: acceptPG, login: loginPG,
	},
	{
		name: "my-prepared", protocol: "mysql",
		request: wire.Packet(0, append([]byte{wire.ComStmtExecute}, wire.ExecuteArgs(1, false, "4711")...)),
		answer: wire.Join(wire.Packet(1, []byte{1}), wire.Packet(2, wire.Column("c")), wire.Packet(3, wire.EOF(2)),
			wire.Packet(4, append([]byte{0, 0}, wire.TextRow(make([]byte, 119))...)), wire.Packet(5, wire.EOF(2))),
		accept: func(c net.Conn) bool {
			if !acceptMySQL(c) {
				return false
			}
			prepare := wire.Packet(0, append([]byte{wire.ComStmtPrepare}, prepared...))
			if receive(c, make([]byte, len(prepare)), prepare) != nil {
				return false
			}
			return send(c, wire.Join(wire.Packet(1, []byte{0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0}),
				wire.Packet(2, wire.Column("?")), wire.Packet(3, wire.EOF(2)),
				wire.Packet(4, wire.Column("c")), wire.Packet(5, wire.EOF(2)))) == nil
		},
		login: func(addr string) (net.Conn, error) {
			c, err := dialMySQL(addr)
			if err != nil {
				return nil, err
			}
			c.Prepare(prepared)
			return c.Conn, c.Fault()
		},
	},
}

// prepared is the statement of my-prepared.
const prepared = "SELECT c FROM sbtest1 WHERE id=?"

// rowDescription describes one column of the type int4.
// https://www.postgresql.org/docs/current/protocol-message-formats.html
func rowDescription(name string) []byte {
	b := append([]byte{0, 1}, name...)
	return wire.Msg('T', append(b, 0,
		0, 0, 0x40, 0, 0, 3, // table and column
		0, 0, 0, 23, 0, 4, 0xff, 0xff, 0xff, 0xff, // type
		0, 0)) // text
}

// dataRow is a row of one value.
func dataRow(value string) []byte {
	return wire.Msg('D', append([]byte{0, 1, 0, 0, 0, byte(len(value))}, value...))
}

func acceptPG(c net.Conn) bool {
	p, ok := wire.AcceptPG(c)
	if ok {
		p.Welcome()
	}
	return ok
}

func loginPG(addr string) (net.Conn, error) {
	c, err := wire.DialPG(addr)
	if err != nil {
		return nil, err
	}
	c.Login()
	return c.Conn, c.Fault()
}

func acceptMySQL(c net.Conn) bool {
	p, ok := wire.AcceptMySQL(c, wire.Usual)
	if ok {
		p.Send(wire.OK(2))
	}
	return ok
}

func loginMySQL(addr string) (net.Conn, error) {
	c, err := dialMySQL(addr)
	if err != nil {
		return nil, err
	}
	return c.Conn, c.Fault()
}

func dialMySQL(addr string) (*wire.MySQL, error) {
	c, err := wire.DialMySQL(addr)
	if err != nil {
		return nil, err
	}
	c.Login(wire.Account{User: "app", Database: "app", Caps: wire.Usual, Collation: 45})
	return c, c.Fault()
}
