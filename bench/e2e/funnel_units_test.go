package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// TestFunnelStatement: with the unit statement every statement may run on another server connection. What a
// client sets and prepares is its own all the same; a transaction ends its session.
func TestFunnelStatement(t *testing.T) {
	s, addr := startFunnel(t, "pool-size = 1", `unit = "statement"`)
	t.Run("statements of many", func(t *testing.T) {
		eachClient(t, addr, 20, func(id int, c *pgconn.PgConn) error {
			zone := fmt.Sprintf("<+%02d>-%02d", id%10, id%10)
			if _, err := c.Exec(t.Context(), "set timezone = '"+zone+"'").ReadAll(); err != nil {
				return err
			}
			if _, err := c.Prepare(t.Context(), "mine", fmt.Sprintf("select $1::int + %d, current_setting('timezone')", id), nil); err != nil {
				return err
			}
			for n := range 10 {
				r := c.ExecPrepared(t.Context(), "mine", [][]byte{fmt.Append(nil, n)}, nil, nil).Read()
				if r.Err != nil {
					return r.Err
				}
				if got, want := fmt.Sprintf("%s %s", r.Rows[0][0], r.Rows[0][1]), fmt.Sprint(n+id, " ", zone); got != want {
					return fmt.Errorf("got %s, want %s", got, want)
				}
			}
			return nil
		})
	})
	t.Run("several in one query are one unit", func(t *testing.T) {
		c := connect(t, funnelDSN(addr, "app", "")).PgConn()
		all, err := c.Exec(t.Context(), "select 1; select 2").ReadAll()
		if err != nil || len(all) != 2 || string(all[1].Rows[0][0]) != "2" {
			t.Errorf("got %v, %v", all, err)
		}
	})
	for _, begin := range []string{"begin", "start transaction", "select 1; begin; select 2"} {
		t.Run(begin, func(t *testing.T) {
			c := connect(t, funnelDSN(addr, "app", ""))
			_, err := c.Exec(t.Context(), begin, pgx.QueryExecModeSimpleProtocol)
			if err == nil {
				_, err = c.Exec(t.Context(), "select 1", pgx.QueryExecModeSimpleProtocol)
			}
			if code := codeOf(err); !strings.HasPrefix(code, "0A000 ") {
				t.Errorf("got %s", code)
			}
			other := connect(t, funnelDSN(addr, "app", ""))
			if got := asked(t, other, "select (pg_current_xact_id_if_assigned() is null)::text"); got != "true" {
				t.Errorf("the next client is in a transaction")
			}
		})
	}
	await(t, s, 0, "sluice_pool_server_connections", `state="active"`)
}

// TestFunnelSession: with the unit session a client has its server connection until it goes. The next one
// gets the same, and finds nothing on it.
func TestFunnelSession(t *testing.T) {
	_, addr := startFunnel(t, "pool-size = 1", `unit = "session"`)
	const traces = `select concat_ws(' ', pg_backend_pid(), to_regclass('mine') is not null, current_setting('work_mem'),
		(select count(*) from pg_prepared_statements where name = 'p'), (select count(*) from pg_locks where locktype = 'advisory'),
		(select count(*) from pg_listening_channels()), (select count(*) from pg_cursors where name = 'c'), current_user = session_user)`
	simple := "&default_query_exec_mode=simple_protocol"
	for _, end := range []string{"by goodbye", "without a word", "in a transaction"} {
		t.Run(end, func(t *testing.T) {
			a := connect(t, funnelDSN(addr, "app", simple))
			carryOut(t, a, "create temp table mine (n int)", "set work_mem = '7MB'", "prepare p as select 1", "select pg_advisory_lock(9)",
				"listen mine", "declare c cursor with hold for select 1")
			pid := asked(t, a, "select pg_backend_pid()::text")
			if got, want := asked(t, a, traces), pid+" t 7MB 1 1 1 1 t"; got != want {
				t.Errorf("the client finds %q, want %q", got, want)
			}
			switch end {
			case "by goodbye":
				if err := a.Close(within(t, soon)); err != nil {
					t.Fatal(err)
				}
			case "in a transaction":
				carryOut(t, a, "begin", "create temp table other (n int)")
				fallthrough
			default:
				if err := a.PgConn().Conn().Close(); err != nil {
					t.Fatal(err)
				}
			}
			b := connect(t, funnelDSN(addr, "app", simple)) // waits for the only server connection
			defer b.Close(context.Background())
			if got, want := asked(t, b, traces), pid+" f 4MB 0 0 0 0 t"; got != want {
				t.Errorf("the next client finds %q, want %q", got, want)
			}
		})
	}
}
