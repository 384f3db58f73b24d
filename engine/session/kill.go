package session

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"sluice/codec"
	"sluice/engine"
	"sluice/upstream"
)

// cancelTimeout bounds what Sluice does at a backend for a cancel request or a KILL.
const cancelTimeout = upstream.CancelTimeout

// cancelsMax is how many cancel requests at a time are carried to backends, each on a connection of its
// own; more are dropped. They are no sessions, so no other limit holds them back.
const cancelsMax = 256

var errCancelFlood = errors.New("dropped: too many cancel requests are under way")

// cancel carries out a cancel request and closes the client, which takes that for an answer. A key
// that nobody has is answered in the same way.
func (s *Session) cancel(k codec.Key) {
	if e := s.in.refusal; e != nil && e.Cond == codec.HostDenied {
		s.end(HostDenied, nil, e) // but a listener that is full still takes cancel requests
		return
	}
	t, ok := s.p.keys.find(k)
	if !ok {
		s.end(Cancelled, nil, nil)
		return
	}
	if t.shared != nil {
		s.cancelShared(t.shared)
		return
	}
	if s.p.cancels.Add(1) > cancelsMax {
		s.p.cancels.Add(-1)
		s.end(Cancelled, nil, errCancelFlood)
		return
	}
	s.on.stats.cancels++
	go func() {
		defer s.p.cancels.Add(-1)
		err := t.backend.Cluster().Cancel(t.backend, t.server, cancelTimeout)
		s.on.loop.Run(func() { s.end(Cancelled, nil, err) })
	}()
}

// sift looks for a KILL in client bytes and passes on the rest.
func (s *Session) sift(p []byte) {
	if len(s.prefix) == 0 && s.killing == killNone {
		if _, kill, hold := s.kills.Intercept(p); kill == nil && !hold {
			s.toServer(p) // nearly always
			return
		}
	}
	if len(s.prefix) > 0 || s.killing != killNone {
		s.prefix = append(s.prefix, p...)
		if s.killing != killNone {
			return // until the KILL before it is done; the client is paused
		}
		p = s.prefix
	}
	for len(p) > 0 {
		n, kill, hold := s.kills.Intercept(p)
		if kill == nil && !hold {
			n = len(p)
		}
		if n > 0 && !s.toServer(p[:n]) {
			return
		}
		p = p[n:]
		if hold || kill != nil && !s.kill(kill, p[:kill.Len]) {
			break // p stays: until more has come, or the KILL is done
		}
		if kill != nil {
			p = p[kill.Len:]
		}
		if s.stage != stageRelay {
			return
		}
	}
	s.prefix = append(s.prefix[:0], p...)
}

// peerNamed finds the session with that id. One of another cluster is nobody whom this client can name: a user of
// the same name there is another one.
func (s *Session) peerNamed(id uint32) (t target, known bool) {
	t, known = s.p.keys.find(codec.Key{ID: id})
	return t, known && t.backend != nil && t.backend.Cluster() == s.cluster
}

// kill sends a KILL on, if the session that it names is on this backend or not known here, with the id
// that is good there. If it is on another backend, kill pauses the client and returns false: the
// message is to be kept until killNow.
func (s *Session) kill(k *codec.Kill, msg []byte) (sent bool) {
	t, known := s.peerNamed(k.ID)
	if known && t.owner != nil && !k.Query {
		t.owner.doom(t.user != "" && t.user == s.user)
		t, known = s.peerNamed(k.ID) // it may have arrived elsewhere, without having seen that
	}
	if known && t.backend != s.backend {
		s.killing = killWaits
		s.client.PauseReads()
		if s.follow.Owed() == 0 {
			// Not from here: sift has yet to keep the message.
			s.on.loop.Run(s.killNow)
		}
		return false
	}
	if known && t.server.ID != k.ID {
		s.on.stats.kills++
		s.on.buf = s.kills.AppendKill(s.on.buf[:0], msg, k, t.server.ID)
		msg = s.on.buf
	}
	s.toServer(msg)
	return true
}

