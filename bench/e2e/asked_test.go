package e2e

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"sluice/bench/e2e/real"
)

// A remnant is what a statement leaves for the next one to ask for.
type remnant struct{ name, statement, question, want string }

// asksOf waits until Sluice has asked once more for a session's state, or has found that it must not.
func asksOf(t *testing.T, s *real.Sluice) (wait func()) {
	t.Helper()
	count := func() (sum float64) {
		for _, result := range []string{"moved", "not_placed"} {
			if n, err := s.Metric("sluice_states_asked_total", fmt.Sprintf("result=%q", result)); err == nil {
				sum += n
			}
		}
		return sum
	}
	before := count()
	return func() {
		t.Helper()
		eventually(t, func() error {
			if count() == before {
				return fmt.Errorf("the state was not asked for")
			}
			return nil
		})
	}
}

// leavesAll holds that a session which rests for so long that its state is asked for finds what its last statement has left.
func leavesAll(t *testing.T, s *real.Sluice, db *sql.DB, every []remnant) {
	db.SetMaxIdleConns(-1) // each has a session of its own
	for _, r := range every {
		t.Run(r.name, func(t *testing.T) {
			c := single(t, db)
			wait := asksOf(t, s)
			if _, err := c.ExecContext(within(t, soon), r.statement); err != nil {
				t.Fatal(err)
			}
			wait()
			rows, err := c.QueryContext(within(t, soon), r.question)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			columns, err := rows.Columns()
			if err != nil || !rows.Next() {
				t.Fatalf("%s has no rows: %v, %v", r.question, err, rows.Err())
			}
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(sql.RawBytes)
			}
			if err := rows.Scan(values...); err != nil {
				t.Fatal(err)
			}
			var got string
			for _, v := range values {
				got += string(*v.(*sql.RawBytes)) + " "
			}
			if !strings.Contains(got, r.want) {
				t.Errorf("%s says %.300s, want %s", r.question, got, r.want)
			}
		})
	}
}

// TestTiDBAskedLeavesAll rests at TiDB.
func TestTiDBAskedLeavesAll(t *testing.T) {
	every := trio(t)[:1]
	addr := real.FreeAddr()
	s := startSluice(t, racy(t), tidbDoor(addr, []string{every[0].Addr}, "[cluster.migrate]", `keep-state = "100ms"`)+
		userSection("app", "password", real.Password))
	await(t, s, 1, "sluice_backend_up")
	leavesAll(t, s, openMySQL(t, addr, "app", ""), []remnant{
		{"rows", "insert into app.counted (note) values ('one'), ('two')", "select concat('rows: ', row_count())", "rows: 2"},
		{"isolation of the next transaction", "set transaction isolation level read committed", "show session_states", `"tx_isolation_one_shot": "READ-COMMITTED"`},
	})
}

// TestMariaDBAskedLeavesAll rests at MariaDB.
func TestMariaDBAskedLeavesAll(t *testing.T) {
	m := startMovingMaria(t, racy(t), pairMaria(t)[:1], "[cluster.migrate]", `keep-state = "100ms"`)
	leavesAll(t, m.Sluice, openMySQL(t, m.addr, "app", ""), []remnant{
		{"rows", "insert into app.moved (note) values ('one'), ('two')", "select concat('rows: ', row_count())", "rows: 2"},
		{"warnings", "insert ignore into app.moved (note) values (repeat('x', 101))", "show warnings", "Data truncated"},
	})
}
