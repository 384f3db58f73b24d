package postgres

import "sluice/codec"

// endings are what is noted of transaction blocks, so that the loss of a server can be told for what it is. Nothing
// but COMMIT, ROLLBACK and their like ends a block: neither functions nor procedures nor DO can.
//
// https://www.postgresql.org/docs/current/plpgsql-transactions.html
type endings struct {
	due   bool // something that is owed may end a block
	named bool // there is a named statement that may
	opens bool // the last Query of what is owed is a BEGIN
}

var _ codec.Witness = (*movable)(nil)

// Undone tells that nothing that is owed can have changed anything for good: it stands in a transaction block whose
// end has not been asked for, or is a BEGIN alone.
func (m *movable) Undone() bool {
	if m.endings.due || m.gather != nil {
		return false
	}
	return m.tx != codec.TxIdle || m.endings.opens && m.Owed() == 1
}
