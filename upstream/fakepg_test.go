package upstream

import (
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// fakePG is a PostgreSQL server as far as Sluice's own questions need one: it lets everybody in, answers
// one query, and notifies.
type fakePG struct {
	*server
	t *testing.T

	// refuse, if set, is the code with which it answers a startup.
	refuse func(params map[string]string) string
	// answer is what the query for users gives: rows of columns, or a code.
	answer func(name string) (rows [][]*string, code string)
	// deaf, if set, is the code with which it answers a command.
	deaf func(command string) string
	// hold, if set, is called before a command is answered.
	hold func(command string)

	mu       sync.Mutex
	startups []map[string]string
	asked    []string                       // names, one for each query
	commands []string                       // of the simple protocol
	backends map[net.Conn]*pgproto3.Backend // logged in
}

func startFakePG(t *testing.T) *fakePG {
	f := &fakePG{t: t, backends: map[net.Conn]*pgproto3.Backend{}}
	f.server = startServer(t, f.serve)
	return f
}

// pgCluster returns a cluster of servers at which Sluice can log in.
func pgCluster(t *testing.T, servers ...*fakePG) *Cluster {
	t.Helper()
	opt := options()
	opt.ConnectTimeout = patience
	opt.Protocol = unprobed{}
	for _, f := range servers {
		opt.Backends = append(opt.Backends, Spec{Addr: f.addr()})
	}
	return newCluster(t, opt)
}

func (f *fakePG) serve(c net.Conn) {
	b := pgproto3.NewBackend(c, c)
	start, err := b.ReceiveStartupMessage()
	if err != nil {
		return // a health check
	}
	startup, ok := start.(*pgproto3.StartupMessage)
	if !ok {
		return
	}
	params := maps.Clone(startup.Parameters)
	f.mu.Lock()
	f.startups = append(f.startups, params)
	f.mu.Unlock()
	if f.refuse != nil {
		if code := f.refuse(params); code != "" {
			b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: "no"})
			_ = b.Flush()
			return
		}
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if b.Flush() != nil {
		return
	}
	f.mu.Lock()
	f.backends[c] = b
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.backends, c)
		f.mu.Unlock()
	}()
	for f.step(b) == nil {
	}
}

var errGoodbye = errors.New("the client says goodbye")

// step answers one message.
func (f *fakePG) step(b *pgproto3.Backend) error {
	msg, err := b.Receive()
	if err != nil {
		return err
	}
	switch msg := msg.(type) {
	case *pgproto3.Terminate:
		return errGoodbye
	case *pgproto3.Bind:
		return f.query(b, string(msg.Parameters[0]), len(msg.Parameters))
	case *pgproto3.Query:
		return f.command(b, msg.String)
	}
	return nil
}

// query answers the query for users, when its last message is there.
func (f *fakePG) query(b *pgproto3.Backend, name string, params int) error {
	for {
		msg, err := b.Receive()
		if err != nil {
			return err
		}
		if _, last := msg.(*pgproto3.Sync); last {
			break
		}
	}
	f.mu.Lock()
	f.asked = append(f.asked, name)
	f.mu.Unlock()
	if params != 1 {
		f.t.Errorf("the query has %d parameters", params)
	}
	rows, code := f.answer(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	b.Send(&pgproto3.ParseComplete{})
	b.Send(&pgproto3.BindComplete{})
	if code != "" {
		b.Send(&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: code, Message: "no"})
	} else {
		columns := &pgproto3.RowDescription{}
		for _, row := range rows[:min(len(rows), 1)] {
			for range row {
				columns.Fields = append(columns.Fields, pgproto3.FieldDescription{Name: []byte("c"), DataTypeOID: 25})
			}
		}
		b.Send(columns)
		for _, row := range rows {
			data := &pgproto3.DataRow{}
			for _, v := range row {
				if v == nil {
					data.Values = append(data.Values, nil)
				} else {
					data.Values = append(data.Values, []byte(*v))
				}
			}
			b.Send(data)
		}
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
	}
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	return b.Flush()
}

// command answers a command of the simple protocol.
func (f *fakePG) command(b *pgproto3.Backend, text string) error {
	if f.hold != nil {
		f.hold(text)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commands = append(f.commands, text)
	code := ""
	if f.deaf != nil {
		code = f.deaf(text)
	}
	if code != "" {
		b.Send(&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: code, Message: "no"})
	} else {
		tag, _, _ := strings.Cut(text, " ")
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte(strings.ToUpper(tag))})
	}
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	return b.Flush()
}

// notify sends a notification on all connections and returns their number.
func (f *fakePG) notify(channel, payload string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.backends {
		b.Send(&pgproto3.NotificationResponse{PID: 7, Channel: channel, Payload: payload})
		_ = b.Flush()
	}
	return len(f.backends)
}

// cut closes all connections, as a restart does.
func (f *fakePG) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.backends {
		c.Close()
	}
}

// logins is the number of connections that came to the end of a login, and seen what was asked on them.
func (f *fakePG) logins() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.startups)
}

func (f *fakePG) seen() (asked, commands []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked), slices.Clone(f.commands)
}

// open is the number of connections that are logged in.
func (f *fakePG) open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.backends)
}

// text is a column.
func text(s string) *string { return &s }
