package postgres

import (
	"strconv"
	"strings"
)

// The question for what a session keeps at its server beyond transactions. It is one Query:
//
//	SET TRANSACTION …              a default of SERIALIZABLE DEFERRABLE would have it wait
//	SELECT the statement_timeout   as it is, before it is
//	SELECT set_config(…)           put away, for this transaction alone
//	SELECT everything else
//
// All of them are one transaction, which leaves nothing behind, whether it succeeds or fails:
// https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT. Only the unnamed
// statement is gone behind it, as behind any Query, and is put back.
//
// The rows have four columns: what the row is about, and three values in hex, so that client_encoding is of no
// account. Every function, operator, type and table is named with its schema, so that search_path is of none. The
// functions behind the views are called, since a session that has used neither is spared what the views are made of:
// that is most of what the question costs. All of it is in PostgreSQL 11 to 18.
//
// Few sessions need a second question: for the names of types of the database's own, and for what is in the
// session's temporary schema, if it has one.

// What a row of the answer is about, beside what rows of a look are about.
const (
	askTimeout   = 'X' // the statement_timeout in force
	askAway      = 'Z' // the statement_timeout has been put away
	askStatement = 'P' // name, text and, behind "s" for SQL's PREPARE or "p" for Parse, types of a prepared statement
	askSlot      = 'O' // there is a temporary replication slot
	askMaybeTemp = 'M' // there is a temporary schema
	askType      = 'Y' // OID and name of a type
)

// The parts of the question. The value of a setting that is the transaction's alone is not asked for, and that of
// statement_timeout is known already.
//
// https://www.postgresql.org/docs/current/views.html
const (
	sqlAskBegin = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED,READ ONLY;" +
		"SELECT 'X'::pg_catalog.text,''," + sqlHex + "pg_catalog.current_setting('statement_timeout')" + sqlHexDone + ",'';" +
		"SELECT 'Z'::pg_catalog.text,'','',pg_catalog.set_config('statement_timeout','0',true);"

	sqlAskName = sqlHex + "s.name" + sqlHexDone + "," + sqlHex + sqlValue + sqlHexDone +
		",'' FROM pg_catalog.pg_show_all_settings()s WHERE"
	sqlAskOwn      = sqlOwn + " AND s.name OPERATOR(pg_catalog.<>)'statement_timeout'"
	sqlAskSettings = "'S'::pg_catalog.text," + sqlAskName + " s.source OPERATOR(pg_catalog.=)'session'" + sqlAskOwn
	// With names to ask for, modules' settings come too, by name: they are no client's own.
	sqlAskDefined = "CASE WHEN s.source OPERATOR(pg_catalog.=)'session' THEN 'S' ELSE 'K' END," + sqlAskName +
		"(s.source OPERATOR(pg_catalog.=)'session' OR pg_catalog.strpos(s.name,'.')OPERATOR(pg_catalog.>)0)" + sqlAskOwn
	sqlAskCustom     = "'C'::pg_catalog.text,n.i," + sqlHex + "n.v" + sqlHexDone + ",'' FROM(VALUES"
	sqlAskCustomDone = ")n(i,v)WHERE n.v IS NOT NULL"

	sqlAskStatements = "'P'::pg_catalog.text," + sqlHex + "p.name" + sqlHexDone + "," + sqlHex + "p.statement" + sqlHexDone +
		"," + sqlHex + "CASE WHEN p.from_sql THEN 's' ELSE 'p' END OPERATOR(pg_catalog.||)pg_catalog.array_to_string(" +
		"p.parameter_types::pg_catalog.oid[],' ')" + sqlHexDone + " FROM pg_catalog.pg_prepared_statement()p"
)

// askPins are the parts of the question for what binds a session to its server. A temporary replication slot goes
// with its session: https://www.postgresql.org/docs/current/view-pg-replication-slots.html.
var askPins = [...]string{
	"'L'::pg_catalog.text,'','','' WHERE EXISTS(SELECT FROM pg_catalog.pg_lock_status()l " +
		"WHERE l.locktype OPERATOR(pg_catalog.=)'advisory' AND l.pid OPERATOR(pg_catalog.=)pg_catalog.pg_backend_pid())",
	"'M'::pg_catalog.text,'','','' WHERE pg_catalog.pg_my_temp_schema()OPERATOR(pg_catalog.<>)0::pg_catalog.oid",
	"'H'::pg_catalog.text,'','','' WHERE EXISTS(SELECT FROM pg_catalog.pg_cursor()c WHERE c.is_holdable)",
	"'N'::pg_catalog.text,'','','' WHERE EXISTS(SELECT FROM pg_catalog.pg_listening_channels())",
	"'O'::pg_catalog.text,'','','' WHERE EXISTS(SELECT FROM pg_catalog.pg_get_replication_slots()r " +
		"WHERE r.temporary AND r.active_pid OPERATOR(pg_catalog.=)pg_catalog.pg_backend_pid())",
}

// appendQuestion appends the text of the question. names are those of the client's own settings.
func appendQuestion(dst []byte, names *customNames) []byte {
	dst = append(dst, sqlAskBegin...)
	join := "SELECT "
	add := func(parts ...string) {
		dst = append(dst, join...)
		for _, p := range parts {
			dst = append(dst, p...)
		}
		join = " UNION ALL SELECT "
	}
	if names.count() == 0 {
		add(sqlAskSettings)
	} else {
		add(sqlAskDefined)
		add(sqlAskCustom)
		dst = append(appendNames(dst, names), sqlAskCustomDone...)
	}
	add(sqlRole, ",''")
	add(sqlUser, ",''")
	add(sqlAskStatements)
	for _, sql := range askPins {
		add(sql)
	}
	return dst
}

// The parts of the second question.
const (
	sqlAskTypes = "'Y'::pg_catalog.text,y.oid::pg_catalog.text," + sqlHex + "pg_catalog.quote_ident(n.nspname)" +
		"OPERATOR(pg_catalog.||)'.'OPERATOR(pg_catalog.||)pg_catalog.quote_ident(y.typname)" + sqlHexDone +
		",'' FROM pg_catalog.pg_type y JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=)y.typnamespace " +
		"WHERE y.oid OPERATOR(pg_catalog.=)ANY('{"
	sqlAskTypesDone = "}'::pg_catalog.oid[])"
)

// sqlAskTemp is the part of a look for temporary things, with a column more.
var sqlAskTemp = strings.Replace(sqlTemp, "'',''", "'','',''", 1)

// appendDetails appends the text of the second question. types are OIDs of types whose names are wanted; temp has what
// is in the temporary schema looked at.
func appendDetails(dst []byte, types []uint32, temp bool) []byte {
	dst = append(append(dst, sqlAskBegin...), "SELECT "...)
	if len(types) > 0 {
		dst = append(dst, sqlAskTypes...)
		for i, oid := range types {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendUint(dst, uint64(oid), 10)
		}
		dst = append(dst, sqlAskTypesDone...)
	}
	if len(types) > 0 && temp {
		dst = append(dst, " UNION ALL SELECT "...)
	}
	if temp {
		dst = append(dst, sqlAskTemp...)
	}
	return dst
}
