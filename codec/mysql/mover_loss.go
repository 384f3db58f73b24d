package mysql

import "sluice/codec"

var _ codec.Witness = (*Mover)(nil)

// Undone tells that what is owed can have changed nothing for good: it is a command that changes no rows, or a BEGIN
// behind which nothing has been sent, or, at TiDB, a statement that only reads, or one that stands in a transaction and
// can't end it.
//
// MySQL and MariaDB are not trusted that far: a statement may change a table that takes no part in transactions, and
// each SELECT may call a function that does, by a view. TiDB has neither, so that all that a statement leaves behind is
// what it took of a sequence, and the file of an INTO OUTFILE.
//
//   - https://dev.mysql.com/doc/refman/8.0/en/nontransactional-tables.html
//   - https://docs.pingcap.com/tidb/stable/mysql-compatibility#unsupported-features
func (m *Mover) Undone() bool {
	if m.owed.n != 1 || m.later {
		return false
	}
	c := m.owed.head()
	switch c.kind {
	case comPing, comStatistics, comInitDB, comStmtPrepare, comStmtReset, comStmtFetch, comSetOption, comResetConn:
		return true
	case comStmtExecute:
		flags := m.open.of(m.statement(c.stmt))
		return m.kind == kindTiDB && flags&(openHidden|openTouches) == 0 && m.within()
	case comQuery:
	default:
		return false
	}
	switch {
	case c.loud:
		return false
	case c.verb&verbBegins != 0:
		return m.facts.status&statusInTrans == 0 && !m.erred
	case m.kind != kindTiDB:
		return false
	}
	return c.verb == verbReads || c.verb == verbWrites && m.within()
}

// within tells that a transaction is open for sure, and holds all of what the next statement does. An ERR may have
// ended one, such as that of a deadlock.
func (m *Mover) within() bool {
	return m.facts.status&statusInTrans != 0 && !m.erred && !m.batches
}

// noteBatch notes that the client may have had TiDB commit a transaction, or a statement, in parts. Variables of that
// kind have no global value.
//
// https://docs.pingcap.com/tidb/stable/system-variables#tidb_batch_commit
func (m *Mover) noteBatch(c *owedCommand, text []byte, whole bool) {
	if c.verb&verbHides != 0 && !m.batches {
		m.batches = !whole || containsFold(text, "batch")
	}
}
