package mysql

import (
	"bytes"
	"errors"
	"fmt"

	"sluice/codec"
)

// pinCredentials is the pin of a session of which nobody but its client could log in again.
var pinCredentials = codec.Pin{Name: "credentials", Reason: "what it takes to log in for its user is not known"}

// Pin says what binds the session to its server.
func (m *Mover) Pin() codec.Pin {
	switch {
	case m.account.user == "" && m.account.switched, m.kind != kindTiDB && !m.credible():
		return pinCredentials
	case m.pin.Name != "" && m.pinMark == m.marks:
		return m.pin
	case m.keep != nil:
		return m.keep.pin()
	}
	return codec.Pin{}
}

// credible tells that there is something to log in with but a token.
func (m *Mover) credible() bool {
	_, ok := m.account.secret(m.opt)
	return ok
}

// refused notes that a move came to nothing because of the session. A server that has no token to give may
// have one later, so that is not kept.
func (m *Mover) refused(err error) {
	var p codec.PinError
	if errors.As(err, &p) && p.Pin.Name != "token" {
		m.pin, m.pinMark = p.Pin, m.marks
	}
}

// Known tells whether the session's state is known without its server.
func (m *Mover) Known() bool {
	if m.account.user == "" && m.account.switched || !m.credible() {
		return false
	}
	if m.keep != nil {
		return m.keep.known()
	}
	return m.marks == 0 || m.kept.asked && m.kept.mark == m.marks
}

// keepStates keeps what TiDB has told of the session, if anybody could log in again for it.
func (m *Mover) keepStates(states string) {
	if m.credible() {
		m.kept = packStates(states, m.marks)
	}
}

// overhead is what the answers of one move may have beside the state itself, in bytes.
const overhead = 64 << 10

// answerRoom bounds the answers of one server in one move.
func (m *Mover) answerRoom() int { return m.opt.StateMax + overhead }

// fragile says why the server is not asked for the state for the sake of Known alone: nil where it leaves no
// trace.
func (m *Mover) fragile() error {
	if m.left {
		return errLeft
	}
	return m.keep.fragile()
}

var errLeft = errors.New("the client may still ask for what its last statement has left")

// newCarrier returns what carries the session's state.
func (m *Mover) newCarrier() carrier {
	if m.keep != nil {
		return newReplayCarrier(m)
	}
	return &tidbCarrier{m: m}
}

// lateFlags are agreed on in a login and mean nothing behind it.
const lateFlags = capLongPassword | capConnectWithDB | capSSL | capSecureConnection | capPluginAuth |
	capConnectAttrs | capPluginAuthLenenc | capMultiFactor | capODBC | capIgnoreSigpipe | capReserved

// fits tells whether the session can go on at the server that greets so: it has to be of the same kind and
// offer all that client and old server have agreed on.
func (m *Mover) fits(g *greeting) error {
	if g.kind != m.kind {
		return fmt.Errorf("the new server is %s, not %s", g.kind, m.kind)
	}
	missing, missingExt := m.facts.caps&^(g.caps|lateFlags), m.facts.ext&^g.ext
	if missing != 0 || missingExt != 0 {
		return fmt.Errorf("the new server does not offer what the session has agreed on: flags %#x, extended %#x", missing, missingExt)
	}
	return nil
}

// moved has the follower follow the new server, at which nothing is owed.
func (m *Mover) moved(v *move) {
	m.facts.status = v.new.status
	m.facts.serverTLS = v.new.tls
	m.inDoubt, m.erred, m.fatal = false, false, false
	if m.z != nil {
		m.z.server.close()
		m.z = newCompression(m.z.zstd)
	}
	m.id = v.new.id
	m.own = nil
	if m.z == nil && m.id != m.facts.key {
		m.own = &ownID{m: m}
	}
	v.carrier.apply(&m.Follower)
}

// noteModes notes whether statements are prepared under one sql_mode and used under another: TiDB's state has
// the texts of statements, and only the present mode.
func (m *Mover) noteModes(text []byte, whole bool) {
	if m.modes || whole && len(text) >= wordLen && quietVerb(wordOf(text)) && bytes.IndexByte(text, ';') < 0 {
		return // a SELECT may look at the mode, but sets none
	}
	text = bytes.ToLower(text)
	m.modes = m.prepares && (!whole || bytes.Contains(text, []byte("sql_mode")))
	m.prepares = m.prepares || !whole || bytes.Contains(text, []byte("prepare"))
}

// nextIsolation tells that a statement may be a SET TRANSACTION for the next transaction alone. TiDB takes a question
// for that.
//
// https://docs.pingcap.com/tidb/stable/sql-statement-set-transaction
func nextIsolation(text []byte) bool {
	text = bytes.ToLower(text)
	i := bytes.Index(text, []byte("transaction"))
	return i >= 0 && !bytes.HasPrefix(text[i:], []byte("transaction_")) &&
		bytes.Contains(text[:i], []byte("set")) && !bytes.Contains(text[:i], []byte("session"))
}
