package upstream

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/go-sql-driver/mysql"

	"sluice/codec"
)

// tlsStarter is a protocol in which a client asks for TLS before it says anything else.
type tlsStarter interface {
	// AppendTLSRequest appends the request. The server answers with one byte, accepted if it will.
	AppendTLSRequest(dst []byte) (request []byte, accepted byte)
}

// Cancel has the backend cancel what the session with that key runs, on a connection of its own. It
// returns when the backend has closed that connection, which is its only answer, or after timeout.
func (c *Cluster) Cancel(b *Backend, key codec.Key, timeout time.Duration) error {
	opt := c.Options()
	msg := opt.Protocol.AppendCancel(nil, key)
	if msg == nil {
		return errors.New("the protocol has no cancel request")
	}
	end := time.Now().Add(timeout)
	conn, err := net.DialTimeout("tcp", b.addr, timeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(end)
	if _, err := conn.Write(opt.Introduction()); err != nil {
		return err
	}
	if conn, err = opt.secure(conn, b); err != nil {
		return err
	}
	if _, err := conn.Write(msg); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(conn, probeMax))
	var reset *net.OpError
	if errors.As(err, &reset) && !reset.Timeout() || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil // closed all the same; over TLS mostly without a goodbye
	}
	return err
}

// secure puts TLS on a connection, if the cluster's connections have it.
func (o *Options) secure(conn net.Conn, b *Backend) (net.Conn, error) {
	starter, ok := o.Protocol.(tlsStarter)
	if !ok || o.TLSMode < codec.TLSPrefer {
		return conn, nil
	}
	request, accepted := starter.AppendTLSRequest(nil)
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return nil, err
	}
	if answer[0] != accepted {
		if o.TLSMode.Required() {
			return nil, errors.New("the server does not speak TLS")
		}
		return conn, nil
	}
	return tls.Client(conn, o.TLSConfig(b)), nil
}

// CancelTimeout is how long a cancel request or a KILL may take at its backend.
const CancelTimeout = 10 * time.Second

// ErrNoControl says that the cluster has no account for Sluice's own commands.
var ErrNoControl = errors.New("the cluster has no control user")

// ErrUnknownThread says that the backend has no connection with that id (any more).
var ErrUnknownThread = errors.New("the server does not know the thread id")

// unknownThread is the server's code for it,
// https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html#error_er_no_such_thread.
const unknownThread = 1094

// Kill has a MySQL backend end the query (query true) or the connection with that id, by the cluster's
// control account.
func (c *Cluster) Kill(b *Backend, id uint32, query bool, timeout time.Duration) error {
	opt := c.Options()
	if opt.ControlUser == "" {
		return ErrNoControl
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr = "tcp", b.addr
	cfg.User, cfg.Passwd = opt.ControlUser, opt.ControlPassword
	cfg.Timeout = timeout
	cfg.Logger = nopLogger{}
	if first := opt.Introduction(); first != nil {
		cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil {
				_, err = conn.Write(first)
			}
			return conn, err
		}
	}
	if opt.TLSMode >= codec.TLSPrefer {
		cfg.TLS = opt.TLSConfig(b)
		cfg.AllowFallbackToPlaintext = !opt.TLSMode.Required()
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	what := "CONNECTION"
	if query {
		what = "QUERY"
	}
	_, err = db.ExecContext(ctx, fmt.Sprintf("KILL %s %d", what, id))
	var told *mysql.MySQLError
	if errors.As(err, &told) && told.Number == unknownThread {
		return ErrUnknownThread
	}
	return err
}

// nopLogger keeps the driver from writing to standard error: its errors are returned too.
type nopLogger struct{}

func (nopLogger) Print(...any) {}
