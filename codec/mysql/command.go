package mysql

import "sluice/codec"

// reply is the shape of the answer to a command.
type reply uint8

const (
	replyOne    reply = iota // one message: OK, ERR or EOF
	replyNone                // nothing ever comes
	replyQuery               // OK, ERR, LOCAL INFILE or result sets, one or several
	replyRows                // rows until EOF: column definitions or the rows of a cursor
	replyStmt                // PREPARE_OK and definitions, or ERR
	replyText                // one message that is a bare string, or ERR
	replyAuth                // an authentication dialogue up to OK or ERR
	replyEvents              // binary log events until EOF or ERR, which may never come
	replyOpaque              // from here on the connection speaks something else
	replyRefuse              // can't be followed: the connection has to end
)

// Bytes of commands that are more than a row of the table.
const (
	comQuit           = 0x01
	comInitDB         = 0x02
	comQuery          = 0x03
	comStatistics     = 0x09
	comProcessKill    = 0x0c
	comPing           = 0x0e
	comChangeUser     = 0x11
	comRegisterSlave  = 0x15
	comStmtPrepare    = 0x16
	comStmtExecute    = 0x17
	comStmtLongData   = 0x18
	comStmtClose      = 0x19
	comStmtReset      = 0x1a
	comSetOption      = 0x1b
	comStmtFetch      = 0x1c
	comResetConn      = 0x1f
	comBulkExecute    = 0xfa
	comMulti          = 0xfe
	comSubscribeGroup = 0x21 // the last of MySQL's own
)

// command is one row of the table: what a command byte means.
type command struct {
	name  string // label of its kind
	reply reply
	stmt  bool // a statement id follows the command byte
}

// commands is the command phase, one row for each command byte of MySQL, with the byte as the index.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html
var commands = [...]command{
	0x00:              {name: "sleep"}, // internal to servers; answered by ERR, as are others below
	comQuit:           {name: "quit", reply: replyNone},
	comInitDB:         {name: "init_db"},
	comQuery:          {name: "query", reply: replyQuery},
	0x04:              {name: "field_list", reply: replyRows},
	0x05:              {name: "create_db"},
	0x06:              {name: "drop_db"},
	0x07:              {name: "refresh"},
	0x08:              {name: "shutdown"},
	comStatistics:     {name: "statistics", reply: replyText},
	0x0a:              {name: "process_info", reply: replyQuery},
	0x0b:              {name: "connect"},
	comProcessKill:    {name: "process_kill"},
	0x0d:              {name: "debug"},
	comPing:           {name: "ping"},
	0x0f:              {name: "time"},
	0x10:              {name: "delayed_insert"},
	comChangeUser:     {name: "change_user", reply: replyAuth},
	0x12:              {name: "binlog_dump", reply: replyEvents},
	0x13:              {name: "table_dump", reply: replyEvents},
	0x14:              {name: "connect_out"},
	comRegisterSlave:  {name: "register_slave"},
	comStmtPrepare:    {name: "stmt_prepare", reply: replyStmt},
	comStmtExecute:    {name: "stmt_execute", reply: replyQuery, stmt: true},
	comStmtLongData:   {name: "stmt_send_long_data", reply: replyNone, stmt: true},
	comStmtClose:      {name: "stmt_close", reply: replyNone, stmt: true},
	comStmtReset:      {name: "stmt_reset", stmt: true},
	comSetOption:      {name: "set_option"},
	comStmtFetch:      {name: "stmt_fetch", reply: replyRows, stmt: true},
	0x1d:              {name: "daemon"},
	0x1e:              {name: "binlog_dump_gtid", reply: replyEvents},
	comResetConn:      {name: "reset_connection"},
	0x20:              {name: "clone", reply: replyOpaque},
	comSubscribeGroup: {name: "subscribe_group_replication_stream", reply: replyOpaque},
	// MariaDB's, whose byte lies outside the table.
	kindBulk:  {name: "stmt_bulk_execute", reply: replyQuery, stmt: true},
	kindMulti: {name: "multi", reply: replyRefuse},
	kindOther: {name: "other"}, // unknown: forwarded, one message is expected as its answer
}

// Kinds of commands whose byte is not their index.
const (
	kindBulk codec.Kind = comSubscribeGroup + 1 + iota
	kindMulti
	kindOther
)

// kindOf returns the row of commands for a command byte.
//
// https://mariadb.com/kb/en/com_stmt_bulk_execute/
func kindOf(b byte) codec.Kind {
	switch {
	case b <= comSubscribeGroup:
		return codec.Kind(b)
	case b == comBulkExecute:
		return kindBulk
	case b == comMulti:
		return kindMulti
	}
	return kindOther
}

// kindNames are the names of commands in order.
var kindNames = func() []string {
	names := make([]string, len(commands))
	for i, c := range commands {
		names[i] = c.name
	}
	return names
}()
