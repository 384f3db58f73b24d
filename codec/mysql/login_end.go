package mysql

import "sluice/codec"

// fail ends the login over bytes that have no place in it.
func (l *Login) fail(text string) codec.Op {
	return l.tell(codec.Error{Cond: codec.ProtocolError, Text: text})
}

// Refuse ends the login with an error of Sluice's. A client that is to speak would not understand an
// error before it has: its answer is waited for. A login that has timed out does not wait again.
func (l *Login) Refuse(e codec.Error) codec.Op {
	if l.state == loginClosed {
		return codec.OpClose
	}
	if l.greeted && (l.due || l.state == loginClientTLS) && e.Cond != codec.LoginTimeout {
		l.pending = &e
		return codec.OpMore
	}
	return l.tell(e)
}

// Refused ends the login with the words of the server that was tried last.
func (l *Login) Refused() codec.Op {
	l.out[codec.Client] = append(l.out[codec.Client], l.kept...)
	return l.close()
}

// tell ends the login with an ERR at once.
func (l *Login) tell(e codec.Error) codec.Op { return l.refuse(numberOf(e.Cond), e) }

func (l *Login) refuse(no errNumber, e codec.Error) codec.Op {
	l.refusal = e
	if l.state != loginClientTLS { // within a handshake there is no way to tell
		out := &l.out[codec.Client]
		*out = appendErr(*out, l.seq[codec.Client], l.greeted, no, errorText(e))
	}
	return l.close()
}

func (l *Login) close() codec.Op {
	l.state = loginClosed
	l.in = [2][]byte{}
	l.auth = auth{}
	return codec.OpClose
}

// Take returns the bytes to write to that side.
func (l *Login) Take(s codec.Side) []byte {
	b := l.out[s]
	l.out[s] = nil
	return b
}

// User is the name the client gave.
func (l *Login) User() string { return l.response.user }

// Database is the database the client asked for.
func (l *Login) Database() string { return l.response.database }

// Target is not used: a MySQL client cancels by a command within a session.
func (l *Login) Target() codec.Key { return codec.Key{} }

// Refusal says why the login ended.
func (l *Login) Refusal() error { return l.refusal }

// Follower returns the follower for the session: a *Mover if the session may be moved.
func (l *Login) Follower(w codec.Watcher) codec.Follower {
	x := facts{
		key:       l.greeting.id,
		caps:      l.greeting.caps & l.response.caps,
		ext:       l.greeting.ext & l.response.ext,
		status:    l.status,
		clientTLS: l.clientTLS,
		serverTLS: l.serverTLS,
	}
	if l.cfg.Move == nil {
		return newFollower(x, w)
	}
	m := newMover(x, w, l.cfg.Move, l.seen.end(l.cfg.Move), l.greeting.kind)
	m.thread = l.serverID
	if l.own != nil && m.z == nil && l.serverID != x.key {
		m.own = &ownID{m: m} // the session's id is Sluice's from the begin, so that a move does not change it
	}
	return m
}

// Rest returns bytes of that side which came behind the end of the login.
func (l *Login) Rest(s codec.Side) []byte {
	b := l.in[s]
	l.in[s] = nil
	return b
}