// doomLasts is how long the end of a session's server connection may be the work of a KILL that was meant for it. Servers
// end a connection at once, or as soon as what it does can be stopped. A KILL that a server has refused is over then.
const doomLasts = int64(time.Minute)

// doom takes note that a KILL of the connection was meant for the session. surely: it is of the same user, who may do
// that; else the server may refuse it. It may be called from anywhere.
func (s *Session) doom(surely bool) {
	now := engine.Nano() << 1
	if surely {
		s.doomed.Store(now | 1)
		return
	}
	if was := s.doomed.Load(); was&1 == 0 || now-was > doomLasts<<1 {
		s.doomed.CompareAndSwap(was, now)
	}
}

// isDoomed tells whether a KILL was meant for the session of late, and not before that time, as engine.Nano; and
// whether it was of the same user.
func (s *Session) isDoomed(since int64) (doomed, surely bool) {
	was := s.doomed.Load()
	if was == 0 || was>>1 < max(since, engine.Nano()-doomLasts) {
		return false, false
	}
	return true, was&1 != 0
}

// killNow has the KILL that stands first in prefix carried out on the other backend. Nothing is owed
// to the client at this moment, so that the answer to it can be put in its place.
func (s *Session) killNow() {
	if s.stage != stageRelay || s.killing != killWaits || s.follow.Owed() > 0 {
		return
	}
	_, k, _ := s.kills.Intercept(s.prefix)
	if k == nil {
		s.killed(0, nil)
		return
	}
	kill := *k
	t, known := s.peerNamed(kill.ID)
	switch {
	case !known:
		s.killed(kill.Len, unknownThread(kill.ID))
	case t.user == "" || t.user != s.user:
		s.killed(kill.Len, &codec.Error{Cond: codec.KillDenied,
			Text: "the session belongs to another user and is on another server"})
	default:
		s.on.stats.kills++
		s.killing = killUnderWay
		go s.carryKill(t, kill)
	}
}

// unknownThread is the answer to a KILL with an id that nobody has. The id is the client's own word.
func unknownThread(id uint32) *codec.Error {
	return &codec.Error{Cond: codec.UnknownThread, Text: fmt.Sprintf("unknown thread id: %d", id)}
}

// carryKill has the other backend carry out a KILL, and comes back to the loop with the answer. What
// went wrong on the way is for the log: it holds addresses.
func (s *Session) carryKill(t target, k codec.Kill) {
	err := t.backend.Cluster().Kill(t.backend, t.server.ID, k.Query, cancelTimeout)
	var told *codec.Error
	switch {
	case err == nil:
	case errors.Is(err, upstream.ErrNoControl):
		told = &codec.Error{Cond: codec.KillDenied,
			Text: "the session is on another server, and no control user is configured"}
	case errors.Is(err, upstream.ErrUnknownThread):
		told = unknownThread(k.ID)
	default:
		s.p.log.Warn("a KILL could not be carried to another backend", zap.Uint64("session", s.id),
			zap.String("backend", t.backend.Addr()), zap.Error(err))
		told = &codec.Error{Cond: codec.Internal,
			Text: "the session is on another server, which could not be asked to end it"}
	}
	s.on.loop.Run(func() {
		if s.stage == stageRelay && s.killing == killUnderWay {
			s.killed(k.Len, told)
		}
	})
}

// killed answers the KILL that stands first in prefix and goes on behind it.
func (s *Session) killed(n int, e *codec.Error) {
	s.killing = killNone
	rest := append([]byte(nil), s.prefix[n:]...)
	s.prefix = s.prefix[:0]
	if n > 0 {
		if e == nil {
			s.on.buf = s.kills.AppendOK(s.on.buf[:0])
		} else {
			s.on.buf = s.kills.AppendKillError(s.on.buf[:0], *e)
		}
		s.client.Write(s.on.buf)
	}
	if len(rest) > 0 {
		s.sift(rest)
	}
	s.readClient()
	if s.mv != nil {
		s.mv.look()
	}
	s.leaveIfSafe()
}
