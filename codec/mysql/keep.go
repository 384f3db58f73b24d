package mysql

import (
	"bytes"
	"errors"

	"sluice/codec"
)

// keep is what of a session only its own commands tell, and the server can't be asked for: the texts of
// prepared statements, and what binds the session to its server. It belongs to a Mover whose server is
// MySQL or MariaDB.
//
// A plain statement (quiet) is not looked at a second time. What others do is noted when the command
// comes, and takes effect when its answer is complete. What is done out of sight, in procedures and in
// texts that are made at the server, is betrayed by the server's own counters (state): a number that
// differs from the one counted here binds the session.
type keep struct {
	m    *Mover
	size int // bytes kept, with what holds them; at most codec.MoveOptions.StateMax
	lost int // statements that are not kept since there was no room

	stmts map[uint32]*kept  // by the present server's ids
	named map[string]*named // of SQL's PREPARE, by lower-case names
	last  *kept             // prepared last; nil if that is closed or has failed

	db      string // the current database, as the client wrote it; "" = none
	dbSure  bool   // db is known
	era     uint32 // grows with each change of what texts are read by (SQL mode, character sets)
	called  bool   // a procedure was called
	warned  bool   // the last answer has left warnings, or was an error
	pins    pins
	names   map[string]struct{} // user variables seen in texts; MySQL only
	tooMany bool                // of these: not all are known

	notes   []note // of the owed commands with owedCommand.noted, oldest first
	due     int    // of these, those with a statement to be prepared
	newest  *kept  // the last of these statements
	overrun bool   // a note was not taken since there was no room
	code    uint16 // of the last ERR

	gathering bool   // a command comes in pieces
	gathered  []byte // its front, as far as that matters
	passed    int    // bytes of it that have come
	swept     bool   // more has come than is gathered: seen only by sweep
	found     loudness

	base    [counters]uint64 // the server's counters when it began to serve the session
	asked   *state           // what the server said last; nil: it was not asked yet
	askedAt uint32           // Marks at that time

	ids *statementIDs // the client's ids of statements; nil while they are the server's
}

// note is what an owed command will have done when its answer is complete.
type note struct {
	effects []effect
	stmt    *kept  // to be prepared
	front   []byte // of an execution of the statement prepared last, which was not known yet
	size    int    // bytes of keep.size that it takes
	batch   bool   // more than one statement
}

// effectCost is what an effect is counted for beside its words: what it takes in memory.
const effectCost = 40

// cost is what a note of effects takes that belong to nothing else.
func cost(list []effect) (n int) {
	for i := range list {
		n += effectCost + len(list[i].name) + len(list[i].text)
	}
	return n
}

// Limits of what is gathered of a command that comes in pieces, in bytes.
const (
	gatherText  = 64 << 10 // of a statement
	gatherTypes = 1 + 4 + 1 + 4 + 9 + 1<<13 + 1 + 2<<16
	sweepBack   = 128 // looked at again in front of the next piece: a name may be cut
	keepBuffer  = 4 << 10
)

// newKeep returns what is to be kept of a session that has just logged in.
func newKeep(m *Mover) *keep {
	return &keep{m: m, db: m.account.database, dbSure: true}
}

// awaits tells that the end of each command matters. It may be called of nil.
func (k *keep) awaits() bool { return k != nil && k.pins.nextTx }

// watchful tells that plain statements matter, too.
func (k *keep) watchful() bool { return k != nil && k.pins.watchful() }

// take looks at a command, unless it comes in pieces (complete).
func (k *keep) take(c *owedCommand, b []byte, whole bool) {
	if whole && !k.gathering {
		k.begun(c, b)
	}
}

