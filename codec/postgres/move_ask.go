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
// account. Every function, operator, type and table is named with its schema, so that search_path is of none.
// All of it is in PostgreSQL 11 to 18.

// What a row of the answer is about, beside what rows of a look are about.
const (
	askTimeout   = 'X' // the statement_timeout in force
	askAway      = 'Z' // the statement_timeout has been put away
	askStatement = 'P' // name, text and, behind "s" for SQL's PREPARE or "p" for Parse, types of a prepared statement
	askSlot      = 'O' // there is a temporary replication slot
	askType      = 'Y' // number of a type in the question, and its name or its OID
)

// The parts of the question. The value of a setting that is the transaction's alone is not asked for, and that of
// statement_timeout is known already.
const (
	sqlAskBegin = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED,READ ONLY;" +
		"SELECT 'X'::pg_catalog.text,''," + sqlHex + "pg_catalog.current_setting('statement_timeout')" + sqlHexDone + ",'';" +
		"SELECT 'Z'::pg_catalog.text,'','',pg_catalog.set_config('statement_timeout','0',true);"

	sqlAskName     = sqlHex + "s.name" + sqlHexDone + "," + sqlHex + sqlValue + sqlHexDone + ",'' FROM pg_catalog.pg_settings s WHERE"
	sqlAskOwn      = sqlOwn + " AND s.name OPERATOR(pg_catalog.<>)'statement_timeout'"
	sqlAskSettings = "'S'::pg_catalog.text," + sqlAskName + " s.source OPERATOR(pg_catalog.=)'session'" + sqlAskOwn
	// With names to ask for, modules' settings come too, by name: they are no client's own.
	sqlAskDefined = "CASE WHEN s.source OPERATOR(pg_catalog.=)'session' THEN 'S' ELSE 'K' END," + sqlAskName +
		"(s.source OPERATOR(pg_catalog.=)'session' OR pg_catalog.strpos(s.name,'.')OPERATOR(pg_catalog.>)0)" + sqlAskOwn
	sqlAskCustom     = "'C'::pg_catalog.text,n.i," + sqlHex + "n.v" + sqlHexDone + ",'' FROM(VALUES"
	sqlAskCustomDone = ")n(i,v)WHERE n.v IS NOT NULL"

	sqlAskStatements = "'P'::pg_catalog.text," + sqlHex + "p.name" + sqlHexDone + "," + sqlHex + "p.statement" + sqlHexDone +
		"," + sqlHex + "CASE WHEN p.from_sql THEN 's' ELSE 'p' END OPERATOR(pg_catalog.||)pg_catalog.array_to_string(ARRAY(" +
		"SELECT CASE WHEN u.t::pg_catalog.oid OPERATOR(pg_catalog.<)" + firstOwnType +
		" THEN u.t::pg_catalog.oid::pg_catalog.text ELSE COALESCE(" + sqlTypeName + ",'?')END " +
		"FROM pg_catalog.unnest(p.parameter_types)WITH ORDINALITY u(t,i)" + sqlTypeJoin +
		" ORDER BY u.i),' ')" + sqlHexDone + " FROM pg_catalog.pg_prepared_statements p"

	// sqlTypeName is a type's name with its schema, in hex once more: it may hold anything.
	sqlTypeName = sqlHex + "pg_catalog.quote_ident(n.nspname)OPERATOR(pg_catalog.||)'.'OPERATOR(pg_catalog.||)" +
		"pg_catalog.quote_ident(y.typname)" + sqlHexDone
	sqlTypeJoin = " LEFT JOIN pg_catalog.pg_type y ON y.oid OPERATOR(pg_catalog.=)u.t::pg_catalog.oid" +
		" LEFT JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=)y.typnamespace"
	sqlAskTypes     = "'Y'::pg_catalog.text,u.i::pg_catalog.text,COALESCE(" + sqlTypeName + ",''),'' FROM(VALUES"
	sqlAskTypesDone = ")u(i,t)" + sqlTypeJoin

	// firstOwnType is the first OID of a type that has been made in the database: those of the server's own are
	// the same everywhere.
	//
	// https://www.postgresql.org/docs/current/system-catalog-initial-data.html#SYSTEM-CATALOG-OID-ASSIGNMENT
	firstOwnType = "16384"

	// A temporary replication slot goes with its session:
	// https://www.postgresql.org/docs/current/view-pg-replication-slots.html
	sqlAskSlots = "'O'::pg_catalog.text,'',''WHERE EXISTS(SELECT FROM pg_catalog.pg_replication_slots r " +
		"WHERE r.temporary AND r.active_pid OPERATOR(pg_catalog.=)pg_catalog.pg_backend_pid())"
)

// appendQuestion appends the text of the question. names are those of the client's own settings; types are OIDs
// of types whose names are wanted.
func appendQuestion(dst []byte, names *customNames, types []uint32) []byte {
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
	if len(types) > 0 {
		add(sqlAskTypes)
		for i, oid := range types {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, '(')
			dst = strconv.AppendInt(dst, int64(i), 10)
			dst = append(dst, ",'"...)
			dst = strconv.AppendUint(dst, uint64(oid), 10)
			dst = append(dst, "'::pg_catalog.oid)"...)
		}
		dst = append(dst, sqlAskTypesDone...)
	}
	for _, sql := range askPins {
		add(sql)
	}
	return dst
}

// askPins are the sections of the question for what binds a session to its server. Those of a look have a column
// less.
var askPins = func() (list []string) {
	for _, sql := range [...]string{sqlLocks, sqlTemp, sqlCursors, sqlListen, sqlAskSlots} {
		list = append(list, strings.Replace(sql, "'',''", "'','',''", 1))
	}
	return list
}()
