package postgres

import "sluice/codec"

// Refuse ends the login with an error of Sluice's own.
//
// A client takes an ErrorResponse for what it is only as an answer to its StartupMessage, so before
// that one has come the error waits and Refuse returns OpMore. Two are not made to wait: a client
// that is late anyway (LoginTimeout) and one in the middle of a TLS handshake; those can't be told.
func (l *login) Refuse(e codec.Error) codec.Op {
	switch l.stage {
	case stageStartup:
		l.refusal = e
		if e.Cond == codec.LoginTimeout {
			l.stage = stageClosed
			return codec.OpClose
		}
		l.pending = &e
		return codec.OpMore
	case stageClientTLS:
		l.refusal = e
		l.stage = stageClosed
		return codec.OpClose
	case stageReady, stageCancel, stageClosed:
		l.stage = stageClosed
		return codec.OpClose
	}
	return l.refuse(e)
}

// Refused ends the login with the words of the last server that refused it.
func (l *login) Refused() codec.Op {
	if l.stage == stageDialing {
		l.out = append(l.out, l.kept...)
	}
	l.stage = stageClosed
	return codec.OpClose
}

// refuse tells the client e and ends the login.
func (l *login) refuse(e codec.Error) codec.Op { return l.refuseAs(sqlState(e.Cond), e) }

// refuseAs is refuse with an SQLSTATE that is not the condition's own.
func (l *login) refuseAs(state string, e codec.Error) codec.Op {
	l.stage = stageClosed
	return l.entrance.refuseAs(state, e)
}