// begun looks at a command that has come whole: b is its payload.
func (k *keep) begun(c *owedCommand, b []byte) {
	if len(b) == 0 {
		return
	}
	switch b[0] {
	case comQuery:
		text, ok := b[1:], true
		if k.m.facts.caps&capQueryAttributes != 0 {
			text, ok = skipAttributes(text)
		}
		if !ok {
			k.add(c, note{effects: []effect{{kind: effOpaque}}})
			return
		}
		k.query(c, text)
	case comStmtPrepare:
		k.prepare(c, b[1:])
	case comStmtExecute, comBulkExecute:
		k.execute(c, b)
	case comInitDB:
		use := []effect{{kind: effUse, name: string(b[1:])}}
		k.add(c, note{effects: use, size: cost(use)})
	case comResetConn:
		k.add(c, note{effects: []effect{{kind: effReset}}})
	case comChangeUser:
		k.add(c, note{effects: []effect{{kind: effUser}}})
	}
}

// query looks at a statement.
func (k *keep) query(c *owedCommand, text []byte) {
	if k.m.kind == kindMySQL {
		k.noteNames(text)
	}
	effects, batch := analyse(text, k.m.opt.Functions)
	if len(effects) > 0 {
		k.add(c, note{effects: effects, batch: batch, size: cost(effects)})
	}
}

// add has a note wait for the answer. One for which there is no room says nothing: the session is bound then.
func (k *keep) add(c *owedCommand, n note) {
	if c.noted {
		return
	}
	c.noted, c.told = true, true
	if !k.room(n.size) {
		n = note{stmt: n.stmt}
		k.overrun, k.dbSure = true, false
	}
	if n.stmt != nil {
		k.due++
		k.newest = n.stmt
	}
	k.notes = append(k.notes, n)
}

// ended takes the note of a command whose answer is complete. It may be called of nil.
func (k *keep) ended(c owedCommand, failed bool) {
	if k == nil {
		return
	}
	if k.pins.nextTx {
		k.pins.transaction(k.m.facts.status&statusInTrans != 0)
	}
	if !c.noted {
		return
	}
	n := k.notes[0]
	k.notes = k.notes[1:]
	if len(k.notes) == 0 {
		k.notes = nil
	}
	k.size -= n.size
	code := uint16(0)
	if failed {
		code = k.code
	}
	if n.stmt != nil {
		if k.due--; k.due == 0 {
			k.newest = nil
		}
		k.prepared(n.stmt, failed)
	}
	if n.front != nil && k.last != nil {
		if at := findTypes(n.front, k.last.params, k.m.facts.caps); at.bound {
			k.bind(k.last, n.front[at.from:at.to])
		}
	}
	for _, e := range n.effects {
		k.apply(e, code, n.batch)
	}
}

// part takes a piece of a command that comes in pieces; first tells that it begins there.
func (k *keep) part(p []byte, first bool) {
	if first {
		k.gathering, k.gathered, k.passed, k.swept, k.found = true, k.gathered[:0], 0, false, loudness{}
	}
	if !k.gathering || len(p) == 0 {
		return
	}
	if first {
		k.gathered = append(k.gathered, p[0])
		k.passed, p = 1, p[1:]
	}
	limit := gatherText
	switch k.gathered[0] {
	case comStmtPrepare:
		limit = max(gatherText, k.m.opt.StateMax)
	case comStmtExecute, comBulkExecute:
		limit = gatherTypes
	case comQuery, comInitDB, comResetConn, comChangeUser:
	default:
		k.gathering = false
		return
	}
	k.passed += len(p)
	n := min(len(p), limit-len(k.gathered))
	k.gathered = append(k.gathered, p[:n]...)
	if n == len(p) || k.gathered[0] != comQuery {
		return
	}
	k.sweep(p[n:])
}

// sweep looks for what matters in the middle of a statement that is too long to be kept.
func (k *keep) sweep(p []byte) {
	const room = gatherText - sweepBack // in front of which the begin of the statement stays
	for len(p) > 0 {
		if len(k.gathered) == gatherText {
			k.found.look(k.gathered, k.m.opt.Functions)
			tail := bytes.Clone(k.gathered[gatherText-sweepBack:])
			k.gathered = append(k.gathered[:sweepBack], tail...)
			k.swept = true
		}
		n := min(len(p), gatherText-len(k.gathered), room)
		k.gathered = append(k.gathered, p[:n]...)
		p = p[n:]
	}
}

