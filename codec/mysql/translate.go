package mysql

import (
	"bytes"
	"encoding/binary"

	"sluice/codec"
)

// statementIDs are the ids of prepared statements as the client knows them. They are not the server's in a
// session that has moved since it prepared some.
//
// Everything else in this package knows the server's ids only: those of the client are changed before the
// Follower sees them, and those of the server when it has.
type statementIDs struct {
	k       *keep
	byID    map[uint32]*kept // by the client's ids
	last    *kept            // what lastStatement means until the next COM_STMT_PREPARE; nil: nothing
	prepare bool             // there was one since the move
	next    uint32           // where ids of Sluice's own go on

	left   uint32 // bytes of the client's packet at hand that are to pass
	more   bool   // the next packet continues it
	held   [2][]byte
	joined []byte // held bytes and those behind them
	out    []byte // bytes with types put in
}

// ownIDs is where ids of Sluice's own begin, which it takes where the server's would be one that the client
// uses for another statement. Servers count from 1.
const ownIDs = 1 << 30

// Limits of what is held back, in bytes.
const (
	holdPrepared = 32                // the payload of a PREPARE_OK has 12 or 13
	holdFront    = 16 + 1<<13 + 9    // of an execution, up to the flag of its types
	keepJoined   = 64 << 10          // above it a buffer is not kept
	_            = holdFront - 1<<13 // (the bits of 65535 parameters)
)

// ids are those of statements, where they differ; else nil.
func (m *Mover) ids() *statementIDs {
	if m.keep == nil {
		return nil
	}
	return m.keep.ids
}

// Translates tells whether names differ: ids of statements, or that of the connection.
func (m *Mover) Translates() bool { return m.own != nil || m.ids() != nil }

// ToServer gives the client's commands the server's names.
func (m *Mover) ToServer(p []byte) []byte {
	if m.own != nil {
		p = m.own.client(p)
	}
	if t := m.ids(); t != nil {
		p = t.client(p)
	}
	return p
}

// ToClient holds an answer to COM_STMT_PREPARE back until it is whole, so that Server can change it.
func (m *Mover) ToClient(p []byte) []byte {
	if t := m.ids(); t != nil {
		p = t.server(p)
	}
	return p
}

// holds tells whether bytes of that side are held back.
func (m *Mover) holds(s codec.Side) bool {
	if m.own != nil && s == codec.Client && len(m.own.held) > 0 {
		return true
	}
	t := m.ids()
	return t != nil && len(t.held[s]) > 0
}

var _ codec.Translator = (*Mover)(nil)

// live tells whether the client knows any statement.
func (t *statementIDs) live() bool { return len(t.byID) > 0 }

// clear forgets all statements.
func (t *statementIDs) clear() { t.byID, t.last, t.prepare = nil, nil, true }

// moved takes up the statements as they are after a move.
func (t *statementIDs) moved(last *kept) {
	t.byID = make(map[uint32]*kept, len(t.k.stmts))
	for _, st := range t.k.stmts {
		t.byID[st.client] = st
	}
	t.last, t.prepare = last, false
}

// add gives a new statement the id by which the client will know it.
func (t *statementIDs) add(st *kept) {
	st.client = st.id
	for t.byID[st.client] != nil || st.client >= goneStatement {
		st.client = ownIDs + t.next
		t.next = (t.next + 1) % (ownIDs / 2)
	}
	if t.byID == nil {
		t.byID = map[uint32]*kept{}
	}
	t.byID[st.client] = st
}

// drop forgets a statement.
func (t *statementIDs) drop(st *kept) {
	if t.byID[st.client] == st {
		delete(t.byID, st.client)
	}
	if t.last == st {
		t.last = nil
	}
}

// join puts what was held back in front of p.
func (t *statementIDs) join(s codec.Side, p []byte) []byte {
	if len(t.held[s]) == 0 {
		return p
	}
	t.joined = append(append(t.joined[:0], t.held[s]...), p...)
	t.held[s] = t.held[s][:0]
	p = t.joined
	if cap(t.joined) > keepJoined {
		t.joined = nil
	}
	return p
}

// hold holds bytes back.
func (t *statementIDs) hold(s codec.Side, p []byte) { t.held[s] = append(t.held[s][:0], p...) }

