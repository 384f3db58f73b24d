package mysql

// maxOpenStatements bounds the statements that are remembered for having something open. A session
// that passes it is taken as busy until its statements are all dropped (COM_RESET_CONNECTION,
// COM_CHANGE_USER): the follower no longer knows, and a safe point must be sure.
const maxOpenStatements = 256

// lastStatement is the id by which MariaDB's clients name the statement prepared last, so that they can
// send PREPARE and EXECUTE in one go.
//
// https://mariadb.com/kb/en/com_stmt_execute/
const lastStatement = 0xffffffff

// openFlags say what a statement has open.
type openFlags uint8

const (
	openCursor   openFlags = 1 << iota // rows are still to be fetched
	openLongData                       // a parameter was sent ahead of its EXECUTE
	openHidden                         // not open: its text may begin a transaction and then fail
	openTouches                        // not open: its text may change the session (Mover)
)

// openStatement is a statement with something open.
type openStatement struct {
	id    uint32
	flags openFlags
}

// openStatements remembers which statements have something open. Most sessions never have one.
type openStatements struct {
	list []openStatement
	lost openFlags // could not be noted for some statement: taken as open in all of them
}

// has tells whether any statement has one of these open.
func (o *openStatements) has(f openFlags) bool {
	if o.lost&f != 0 {
		return true
	}
	for _, s := range o.list {
		if s.flags&f != 0 {
			return true
		}
	}
	return false
}

// of returns what the statement has open.
func (o *openStatements) of(id uint32) openFlags {
	for _, s := range o.list {
		if s.id == id {
			return s.flags | o.lost
		}
	}
	return o.lost
}

// set notes that the statement has f open.
func (o *openStatements) set(id uint32, f openFlags) {
	for i := range o.list {
		if o.list[i].id == id {
			o.list[i].flags |= f
			return
		}
	}
	if len(o.list) == maxOpenStatements {
		o.lost |= f
		return
	}
	o.list = append(o.list, openStatement{id, f})
}

// clear notes that the statement no longer has f open.
func (o *openStatements) clear(id uint32, f openFlags) {
	for i := range o.list {
		if o.list[i].id != id {
			continue
		}
		if o.list[i].flags &^= f; o.list[i].flags == 0 {
			last := len(o.list) - 1
			o.list[i] = o.list[last]
			o.list = o.list[:last]
		}
		return
	}
}

// reset notes that the server has dropped all statements.
func (o *openStatements) reset() { *o = openStatements{} }
