package console

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/codec"
)

// fake is a Source that notes what it is ordered and shows what a test put there.
type fake struct {
	calls   []string
	err     error // of the next order
	paused  bool
	wait    bool // PAUSE and WAIT_CLOSE wait for their context
	ordered []string
	pools   []Pool
	stats   []Stats
}

func (f *fake) call(name, arg string) error {
	f.calls = append(f.calls, strings.TrimSpace(name+" "+arg))
	err := f.err
	f.err = nil
	return err
}

func (f *fake) waits(ctx context.Context, name, db string) error {
	if err := f.call(name, db); err != nil || !f.wait {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (f *fake) Version() string { return "test" }
func (f *fake) State() State    { return State{Clients: 7, Logins: 2, Paused: f.paused} }
func (f *fake) Pools() []Pool   { return f.pools }
func (f *fake) Stats() []Stats  { return f.stats }

var birth = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func (f *fake) Clients() []Client {
	socket := func(id uint64, state string, waiting int) Socket {
		return Socket{ID: id, Listener: "pg", User: "app", Database: "shop", State: state, Since: birth, Asked: birth.Add(time.Second),
			Addr: netip.MustParseAddrPort("10.0.0.9:4000"), Local: netip.MustParseAddrPort("[::ffff:10.0.0.1]:6432"),
			ApplicationName: "web", Replication: "none", Prepared: 3, Backend: "10.0.1.1:5432", Buffered: waiting}
	}
	return []Client{
		{Socket: socket(1, "active", 10), Server: 5, Transaction: "open", Owed: 2},
		{Socket: socket(2, "waiting", 0), Wait: 2*time.Second + 5*time.Microsecond},
		{Socket: Socket{ID: 3, State: "login", Replication: "none"}},
		{Socket: socket(4, "console", 0)},
	}
}

func (f *fake) Servers() []Server {
	return []Server{
		{Socket: Socket{ID: 5, User: "app", Database: "shop", State: "active", Replication: "none", Pin: "temp-table"}, Client: 1, PID: 0x80000001},
		{Socket: Socket{ID: 6, User: "app", Database: "shop", State: "new", Replication: "none"}, Closing: true},
	}
}

func (f *fake) Databases() []Database {
	return []Database{{Name: "shop", Host: "10.0.1.1", Port: 5432, Target: "shop_v2", Size: 20, Min: 1, Reserve: 2,
		Lifetime: time.Hour, MaxServers: 50, MaxClients: 100, Paused: true}, {Name: "log", Target: "log", ForceUser: "logger", Unit: "session", Disabled: true}}
}

func (f *fake) Users() []User {
	return []User{{Name: "app", Size: 5, MaxServers: 9, MaxClients: 8}, {Name: "idle", Reserve: 1, Unit: "statement"}}
}
func (f *fake) Backends() []Backend {
	return []Backend{{Cluster: "main", Addr: "10.0.1.1:5432", Role: "leader", Health: "up", Sessions: 4}}
}
func (f *fake) Statements() []Statements { return []Statements{{0, 12, 3400}} }
func (f *fake) Settings() []Setting {
	return []Setting{{"log.level", "info", "info", true}, {"engine.loops", "2", "0", false}}
}
func (f *fake) Memory() []Memory { return []Memory{{"heap", 1, 2, 3, 5}} }

func (f *fake) Ordered(who Who, command string) { f.ordered = append(f.ordered, who.User+": "+command) }
func (f *fake) Pause(ctx context.Context, db string) error {
	return f.waits(ctx, "pause", db)
}
func (f *fake) WaitClose(ctx context.Context, db string) error { return f.waits(ctx, "wait-close", db) }
func (f *fake) Resume(db string) error                         { return f.call("resume", db) }
func (f *fake) Disable(db string) error                        { return f.call("disable", db) }
func (f *fake) Enable(db string) error                         { return f.call("enable", db) }
func (f *fake) Kill(db string) error                           { return f.call("kill", db) }
func (f *fake) KillClient(id uint64) error                     { return f.call("kill-client", fmt.Sprint(id)) }
func (f *fake) Reconnect(db string) error                      { return f.call("reconnect", db) }
func (f *fake) Reload() error                                  { return f.call("reload", "") }
func (f *fake) Shutdown(s Shutdown) error                      { return f.call("shutdown", fmt.Sprint(s)) }
func (f *fake) Set(key, value string) error                    { return f.call("set", key+"="+value) }

var (
	admin   = Who{User: "root", Admin: true}
	watcher = Who{User: "mon"}
)

// said is an answer in short.
func said(a codec.Answer) string {
	switch {
	case a.Err != nil:
		return fmt.Sprintf("error %d: %s", a.Err.Cond, a.Err.Text)
	case a.Table != nil:
		return fmt.Sprint(a.Table.Rows)
	case a.Note != nil:
		return a.Tag + ", " + a.Note.Text
	}
	return a.Tag
}

// TestOrders carries out each order, and refuses those that make no sense.
func TestOrders(t *testing.T) {
	tests := []struct {
		text  string
		err   error // of the source
		want  string
		calls string
	}{
		{text: "PAUSE", want: "PAUSE", calls: "pause"},
		{text: "pause shop;", want: "PAUSE", calls: "pause shop"},
		{text: ` Pause "Sh""op" ; ; `, want: "PAUSE", calls: `pause Sh"op`},
		{text: "PAUSE shop", err: ErrNoDatabase, want: "error 31: no such database: shop", calls: "pause shop"},
		{text: "PAUSE a b", want: "error 26: PAUSE has too many words"},
		{text: `PAUSE ""`, want: "error 26: the name of a database is empty"},
		{text: "PAUSE pgbouncer", want: `error 28: PAUSE can not be used on the admin console's own database "pgbouncer"`},
		{text: "KILL sluice", want: `error 28: KILL can not be used on the admin console's own database "sluice"`},
		{text: "PAUSE 'shop", want: "error 26: a quote does not end"},
		{text: "PAUSE shop; RESUME", want: "error 26: PAUSE has too many words"},
		{text: "RESUME", want: "RESUME", calls: "resume"},
		{text: "RESUME", err: ErrNotPaused, want: "error 29: nothing is paused", calls: "resume"},
		{text: "RESUME shop", err: ErrNotPaused, want: "error 29: database shop is not paused", calls: "resume shop"},
		{text: "DISABLE shop", want: "DISABLE", calls: "disable shop"},
		{text: "DISABLE", want: "error 26: DISABLE needs the name of a database"},
		{text: "ENABLE shop", want: "ENABLE", calls: "enable shop"},
		{text: "ENABLE", want: "error 26: ENABLE needs the name of a database"},
		{text: "RECONNECT", want: "RECONNECT", calls: "reconnect"},
		{text: "RECONNECT shop", want: "RECONNECT", calls: "reconnect shop"},
		{text: "KILL", want: "KILL", calls: "kill"},
		{text: "KILL shop", want: "KILL", calls: "kill shop"},
		{text: "KILL_CLIENT 12", want: "KILL_CLIENT", calls: "kill-client 12"},
		{text: "KILL_CLIENT 12", err: ErrNoClient, want: "error 32: no such client: 12", calls: "kill-client 12"},
		{text: "KILL_CLIENT", want: "error 26: KILL_CLIENT needs the id of a client"},
		{text: "KILL_CLIENT 0x12", want: `error 26: "0x12" is not the id of a client`},
		{text: "WAIT_CLOSE", want: "WAIT_CLOSE", calls: "wait-close"},
		{text: "WAIT_CLOSE shop", want: "WAIT_CLOSE", calls: "wait-close shop"},
		{text: "RELOAD", want: "RELOAD", calls: "reload"},
		{text: "RELOAD", err: errors.New("line 3: no"), want: "error 0: RELOAD failed: line 3: no", calls: "reload"},
		{text: "RELOAD now", want: "error 26: RELOAD has too many words"},
		{text: "SHUTDOWN", want: "SHUTDOWN", calls: "shutdown 0"},
		{text: "SHUTDOWN WAIT_FOR_SERVERS", want: "SHUTDOWN", calls: "shutdown 1"},
		{text: "shutdown wait_for_clients", want: "SHUTDOWN", calls: "shutdown 2"},
		{text: "SHUTDOWN later", want: "error 26: SHUTDOWN takes WAIT_FOR_SERVERS, WAIT_FOR_CLIENTS or nothing"},
		{text: "SET log.level = 'debug'", want: "SET", calls: "set log.level=debug"},
		{text: "SET log.level TO debug", want: "SET", calls: "set log.level=debug"},
		{text: "SET x=1", err: ErrNoSetting, want: "error 32: no such setting: x", calls: "set x=1"},
		{text: "SET engine.loops=1", err: ErrFixed, want: "error 28: engine.loops can not be changed by SET", calls: "set engine.loops=1"},
		{text: "SET log.level=loud", err: errors.New("no such word"), want: "error 26: log.level: no such word", calls: "set log.level=loud"},
		{text: "SUSPEND", want: "error 28: SUSPEND is not supported: it serves an online restart of PgBouncer; PAUSE holds clients back"},
		{text: "SHOW FDS", want: "error 28: SHOW FDS is not supported: file descriptors are not handed to other processes"},
		{text: "MAKE COFFEE", want: `error 26: invalid command "MAKE COFFEE"`},
		{text: `"PAUSE"`, want: `error 26: invalid command "\"PAUSE\""`},
		{text: "SHOW", want: `error 26: invalid command "SHOW"`},
		{text: `SHOW "POOLS"`, want: `error 26: invalid command "SHOW \"POOLS\""`},
		{text: strings.Repeat("x", 300), want: `error 26: invalid command "` + strings.Repeat("x", 100) + `…"`},
		{text: " ; -- nothing", want: ""},
		{text: "SHOW HELP", want: "SHOW, Console usage"},
	}
	for _, tt := range tests {
		f := &fake{err: tt.err}
		if got := said(New(f).Run(t.Context(), admin, tt.text)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.text, got, tt.want)
		}
		if got := strings.Join(f.calls, ", "); got != tt.calls {
			t.Errorf("%s: ordered %q, want %q", tt.text, got, tt.calls)
		}
		if want := tt.calls != ""; (len(f.ordered) == 1) != want {
			t.Errorf("%s: the log has %q", tt.text, f.ordered)
		}
	}
}

// TestOrdersAreNoted, as they were given; but a secret that somebody tries to set stays out of the log.
func TestOrdersAreNoted(t *testing.T) {
	f := &fake{}
	c := New(f)
	for _, text := range []string{" pause shop ", "SET log.level = debug", "SET admin.password = 'geheim'", "SET pasword = geheim"} {
		c.Run(t.Context(), admin, text)
	}
	want := "root: pause shop|root: SET log.level = debug|root: SET admin.password|root: SET pasword"
	if got := strings.Join(f.ordered, "|"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestHelpNamesEverything: each command that there is, and nothing else.
func TestHelpNamesEverything(t *testing.T) {
	a := New(&fake{}).Run(t.Context(), admin, "SHOW HELP")
	for name := range shows {
		if !strings.Contains(a.Note.Detail, "|"+name) {
			t.Errorf("SHOW %s is missing", name)
		}
	}
	for name := range orders {
		if !strings.Contains(a.Note.Detail, "\t"+name) {
			t.Errorf("%s is missing", name)
		}
	}
	for _, line := range usage() {
		verb, _, _ := strings.Cut(line, " ")
		if cmd, known := parseOrder(word{text: verb}, []word{{text: "key"}, {text: "="}, {text: "value"}}); !known || cmd.rows != nil {
			t.Errorf("%s is no order", verb)
		}
	}
}

// TestWatchersOnlyLook: who is no admin may ask for everything and order nothing.
func TestWatchersOnlyLook(t *testing.T) {
	f := &fake{}
	c := New(f)
	for name := range shows {
		if a := c.Run(t.Context(), watcher, "SHOW "+name); a.Err != nil || !Asks("SHOW "+name) {
			t.Errorf("SHOW %s: %v", name, a.Err)
		}
	}
	for _, text := range []string{"PAUSE", "RESUME", "DISABLE a", "ENABLE a", "RECONNECT", "KILL", "KILL_CLIENT 1", "WAIT_CLOSE",
		"RELOAD", "SHUTDOWN", "SHUTDOWN WAIT_FOR_CLIENTS", "SET log.level = debug"} {
		a := c.Run(t.Context(), watcher, text)
		if a.Err == nil || a.Err.Cond != codec.CommandDenied || Asks(text) {
			t.Errorf("%s: %s", text, said(a))
		}
	}
	if len(f.calls)+len(f.ordered) > 0 {
		t.Errorf("ordered %q", f.calls)
	}
}

// TestPauseThatWaits: cancelled by its user it is taken back; otherwise it stays.
func TestPauseThatWaits(t *testing.T) {
	tests := []struct {
		text, calls string
		cause       error
	}{
		{"PAUSE shop", "pause shop, resume shop", codec.ErrCancelled},
		{"PAUSE", "pause, resume", codec.ErrCancelled},
		{"PAUSE shop", "pause shop", nil},
		{"WAIT_CLOSE", "wait-close", codec.ErrCancelled},
	}
	for _, tt := range tests {
		f := &fake{wait: true}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(tt.cause)
		a := New(f).Run(ctx, admin, tt.text)
		if a.Err == nil || a.Err.Cond != codec.CommandCancelled {
			t.Errorf("%s: %s", tt.text, said(a))
		}
		if got := strings.Join(f.calls, ", "); got != tt.calls {
			t.Errorf("%s, %v: %q, want %q", tt.text, tt.cause, got, tt.calls)
		}
	}
	f := &fake{paused: true}
	if a := New(f).Run(t.Context(), admin, "PAUSE"); a.Err == nil || a.Err.Cond != codec.CommandNotNow || len(f.calls) > 0 {
		t.Errorf("a second PAUSE: %s, %q", said(a), f.calls)
	}
}

// TestDrivers answers what drivers send without being told to.
func TestDrivers(t *testing.T) {
	tests := map[string]string{
		"SELECT 1":                                             "[[1]]",
		"select version()":                                     "[[PostgreSQL 16.0 (Sluice test, admin console)]]",
		"SELECT pg_catalog.version();":                         "[[PostgreSQL 16.0 (Sluice test, admin console)]]",
		"SELECT current_database()":                            "[[sluice]]",
		"SELECT current_user":                                  "[[mon]]",
		"SELECT pg_advisory_unlock_all()":                      "[[]]",
		"SHOW TRANSACTION ISOLATION LEVEL":                     "[[read committed]]",
		"SHOW server_version":                                  "[[16.0]]",
		"show Client_Encoding":                                 "[[UTF8]]",
		"SET extra_float_digits = 3":                           "SET, SET ignored",
		"SET application_name = 'DBeaver'":                     "SET, SET ignored",
		"SET SESSION statement_timeout TO 0":                   "SET, SET ignored",
		"SET DateStyle TO ISO, MDY":                            "SET, SET ignored",
		"SET TIME ZONE 'UTC'":                                  "SET, SET ignored",
		"SET TRANSACTION READ ONLY":                            "SET, SET ignored",
		"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY": "SET, SET ignored",
		"RESET ALL":                                            "RESET",
		"RESET search_path":                                    "RESET",
		"DISCARD ALL":                                          "DISCARD ALL",
		"UNLISTEN *":                                           "UNLISTEN",
		"CLOSE ALL":                                            "CLOSE CURSOR ALL",
		"SELECT * FROM pg_class":                               "error 28: the admin console has no tables: SELECT * FROM PG_CLASS",
		"SELECT 'x'":                                           `error 28: the admin console has no tables: SELECT "x"`,
		"INSERT INTO t VALUES (1)":                             `error 26: invalid command "INSERT INTO t VALUES (1)"`,
	}
	for text, want := range tests {
		c := New(&fake{})
		a := c.Run(t.Context(), watcher, text)
		if got := said(a); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
		if a.Table != nil && !slices.Equal(a.Table.Columns, c.Columns(text)) {
			t.Errorf("%s: is described by %v", text, c.Columns(text))
		}
	}
}

// FuzzRun: no text makes the console panic, and none orders anything for somebody who may only look.
func FuzzRun(f *testing.F) {
	for _, text := range []string{"SHOW POOLS;", `PAUSE "a""b"`, "SET a = 'b", "SELECT version()", "--", "SET x TO (,)", ";;", "SHOW é"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		src := &fake{}
		c := New(src)
		a := c.Run(t.Context(), watcher, text)
		if len(src.calls) > 0 {
			t.Fatalf("%q ordered %q", text, src.calls)
		}
		if a.Table != nil && !slices.Equal(a.Table.Columns, c.Columns(text)) || a.Table == nil && c.Columns(text) != nil && a.Err == nil {
			t.Fatalf("%q is not described by its columns", text)
		}
	})
}