// complete looks at a command that has come in pieces, of which c is the owed one; nil if it was answered
// before it was whole, so that it has done nothing.
func (k *keep) complete(c *owedCommand) {
	if !k.gathering {
		return
	}
	k.gathering = false
	b := k.gathered
	switch {
	case c == nil || len(b) == 0:
	case k.swept:
		k.found.look(b, k.m.opt.Functions)
		k.add(c, note{effects: append(k.found.effects(), effect{kind: effOpaque}), batch: true})
		k.tooMany = k.tooMany || k.found.variable
	case k.passed > len(b) && b[0] == comStmtPrepare:
		k.add(c, note{stmt: k.newKept("")})
	default:
		k.begun(c, b)
	}
	if cap(k.gathered) > keepBuffer {
		k.gathered = nil
	}
}

// room takes n bytes of what may be kept; false says that there is not so much left.
func (k *keep) room(n int) bool {
	if k.size+n > k.m.opt.StateMax {
		return false
	}
	k.size += n
	return true
}

// reset forgets what ends with COM_RESET_CONNECTION.
//
// https://mariadb.com/kb/en/com_reset_connection/
func (k *keep) reset() {
	was := *k
	*k = keep{m: k.m, db: k.db, dbSure: k.dbSure, era: k.era, notes: k.notes, due: k.due, newest: k.newest, code: k.code, ids: k.ids}
	k.gathering, k.gathered, k.passed, k.swept, k.found = was.gathering, was.gathered, was.passed, was.swept, was.found
	for i := range k.notes {
		k.size += k.notes[i].size
		if st := k.notes[i].stmt; st != nil && st.whole {
			k.size += keptOverhead + len(st.text)
		}
	}
	if k.ids != nil {
		k.ids.clear()
	}
}

// fragile says why a question would take something from the client: the next statement, which may ask for
// the warnings of the last. It may be called of nil.
func (k *keep) fragile() error {
	if k != nil && k.warned {
		return errWarnings
	}
	return nil
}

var errWarnings = errors.New("the client may still ask for the warnings of its last statement")

// warns tells whether an OK or EOF announces warnings. Behind the header those of an OK stand behind two lenenc
// integers and the status.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
func warns(b []byte) bool {
	if len(b) == 5 { // EOF
		return b[1]|b[2] != 0
	}
	if len(b) == 0 {
		return false
	}
	_, b, ok := lenenc(b[1:])
	if ok {
		_, b, ok = lenenc(b)
	}
	return ok && len(b) >= 4 && b[2]|b[3] != 0
}

// known tells whether the session's state is known without a question.
func (k *keep) known() bool {
	if k.m.marks == 0 {
		return true
	}
	return k.asked != nil && k.askedAt == k.m.marks
}

// pin is what binds the session to its server, as far as its commands tell.
func (k *keep) pin() codec.Pin {
	if p := k.pins.pin(); p.Name != "" {
		return p
	}
	if k.overrun {
		return codec.Pin{Name: "state-size", Reason: "what it has sent ahead of its answers took more memory than state-max"}
	}
	if k.lost > 0 {
		return codec.Pin{Name: "state-size", Reason: "its prepared statements take more memory than state-max"}
	}
	if k.m.z != nil && (len(k.stmts) > 0 || k.ids != nil && k.ids.live()) {
		return codec.Pin{Name: "compression", Reason: "it has prepared statements, and it is compressed"}
	}
	for _, st := range k.stmts {
		if p := k.bound(&st.origin); p.Name != "" {
			return p
		}
	}
	for _, st := range k.named {
		if p := k.bound(&st.origin); p.Name != "" {
			return p
		}
	}
	return codec.Pin{}
}
