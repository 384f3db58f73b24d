package postgres

import "strconv"

// A look asks the server what its session keeps beyond a transaction. The server's own word is the only
// one to go by: functions set things without a trace in a statement's text, and what a transaction set
// is gone when it is rolled back.
//
// It is one SELECT with rows of three columns: what the row is about, a name, and a value in hex, so
// that client_encoding is of no account. It names every function, operator and table with its schema,
// so that search_path is of none. All of it is in PostgreSQL 11 to 18:
// https://www.postgresql.org/docs/11/views-overview.html,
// https://www.postgresql.org/docs/current/views-overview.html.
//
// Each section has its price, in microseconds beyond the 40 of the smallest query (PostgreSQL 15, two
// cores that others use too): settings 1,360, with names of the client's own 2,240; one setting by its
// name 10; locks 130; temporary things 25; cursors 40; prepared statements 105; channels 10. So only those
// that are called for are asked.

// What a row of a look is about.
const (
	lookSetting  = 'S' // name and value of a setting that the session has set
	lookDefined  = 'K' // name of a setting that a loaded module has defined
	lookCustom   = 'C' // number of an asked name, and the value of that setting
	lookRole     = 'R' // value of the setting "role"
	lookUser     = 'U' // session user
	lookLock     = 'L' // there is an advisory lock
	lookTemp     = 'T' // there is something temporary
	lookCursor   = 'H' // there is a cursor WITH HOLD
	lookPrepared = 'P' // there is a statement by SQL's PREPARE that is not Sluice's
	lookListen   = 'N' // a channel is listened to
)

// The settings: those that were set in the session, but for those that are the transaction's alone
// (SET TRANSACTION). With names to ask for, modules' settings come too, by name. What SET ROLE and SET
// SESSION AUTHORIZATION did is not among pg_settings.
//
// https://www.postgresql.org/docs/current/view-pg-settings.html
const (
	sqlHex     = "pg_catalog.encode(pg_catalog.convert_to("
	sqlHexDone = ",pg_catalog.getdatabaseencoding()),'hex')"
	// sqlValue is a setting's value with its unit, as current_setting and ParameterStatus have it.
	sqlValue = "pg_catalog.current_setting(s.name)"

	sqlSettings = "'S'::pg_catalog.text,s.name," + sqlHex + sqlValue + sqlHexDone +
		" FROM pg_catalog.pg_settings s WHERE s.source OPERATOR(pg_catalog.=)'session'" + sqlOwn
	sqlDefined = "CASE WHEN s.source OPERATOR(pg_catalog.=)'session' THEN 'S' ELSE 'K' END,s.name," +
		sqlHex + sqlValue + sqlHexDone + " FROM pg_catalog.pg_settings s WHERE(s.source " +
		"OPERATOR(pg_catalog.=)'session' OR pg_catalog.strpos(s.name,'.')OPERATOR(pg_catalog.>)0)" + sqlOwn
	sqlOwn = " AND s.name OPERATOR(pg_catalog.<>)ALL('{transaction_isolation,transaction_read_only," +
		"transaction_deferrable}'::pg_catalog.text[])"

	sqlRole = "'R'::pg_catalog.text,''," + sqlHex + "pg_catalog.current_setting('role')" + sqlHexDone
	sqlUser = "'U'::pg_catalog.text,''," + sqlHex + "SESSION_USER::pg_catalog.text" + sqlHexDone

	sqlCustom     = "'C'::pg_catalog.text,n.i," + sqlHex + "n.v" + sqlHexDone + " FROM(VALUES"
	sqlCustomDone = ")n(i,v)WHERE n.v OPERATOR(pg_catalog.<>)''"
)

// The reasons for a pin. A session's temporary schema has an entry in pg_depend for whatever is in it,
// by which the server itself finds what DISCARD TEMP has to drop, and there is an index on it.
//
//   - https://www.postgresql.org/docs/current/view-pg-locks.html
//   - https://www.postgresql.org/docs/current/catalog-pg-depend.html
//   - https://www.postgresql.org/docs/current/view-pg-cursors.html
//   - https://www.postgresql.org/docs/current/view-pg-prepared-statements.html
//   - https://www.postgresql.org/docs/current/functions-info.html
const (
	sqlLocks = "'L'::pg_catalog.text,'',''WHERE EXISTS(SELECT FROM pg_catalog.pg_locks l " +
		"WHERE l.locktype OPERATOR(pg_catalog.=)'advisory' AND l.pid OPERATOR(pg_catalog.=)pg_catalog.pg_backend_pid())"
	sqlTemp = "'T'::pg_catalog.text,'',''WHERE EXISTS(SELECT FROM pg_catalog.pg_depend d " +
		"WHERE d.refclassid OPERATOR(pg_catalog.=)'pg_catalog.pg_namespace'::pg_catalog.regclass " +
		"AND d.refobjid OPERATOR(pg_catalog.=)pg_catalog.pg_my_temp_schema())"
	sqlCursors  = "'H'::pg_catalog.text,'',''WHERE EXISTS(SELECT FROM pg_catalog.pg_cursors c WHERE c.is_holdable)"
	sqlPrepared = "'P'::pg_catalog.text,'',''WHERE EXISTS(SELECT FROM pg_catalog.pg_prepared_statements p " +
		`WHERE p.from_sql AND pg_catalog."left"(p.name,7)OPERATOR(pg_catalog.<>)'` + namePrefix + "')"
	sqlListen = "'N'::pg_catalog.text,'',''WHERE EXISTS(SELECT FROM pg_catalog.pg_listening_channels())"
)

// lookSections are the parts of a look for each of the words that ask for them.
var lookSections = [...]struct {
	word words
	sql  string
}{
	{wordLocks, sqlLocks},
	{wordTemp, sqlTemp},
	{wordCursors, sqlCursors},
	{wordPrepared, sqlPrepared},
	{wordListen, sqlListen},
}

// appendLook appends the text of a look at the sections in w. names are those of the client's own
// settings, which pg_settings does not list.
func appendLook(dst []byte, w words, names *customNames) []byte {
	join := "SELECT "
	add := func(sql string) {
		dst = append(dst, join...)
		dst = append(dst, sql...)
		join = " UNION ALL SELECT "
	}
	if w&wordSettings != 0 && names.count() == 0 {
		add(sqlSettings)
	}
	if w&wordSettings != 0 && names.count() > 0 {
		add(sqlDefined)
	}
	if w&(wordSettings|wordNamed) != 0 && names.count() > 0 {
		add(sqlCustom)
		dst = appendNames(dst, names)
		dst = append(dst, sqlCustomDone...)
	}
	if w&wordSettings != 0 {
		add(sqlRole)
		add(sqlUser)
	}
	for _, s := range lookSections {
		if w&s.word != 0 {
			add(s.sql)
		}
	}
	return dst
}

// appendNames appends the rows of a VALUES list: number and value of each asked setting.
func appendNames(dst []byte, names *customNames) []byte {
	for i := range names.count() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, "('"...)
		dst = strconv.AppendInt(dst, int64(i), 10)
		dst = append(dst, "',pg_catalog.current_setting("...)
		dst = appendText(dst, names.name(i))
		dst = append(dst, ",true))"...)
	}
	return dst
}
