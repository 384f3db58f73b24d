package upstream

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"

	"sluice/codec"
	"sluice/router/access"
)

// talking is a connection by which Sluice itself asks or hears something. What of that is PostgreSQL's own
// is in this file: its words, its codes, and the driver.
type talking struct{ conn *pgconn.PgConn }

// heard takes a notification.
type heard func(from uint32, channel, payload string)

// talkMax bounds, in bytes, a message of a server to Sluice itself: what is asked has short answers, and
// a notification at most 8000 (https://www.postgresql.org/docs/17/sql-notify.html).
const talkMax = 64 << 10

var errNoCancel = errors.New("what Sluice asks for itself is not cancelled")

// construct hands a connection behind its login to the driver.
func construct(conn net.Conn, take heard) (*talking, error) {
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
			if take != nil {
				take(n.PID, n.Channel, n.Payload)
			}
		},
		MaxProtocolMessageBodyLen: talkMax,
	}
	pc, err := pgconn.Construct(&pgconn.HijackedConn{
		Conn: conn, TxStatus: 'I', Config: cfg,
		ParameterStatuses: map[string]string{}, CustomData: map[string]any{},
	})
	if err != nil {
		return nil, err
	}
	return &talking{pc}, nil
}

// close says goodbye.
func (c *talking) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = c.conn.Close(ctx)
}

// closed tells that the connection has ended.
func (c *talking) closed() bool { return c.conn.IsClosed() }

var (
	errRows    = errors.New("the query for users gave several rows")
	errColumns = errors.New("the query for users gave fewer than two columns")
)

// lookUp runs the query for a user. Its answer is no row, or one with the name and the secret in front.
func (c *talking) lookUp(ctx context.Context, query, name string) (s codec.Secret, known bool, err error) {
	rows := c.conn.ExecParams(ctx, query, [][]byte{[]byte(name)}, nil, nil, nil)
	var strange error
	for n := 0; rows.NextRow(); n++ { // to the end, so that the connection can be used again
		v := rows.Values()
		switch {
		case n > 0:
			strange = errRows
		case len(v) < 2:
			strange = errColumns
		case v[0] != nil && string(v[0]) == name:
			known, s = true, access.SecretOf(string(v[1]))
		default: // a function that returns a record gives one of nulls where it finds nothing
		}
	}
	if _, err = rows.Close(); err == nil {
		err = strange
	}
	if err != nil {
		return codec.Secret{}, false, err
	}
	return s, known, nil
}

// listen and unlisten tell the server of a channel.
func (c *talking) listen(ctx context.Context, channel string) error {
	return c.conn.Exec(ctx, "listen "+quoteName(channel)).Close()
}

func (c *talking) unlisten(ctx context.Context, channel string) error {
	return c.conn.Exec(ctx, "unlisten "+quoteName(channel)).Close()
}

// wait waits for a notification.
func (c *talking) wait(ctx context.Context) error { return c.conn.WaitForNotification(ctx) }

// quoteName writes a name as an identifier that can't be taken for anything else,
// https://www.postgresql.org/docs/17/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// nameMax is where servers cut a channel's name, in bytes (as above).
const nameMax = 63

// clip cuts a name as servers do.
func clip(name string) string {
	if len(name) <= nameMax {
		return name
	}
	end := nameMax
	for end > 0 && !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}

// talkParams say how Sluice's own connections show up at the server.
var talkParams = []codec.Param{{Name: "application_name", Value: "sluice"}}

// hubParams are those of the startup of a listening connection: text is in UTF-8 whatever the database's
// encoding.
var hubParams = []codec.Param{{Name: "client_encoding", Value: "UTF8"}}

// refused tells that an error is a server's answer to a command, behind which the connection can go on.
func refused(err error) bool {
	_, said := errors.AsType[*pgconn.PgError](err)
	return said
}

// told is err for a client: a server's words as they are.
func told(err error) error {
	said, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	raw, encodeErr := (&pgproto3.ErrorResponse{Severity: said.Severity, SeverityUnlocalized: said.SeverityUnlocalized,
		Code: said.Code, Message: said.Message, Detail: said.Detail, Hint: said.Hint}).Encode(nil)
	if encodeErr != nil {
		return err
	}
	return codec.Error{Cond: codec.NoBackend, Text: said.Message, Raw: string(raw)}
}

// noDatabase tells an error by which a server says that there is no such database: invalid_catalog_name.
func noDatabase(err error) bool { return sqlState(err) == "3D000" }

// noName tells an error by which a server says that a name is no text in its encoding:
// character_not_in_repertoire or untranslatable_character.
func noName(err error) bool { return slices.Contains([]string{"22021", "22P05"}, sqlState(err)) }

// isSaid tells that an error is a server's own word.
func isSaid(err error) bool { return sqlState(err) != "" }

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
