package guard

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"sluice/bench/e2e/wire"
)

// What a client of a funnel asks. With a prepared statement it is that of pgbench, and its name at the
// server is Sluice's own.
const (
	funnelText  = "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;"
	funnelName  = "P0_1"
	funnelValue = "4711"
	funnelRow   = "-1234"
)

// funnelPool is how many server connections clients share.
const funnelPool = 4

// funnels are the shapes of queries whose clients share server connections.
var funnels = []load{
	{
		name: "pg-simple funnel", protocol: "postgres", pool: funnelPool, reply: replyPG,
		request: wire.Query(funnelText), answer: wire.Join(pgResult(), wire.Ready('I')),
		accept: acceptPG, login: loginPG,
	},
	{
		name: "pg-extended funnel", protocol: "postgres", pool: funnelPool, reply: replyPG,
		request: wire.Join(wire.Parse("", funnelText), wire.Bind("", "", funnelValue), wire.Describe('P', ""), wire.Execute("", 0), wire.Sync()),
		answer:  wire.Join(wire.Msg('1', nil), wire.Msg('2', nil), pgResult(), wire.Ready('I')),
		accept:  acceptPG, login: loginPG,
	},
	{
		name: "pg-prepared funnel", protocol: "postgres", pool: funnelPool, reply: replyPG,
		request: wire.Join(wire.Bind("", funnelName, funnelValue), wire.Describe('P', ""), wire.Execute("", 0), wire.Sync()),
		answer:  wire.Join(wire.Msg('2', nil), pgResult(), wire.Ready('I')),
		accept:  acceptPG, login: loginPrepared,
	},
}

// pgResult is the result of the one query.
func pgResult() []byte {
	return wire.Join(rowDescription("abalance"), dataRow(funnelRow), wire.Complete("SELECT 1"))
}

// loginPrepared is a login with a statement prepared behind it.
func loginPrepared(addr string) (net.Conn, error) {
	c, err := wire.DialPG(addr)
	if err != nil {
		return nil, err
	}
	c.Login()
	c.Ask("Z", wire.Parse(funnelName, funnelText), wire.Sync())
	return c.Conn, c.Fault()
}

// errUnasked is a message that nobody who asks this query sends.
var errUnasked = errors.New("not what is due")

// replyPG answers a message of Sluice's. Besides the query Sluice asks, at the login of the first
// client, what is set in the session.
func replyPG(kind byte, body []byte) ([]byte, error) {
	due := true
	var answer []byte
	switch kind {
	case 'Q':
		if bytes.Contains(body, []byte("pg_catalog.pg_settings")) {
			return wire.Join(wire.OneColumn("look"), wire.Complete("SELECT 0"), wire.Ready('I')), nil
		}
		due = string(body) == funnelText+"\x00"
		answer = wire.Join(pgResult(), wire.Ready('I'))
	case 'P':
		due = strings.Contains(string(body), funnelText)
		answer = wire.Msg('1', nil)
	case 'B':
		due = bytes.Contains(body, []byte(funnelValue)) && !bytes.Contains(body, []byte(funnelName))
		answer = wire.Msg('2', nil)
	case 'D':
		answer = rowDescription("abalance")
	case 'E':
		answer = wire.Join(dataRow(funnelRow), wire.Complete("SELECT 1"))
	case 'S':
		answer = wire.Ready('I')
	default:
		due = false
	}
	if !due {
		return nil, fmt.Errorf("%w: %q %q", errUnasked, kind, body)
	}
	return answer, nil
}

// converse answers message by message, and sends when a client would read: behind a Query or a Sync.
func (b *backend) converse(c net.Conn) error {
	in := bufio.NewReader(c)
	var out []byte
	for {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		kind, body, err := wire.ReadMsg(in)
		if errors.Is(err, io.EOF) || kind == 'X' {
			return nil
		}
		if err != nil {
			return err
		}
		answer, err := b.load.reply(kind, body)
		if err != nil {
			return err
		}
		if out = append(out, answer...); kind != 'Q' && kind != 'S' {
			continue
		}
		if err := b.await(); err != nil {
			return err
		}
		if err := send(c, out); err != nil {
			return err
		}
		out = out[:0]
	}
}
