package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"sluice/codec"
)

var errNoSharing = errors.New("the protocol has no logins of Sluice's own")

// talk opens a connection to a backend by which Sluice itself asks or hears something. The login is the
// protocol's own machine, which has more to log in with than a driver does: what a client's proof has
// shown will do. heard hears of notifications; it may be nil. Nothing in cfg may come from a client
// but who it is for: user, database and secret.
func (c *Cluster) talk(ctx context.Context, b *Backend, cfg codec.OpenerConfig, heard heard) (*talking, error) {
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
	cfg.Params = slices.Concat(cfg.Params, talkParams)
	if first := opt.Introduction(); first != nil {
		if _, err := conn.Write(first); err != nil {
			conn.Close()
			return nil, err
		}
	}
	secured, rest, err := login(ctx, conn, sharer.NewOpener(&cfg), func() *tls.Config { return opt.TLSConfig(b) })
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return construct(&readAhead{Conn: secured, ahead: rest}, heard)
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
