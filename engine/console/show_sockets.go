package console

import (
	"fmt"
	"slices"
	"time"
)

// socketColumns are those of SHOW CLIENTS and SHOW SERVERS.
var socketColumns = columns("type text", "user text", "database text", "replication text", "state text",
	"addr text", "port int", "local_addr text", "local_port int", "connect_time text", "request_time text",
	"wait int", "wait_us int", "close_needed int", "ptr text", "link text", "remote_pid int", "tls text",
	"application_name text", "prepared_statements int", "id big")

// allSocketColumns are those of SHOW SOCKETS.
var allSocketColumns = slices.Concat(socketColumns, columns("recv_pos int", "pkt_pos int", "pkt_remain int",
	"send_pos int", "send_remain int", "pkt_avail int", "send_avail int"))

// clientName and serverName stand for the addresses in memory by which PgBouncer links the two sides.
func clientName(id uint64) string { return linkName('c', id) }
func serverName(id uint64) string { return linkName('s', id) }

func linkName(kind byte, id uint64) string {
	if id == 0 {
		return ""
	}
	return fmt.Sprintf("%c%d", kind, id)
}

// row returns the columns that both sides have, with the values that differ.
func (s *Socket) row(kind, state string, wait time.Duration, closing bool, ptr, link string, pid uint32) []any {
	user, database := s.User, s.Database
	if user == "" {
		user = "(nouser)"
	}
	if database == "" {
		database = "(nodb)"
	}
	return []any{kind, user, database, s.Replication, state,
		s.Addr.Addr().Unmap().String(), number(int(s.Addr.Port())), s.Local.Addr().Unmap().String(), number(int(s.Local.Port())),
		moment(s.Since), moment(s.Asked), seconds(wait), micros(wait), flag(closing), ptr, link,
		int64(int32(pid)), s.TLS, // a process id beyond 2^31 looks as it does in any signed column
		s.ApplicationName, number(s.Prepared), number(s.ID)}
}

func (k *Client) row(state string) []any {
	return k.Socket.row("C", state, k.Wait, false, clientName(k.ID), serverName(k.Server), 0)
}

func (k *Server) row(state string) []any {
	return k.Socket.row("S", state, 0, k.Closing, serverName(k.ID), clientName(k.Client), k.PID)
}

// clients leaves out those that are not logged in yet, as PgBouncer does, and its own.
func (c *Console) clients(Who) [][]any {
	var rows [][]any
	for _, k := range c.src.Clients() {
		if k.State != "login" && k.State != "console" {
			rows = append(rows, k.row(k.State))
		}
	}
	return rows
}

func (c *Console) servers(Who) [][]any {
	var rows [][]any
	for _, k := range c.src.Servers() {
		rows = append(rows, k.row(k.State))
	}
	return rows
}

func (c *Console) sockets(Who) [][]any       { return c.allSockets(false) }
func (c *Console) activeSockets(Who) [][]any { return c.allSockets(true) }

// allSockets are both sides; of the positions in buffers only what waits is known.
func (c *Console) allSockets(active bool) [][]any {
	var rows [][]any
	add := func(s *Socket, row []any) {
		if !active || s.Read+s.Buffered > 0 {
			zero := int64(0)
			rows = append(rows, append(row, zero, zero, zero, zero, zero, number(s.Read), number(s.Buffered)))
		}
	}
	for _, k := range c.src.Clients() {
		if k.State != "console" {
			add(&k.Socket, k.row("cl_"+k.State))
		}
	}
	for _, k := range c.src.Servers() {
		state := k.State
		if state == "new" {
			state = "login"
		}
		add(&k.Socket, k.row("sv_"+state))
	}
	return rows
}

var sessionColumns = columns("id big", "listener text", "user text", "database text", "client text", "state text",
	"pin text", "transaction text", "owed int", "wait_ms big", "backend text", "server text", "connect_time text",
	"tls text", "application_name text", "prepared_statements int", "loop int")

// sessions is what SHOW CLIENTS has no columns for.
func (c *Console) sessions(Who) [][]any {
	var rows [][]any
	for _, k := range c.src.Clients() {
		rows = append(rows, []any{number(k.ID), k.Listener, k.User, k.Database, k.Addr.String(), k.State,
			optional(k.Pin), optional(k.Transaction), number(k.Owed), k.Wait.Milliseconds(), optional(k.Backend),
			optional(serverName(k.Server)), moment(k.Since), optional(k.TLS), k.ApplicationName,
			number(k.Prepared), number(k.Loop)})
	}
	return rows
}
