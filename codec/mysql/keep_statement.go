package mysql

import (
	"bytes"
	"encoding/binary"

	"sluice/codec"
)

// origin is a statement's text and what it was read by.
type origin struct {
	text  string
	db    string // the current database at that time
	era   uint32 // keep.era at that time
	plain bool   // it is read alike in all SQL modes and character sets
	sure  bool   // db was known
	whole bool   // the text is all there
}

// kept is a prepared statement of the binary protocol.
type kept struct {
	origin
	id      uint32   // at the present server
	client  uint32   // as the client knows it
	effects []effect // of each execution
	types   []byte   // of its parameters, as the client has bound them last
	params  uint16
	unbound bool // types are not bound at the present server yet
	broken  bool // the present server could not prepare it
}

// named is a statement prepared by SQL's PREPARE. Its text is that of the whole PREPARE.
type named struct {
	origin
	effects []effect
}

// keptOverhead is about what a statement takes beside its text and its types, in bytes.
const keptOverhead = 256

// newOrigin takes down a text.
func (k *keep) newOrigin(text string) origin {
	return origin{text: text, db: k.db, era: k.era, sure: k.dbSure, plain: readsAlike(text), whole: true}
}

// newKept makes a statement of a text; "" is one that was too long.
func (k *keep) newKept(text string) *kept {
	st := &kept{origin: k.newOrigin(text)}
	st.whole = text != "" && k.room(keptOverhead+len(text))
	if !st.whole {
		st.text = ""
	}
	return st
}

// bound tells why a statement can't be prepared elsewhere as it was.
func (k *keep) bound(s *origin) codec.Pin {
	switch {
	case !s.whole:
		return codec.Pin{Name: "sql-prepare", Reason: "it has a prepared statement whose text was made at the server"}
	case !s.sure:
		return codec.Pin{Name: "statement", Reason: "it has a prepared statement whose database is not known"}
	case s.era != k.era && !s.plain:
		return codec.Pin{Name: "statement",
			Reason: "it has a statement that was prepared under another SQL mode or character set"}
	}
	return codec.Pin{}
}

// readsAlike tells that a text has the same meaning in all SQL modes and character sets that a client can
// use: nothing in it is quoted by " or escaped, or is not ASCII, or an operator that changes (|| and NOT),
// or a name of a function that a blank takes that away from.
//
// https://mariadb.com/kb/en/sql-mode/
func readsAlike(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"', c == '\\', c == '|', c >= 0x80:
			return false
		case c == '(' && i > 0 && isSpace(text[i-1]):
			return false
		case c|0x20 == 'n' && i+3 <= len(text) && text[i+1]|0x20 == 'o' && text[i+2]|0x20 == 't':
			return false
		}
	}
	return true
}

// prepare notes a COM_STMT_PREPARE.
func (k *keep) prepare(c *owedCommand, text []byte) {
	if k.m.kind == kindMySQL {
		k.noteNames(text)
	}
	st := k.newKept(string(text))
	if !quiet(text, k.m.opt.Functions, false) {
		st.effects, _ = analyse(text, k.m.opt.Functions)
	}
	k.add(c, note{stmt: st})
}

// preparedOK notes what the server says of the statement: b is the front of its PREPARE_OK.
func (k *keep) preparedOK(b []byte) {
	id, params := binary.LittleEndian.Uint32(b[1:]), binary.LittleEndian.Uint16(b[7:])
	for i := range k.notes {
		if st := k.notes[i].stmt; st != nil { // the oldest: answers come in order
			st.id, st.client, st.params = id, id, params
			if k.ids != nil {
				k.ids.add(st)
				binary.LittleEndian.PutUint32(b[1:], st.client)
			}
			return
		}
	}
}

// prepared takes up a statement whose answer is complete.
func (k *keep) prepared(st *kept, failed bool) {
	if k.last = st; failed {
		k.last = nil
		k.release(st)
		return
	}
	if k.stmts == nil {
		k.stmts = map[uint32]*kept{}
	}
	if old := k.stmts[st.id]; old != nil {
		k.drop(old)
	}
	k.stmts[st.id] = st
	if !st.whole {
		k.lost++
	}
}

// closed notes a COM_STMT_CLOSE.
func (k *keep) closed(id uint32) {
	if st := k.stmts[id]; st != nil {
		k.drop(st)
	}
}

// drop forgets a statement.
func (k *keep) drop(st *kept) {
	delete(k.stmts, st.id)
	k.m.pin = codec.Pin{} // it may have been this statement
	if k.last == st {
		k.last = nil
	}
	if k.ids != nil {
		k.ids.drop(st)
	}
	if !st.whole {
		k.lost--
	}
	k.release(st)
}

// release gives back the room that a statement takes.
func (k *keep) release(st *kept) {
	if st.whole {
		k.size -= keptOverhead + len(st.text)
	}
	k.size -= len(st.types)
	st.types = nil
}

// execute notes what an execution binds and does. b is the payload, or as much of its front as matters.
func (k *keep) execute(c *owedCommand, b []byte) {
	if len(b) < 5 {
		return
	}
	id := binary.LittleEndian.Uint32(b[1:])
	st := k.stmts[id]
	if id == lastStatement {
		if st = k.last; k.preparing() {
			k.executeNew(c, b)
			return
		}
	}
	if st == nil {
		return
	}
	if !k.sameTypes(st, b) {
		if at := findTypes(b, st.params, k.m.facts.caps); at.bound {
			k.bind(st, b[at.from:at.to])
		}
	}
	if len(st.effects) > 0 {
		k.add(c, note{effects: st.effects})
	}
}

// sameTypes tells that an execution binds the types that are bound already, or none; it may say false where it
// does. Drivers that send the types each time send the same ones.
func (k *keep) sameTypes(st *kept, b []byte) bool {
	if k.m.facts.caps&capQueryAttributes != 0 || b[0] != comStmtExecute || st.params == 0 {
		return false
	}
	const fixed = 1 + 4 + 1 + 4
	flag := fixed + (int(st.params)+7)/8
	if flag >= len(b) {
		return false
	}
	if b[flag] != 1 {
		return true
	}
	return !st.unbound && bytes.HasPrefix(b[flag+1:], st.types) && len(st.types) == 2*int(st.params)
}

// preparing tells that a statement is being prepared.
func (k *keep) preparing() bool { return k.due > 0 }

// executeNew notes the execution of a statement that was prepared in the same go: its number of parameters
// is not known yet.
func (k *keep) executeNew(c *owedCommand, b []byte) {
	front := b[:min(len(b), gatherTypes)]
	k.add(c, note{front: bytes.Clone(front), effects: k.newest.effects, size: len(front)})
}

// bind notes the types of a statement's parameters.
func (k *keep) bind(st *kept, types []byte) {
	st.unbound = false
	if bytes.Equal(st.types, types) {
		return
	}
	if more := len(types) - len(st.types); !k.room(more) {
		if st.whole {
			st.whole = false
			k.size -= keptOverhead + len(st.text)
			st.text = ""
			k.lost++
		}
		return
	}
	st.types = append(st.types[:0], types...)
}
