package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"

	"sluice/codec"
)

// talkMax bounds, in bytes, a message of a server to Sluice itself: what is asked has short answers, and
// a notification at most 8000 (https://www.postgresql.org/docs/17/sql-notify.html).
const talkMax = 64 << 10

// talkName is how Sluice's own connections show up at the server.
const talkName = "sluice"

var errNoSharing = errors.New("the protocol has no logins of Sluice's own")

// talk opens a connection to a backend by which Sluice itself asks or hears something. The login is the
// protocol's own machine, which has more to log in with than a driver does: what a client's proof has
// shown will do. notified hears of notifications; it may be nil. Nothing in cfg may come from a client
// but who it is for: user, database and secret.
func (c *Cluster) talk(ctx context.Context, b *Backend, cfg codec.OpenerConfig, notified func(*pgconn.Notification)) (*pgconn.PgConn, error) {
	opt := c.Options()
	sharer, ok := opt.Protocol.(codec.Sharer)
	if !ok {
		return nil, errNoSharing
	}
	ctx, cancel := context.WithTimeout(ctx, opt.ConnectTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", b.addr)
	if err != nil {
		return nil, err
	}
	// The end of ctx makes reads and writes fail at once.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	cfg.TLS = opt.TLSMode
	cfg.Params = append(cfg.Params, codec.Param{Name: "application_name", Value: talkName})
	secured, rest, err := login(ctx, conn, sharer.NewOpener(&cfg), func() *tls.Config { return opt.TLSConfig(b) })
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return construct(&readAhead{Conn: secured, ahead: rest}, notified)
}

// login carries the login to its end. It returns the connection to go on with, and what came behind the
// end.
func login(ctx context.Context, conn net.Conn, o codec.Opener, config func() *tls.Config) (net.Conn, []byte, error) {
	buf := make([]byte, 4<<10)
	for op := o.Start(); ; {
		if out := o.Take(); len(out) > 0 {
			if _, err := conn.Write(out); err != nil {
				return nil, nil, err
			}
		}
		switch op {
		case codec.OpMore:
			n, err := conn.Read(buf)
			if n == 0 && err != nil {
				return nil, nil, err
			}
			op = o.Server(buf[:n])
		case codec.OpServerTLS:
			t := tls.Client(conn, config())
			if err := t.HandshakeContext(ctx); err != nil {
				return nil, nil, err
			}
			conn = t
			op = o.ServerSecured(t.ConnectionState().PeerCertificates[0].Raw)
		case codec.OpWork:
			o.Work()
			op = o.Worked()
		case codec.OpReady:
			return conn, bytes.Clone(o.Rest()), nil
		default:
			err := o.Refusal()
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			return nil, nil, err
		}
	}
}

// readAhead is a connection of which some bytes have been read already.
type readAhead struct {
	net.Conn
	ahead []byte
}

// Read gives what was read before first.
func (c *readAhead) Read(p []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

var errNoCancel = errors.New("what Sluice asks for itself is not cancelled")

// construct hands a connection behind its login to the driver.
func construct(conn net.Conn, notified func(*pgconn.Notification)) (*pgconn.PgConn, error) {
	cfg := &pgconn.Config{
		BuildFrontend: pgproto3.NewFrontend,
		BuildContextWatcherHandler: func(pc *pgconn.PgConn) ctxwatch.Handler {
			return &pgconn.DeadlineContextWatcherHandler{Conn: pc.Conn()}
		},
		// The driver would cancel what it gives up; the connection is closed all the same.
		DialFunc: func(context.Context, string, string) (net.Conn, error) { return nil, errNoCancel },
		OnPgError: func(_ *pgconn.PgConn, e *pgconn.PgError) bool {
			return !strings.EqualFold(e.SeverityUnlocalized, "FATAL") && !strings.EqualFold(e.Severity, "FATAL")
		},
		OnNotification: func(_ *pgconn.PgConn, n *pgconn.Notification) {
			if notified != nil {
				notified(n)
			}
		},
		MaxProtocolMessageBodyLen: talkMax,
	}
	return pgconn.Construct(&pgconn.HijackedConn{
		Conn: conn, TxStatus: 'I', Config: cfg,
		ParameterStatuses: map[string]string{}, CustomData: map[string]any{},
	})
}

// sqlState returns the code of a server's error, of the driver or of a login; "" if it is none.
//
// https://www.postgresql.org/docs/17/errcodes-appendix.html
func sqlState(err error) string {
	if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		return said.Code
	}
	refusal, ok := errors.AsType[codec.Error](err)
	const head = 5 // the message's kind and length
	if !ok || len(refusal.Raw) < head {
		return ""
	}
	var said pgproto3.ErrorResponse
	if said.Decode([]byte(refusal.Raw[head:])) != nil {
		return ""
	}
	return said.Code
}