// server holds back the begin of what may be a PREPARE_OK. The Follower puts the client's id into one that lies
// whole in the bytes (keep.preparedOK).
func (t *statementIDs) server(p []byte) []byte {
	if !t.k.preparing() && len(t.held[codec.Server]) == 0 {
		return p
	}
	p = t.join(codec.Server, p)
	n, more := t.k.m.srv.pending(p)
	for n < len(p) {
		rest := p[n:]
		if len(rest) < headerLen {
			break
		}
		size := packetLen(rest)
		if !more && size <= holdPrepared && len(rest) < headerLen+int(size) {
			break
		}
		more = size == fullLen
		n += headerLen + int(size)
	}
	if n < len(p) {
		t.hold(codec.Server, p[n:])
		return p[:n]
	}
	return p
}

// client changes ids in commands of the client.
func (t *statementIDs) client(p []byte) []byte {
	p = t.join(codec.Client, p)
	data := t.k.m.awaitsData()
	t.out = t.out[:0]
	from, i := 0, 0 // p[from:i] is done and not in out
	for i < len(p) {
		if t.left > 0 {
			n := min(int(t.left), len(p)-i)
			t.left -= uint32(n)
			i += n
			continue
		}
		n, types, ok := t.command(p[i:], data)
		if !ok {
			break
		}
		if types != nil {
			at := i + headerLen + n.from
			t.out = append(append(t.out, p[from:at]...), types...)
			from = at
		}
		data = data && !(t.k.m.infile && !t.more && packetLen(p[i:]) == 0)
		t.more = n.size == fullLen
		t.left = n.size
		i += headerLen
	}
	t.hold(codec.Client, p[i:])
	if from == 0 {
		return p[:i]
	}
	t.out = append(t.out, p[from:i]...)
	out := t.out
	if cap(t.out) > keepJoined {
		t.out = nil
	}
	return out
}

// place is a packet of the client: its size before anything is put in, and where types are put in.
type place struct {
	size uint32
	from int
}

// command changes the id in a packet at the front of p, if it begins a command that has one, and tells which
// types have to be put in. ok is false if more of it is needed.
func (t *statementIDs) command(p []byte, data bool) (at place, types []byte, ok bool) {
	if len(p) < headerLen {
		return at, nil, false
	}
	at.size = packetLen(p)
	if t.more || data || at.size == 0 {
		return at, nil, true
	}
	if len(p) == headerLen {
		return at, nil, false
	}
	b := p[headerLen:min(len(p), headerLen+int(at.size))]
	if b[0] == comStmtPrepare {
		t.prepare = true
	}
	if !commands[kindOf(b[0])].stmt || at.size < 5 {
		return at, nil, true
	}
	if len(b) < 5 {
		return at, nil, false
	}
	id := binary.LittleEndian.Uint32(b[1:])
	st := t.byID[id]
	switch {
	case id == lastStatement && t.prepare:
		return at, nil, true
	case id == lastStatement:
		st = t.last
	}
	executes := b[0] == comStmtExecute || b[0] == comBulkExecute
	if st != nil && executes && st.unbound {
		where := findTypes(b, st.params, t.k.m.facts.caps)
		if !where.ok && where.flag >= len(b) && len(b) < min(int(at.size), holdFront) {
			return at, nil, false
		}
		if where.ok && !where.bound && int(at.size)+len(st.types) < fullLen {
			types, at.from = t.bind(p, st, where), where.from
		}
		st.unbound = !where.ok
	}
	server := uint32(goneStatement)
	if st != nil {
		server = st.id
	}
	binary.LittleEndian.PutUint32(b[1:], server)
	return at, types, true
}

// bind makes an execution that does not say the types of its parameters one that does: these are bound at the
// server that was left.
func (t *statementIDs) bind(p []byte, st *kept, at typesAt) []byte {
	b := p[headerLen:]
	if b[0] == comBulkExecute {
		flags := binary.LittleEndian.Uint16(b[at.flag:]) | bulkSendsTypes
		binary.LittleEndian.PutUint16(b[at.flag:], flags)
	} else {
		b[at.flag] = 1
	}
	size := int(packetLen(p)) + len(st.types)
	p[0], p[1], p[2] = byte(size), byte(size>>8), byte(size>>16)
	return bytes.Clone(st.types)
}
