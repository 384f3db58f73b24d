package session

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"sluice/codec"
	"sluice/engine"
)

// openingConn is what a server connection needs only until it is logged in.
type openingConn struct {
	m     codec.Opener
	op    codec.Op
	early []byte
	stop  func()
}

// errOpenTime is why a connection is given up that did not come up in time.
var errOpenTime = errors.New("no answer within the connect time-out")

// openBytes gives the login what the server said.
func (sc *serverConn) openBytes(p []byte) {
	o := sc.open
	if o.op == codec.OpMore {
		sc.openStep(o.m.Server(p))
		return
	}
	if o.early = append(o.early, p...); len(o.early) > earlyMax {
		sc.openFailed(errors.New("the server sent too much during the login"))
	}
}

// openStep carries out what the login at the server asks for.
func (sc *serverConn) openStep(op codec.Op) {
	o := sc.open
	for sc.state == connOpening {
		if p := o.m.Take(); len(p) > 0 {
			sc.conn.Write(p)
		}
		o.op = op
		switch op {
		case codec.OpMore:
			if len(o.early) == 0 {
				return
			}
			p := o.early
			o.early = nil
			op = o.m.Server(p)
			continue
		case codec.OpServerTLS:
			sc.openTLS()
		case codec.OpWork:
			go func() {
				o.m.Work()
				sc.home.on.loop.Run(func() {
					if sc.state == connOpening {
						sc.openStep(o.m.Worked())
					}
				})
			}()
		case codec.OpReady:
			sc.isOpen()
		case codec.OpClose:
			sc.openFailed(o.m.Refusal())
		default:
			sc.openFailed(fmt.Errorf("login at the server: unexpected %v", op))
		}
		return
	}
}

// openTLS shakes hands with the server.
func (sc *serverConn) openTLS() {
	if len(sc.open.early) > 0 {
		sc.openFailed(errors.New("plain bytes of the server in front of TLS"))
		return
	}
	opt := sc.home.spec.cluster.Options()
	sc.conn.StartTLS(opt.TLSConfig(sc.home.spec.backend), false, nil, opt.ConnectTimeout, func(err error) {
		if sc.state != connOpening {
			return
		}
		if err != nil {
			sc.openFailed(codec.Error{Cond: codec.TLSFailed, Text: "TLS with the server failed: " + err.Error()})
			return
		}
		var cert []byte
		if state, ok := sc.conn.TLS(); ok && len(state.PeerCertificates) > 0 {
			cert = state.PeerCertificates[0].Raw
		}
		sc.openStep(sc.open.m.ServerSecured(cert))
	})
}

// isOpen gives the pool a connection that is logged in.
func (sc *serverConn) isOpen() {
	on := sc.home.on
	on.loop.Disarm(&sc.timer)
	sc.host = sc.open.m.Host()
	rest := append([]byte(nil), sc.open.m.Rest()...)
	rest = append(rest, sc.open.early...)
	sc.open = nil
	sc.state = connIdle
	sc.opened = engine.Nano()
	sc.schema = sc.home.spec.schema.Load()
	on.stats.pending--
	on.stats.connected++
	sc.home.opens++
	sc.home.spec.opened.Store(true)
	sc.home.spec.notYet.Store(false)
	if sc.home.spec.failing.Swap(false) {
		sc.home.spec.p.wake() // who waits for this server need not wait on
	}
	if len(rest) > 0 {
		sc.fromServer(rest)
		if sc.state != connIdle {
			return
		}
	}
	sc.home.part.Connected(&sc.Entry)
}

// warnEvery is how often a pool says that it can't open server connections.
const warnEvery = time.Minute

// warn logs that no server connection could be opened, now and then.
func (spec *poolSpec) warn(err error) {
	now, last := engine.Nano(), spec.warned.Load()
	if last != 0 && asDuration(now-last) < warnEvery || !spec.warned.CompareAndSwap(last, max(now, 1)) {
		return
	}
	spec.p.log.Warn("a server connection could not be opened", zap.String("listener", spec.fe),
		zap.String("database", spec.dbName), zap.String("user", spec.user),
		zap.String("backend", spec.backend.Addr()), zap.Error(err))
}

// openFailed tells the pool that there is no connection.
func (sc *serverConn) openFailed(err error) {
	if sc.state != connOpening {
		return
	}
	on := sc.home.on
	on.loop.Disarm(&sc.timer)
	sc.state = connClosed
	if sc.open.stop != nil {
		sc.open.stop()
	}
	sc.open = nil
	if sc.conn != nil {
		sc.conn.Close()
	}
	on.stats.pending--
	on.stats.dialFails++
	var own codec.Error
	if !errors.As(err, &own) || own.Cond != codec.AuthDenied {
		sc.home.spec.backend.Suspect()
		sc.home.spec.cluster.Hurry()
	}
	sc.home.spec.failing.Store(true)
	sc.home.spec.notYet.Store(own.Cond == codec.WrongPart)
	sc.home.spec.warn(err)
	sc.home.forget(sc)
	if own.Cond == codec.WrongPart {
		sc.home.part.ConnectNotYet(&sc.Entry, err, notYetPause)
		return
	}
	sc.home.part.ConnectFailed(&sc.Entry, err)
}
