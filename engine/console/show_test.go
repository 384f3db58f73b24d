package console

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/codec"
)

// manual has the columns of each of PgBouncer's tables, in its order: https://www.pgbouncer.org/usage.html
// and the answers of version 1.25.
var manual = map[string]string{
	"POOLS": "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel sv_being_canceled " +
		"sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode load_balance_hosts",
	"CLIENTS":        sockets,
	"SERVERS":        sockets,
	"SOCKETS":        sockets + " recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail send_avail",
	"ACTIVE_SOCKETS": sockets + " recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail send_avail",
	"DATABASES": "name host port database force_user pool_size min_pool_size reserve_pool_size server_lifetime pool_mode load_balance_hosts " +
		"max_connections current_connections max_client_connections current_client_connections paused disabled",
	"USERS": "name pool_size reserve_pool_size pool_mode max_user_connections current_connections max_user_client_connections current_client_connections",
	"STATS": "database total_server_assignment_count total_xact_count total_query_count total_received total_sent total_xact_time total_query_time " +
		"total_wait_time total_client_parse_count total_server_parse_count total_bind_count avg_server_assignment_count avg_xact_count avg_query_count " +
		"avg_recv avg_sent avg_xact_time avg_query_time avg_wait_time avg_client_parse_count avg_server_parse_count avg_bind_count",
	"STATS_TOTALS": "database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time wait_time " +
		"client_parse_count server_parse_count bind_count",
	"STATS_AVERAGES": "database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time wait_time " +
		"avg_client_parse_count avg_server_parse_count avg_bind_count",
	"TOTALS":     "name value",
	"LISTS":      "list items",
	"CONFIG":     "key value default changeable",
	"MEM":        "name size used free memtotal",
	"STATE":      "key value",
	"VERSION":    "version",
	"DNS_HOSTS":  "hostname ttl addrs",
	"DNS_ZONES":  "zonename serial count",
	"PEERS":      "peer_id host port pool_size",
	"PEER_POOLS": "peer_id cl_active_cancel_req cl_waiting_cancel_req sv_active_cancel sv_login",
}

const sockets = "type user database replication state addr port local_addr local_port connect_time request_time wait wait_us close_needed " +
	"ptr link remote_pid tls application_name prepared_statements id"

// ours are the tables that PgBouncer lacks.
var ours = map[string]bool{"BACKENDS": true, "BACKEND_POOLS": true, "SESSIONS": true, "PINS": true, "PREPARED_STATEMENTS": true}

func filled() *fake {
	return &fake{
		pools: []Pool{
			{Listener: "pg", Backend: "a", Database: "shop", User: "app", Unit: "transaction", ClientsActive: 1, ClientsWaiting: 2, CancelsActive: 3,
				CancelsWaiting: 4, Active: 5, Idle: 7, Used: 1, Testing: 8, Cancelled: 9, Login: 10, OldestWait: 1500 * time.Millisecond, Pins: map[string]uint64{"temp-table": 4}},
			{Listener: "pg", Backend: "a", Database: "log", User: "app", Unit: "session", Active: 1, Paused: true},
			{Listener: "pg", Backend: "b", Database: "shop", User: "app", Unit: "transaction", ClientsActive: 10, Active: 10, OldestWait: time.Second, Pins: map[string]uint64{"listen": 1}},
		},
		stats: []Stats{{Database: "shop", Assignments: 10, Transactions: 20, Queries: 30, Received: 40, Sent: 50,
			TransactionTime: 60 * time.Microsecond, QueryTime: 70 * time.Microsecond, WaitTime: 80 * time.Microsecond, ClientParses: 90, ServerParses: 100, Binds: 110}},
	}
}

// TestColumns compares each table with the manual, and its rows with its columns.
func TestColumns(t *testing.T) {
	for name, want := range manual {
		if _, ok := shows[name]; !ok {
			t.Errorf("SHOW %s is missing", name)
			continue
		}
		var got []string
		for _, c := range shows[name].columns {
			got = append(got, c.Name)
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("SHOW %s:\ngot  %s\nwant %s", name, got, want)
		}
	}
	for name := range shows {
		if manual[name] == "" && !ours[name] {
			t.Errorf("SHOW %s is neither ours nor the manual's", name)
		}
		a := New(filled()).Run(t.Context(), admin, "show "+strings.ToLower(name)+";")
		if a.Table == nil || a.Tag != "SHOW" {
			t.Errorf("SHOW %s: %s", name, said(a))
			continue
		}
		for _, row := range a.Table.Rows {
			checkRow(t, name, a.Table.Columns, row)
		}
		empty := strings.HasPrefix(name, "DNS_") || strings.HasPrefix(name, "PEER")
		if (len(a.Table.Rows) == 0) != empty {
			t.Errorf("SHOW %s has %d rows", name, len(a.Table.Rows))
		}
	}
}

// checkRow: as many values as columns, each of its column's type.
func checkRow(t *testing.T, name string, columns []codec.Column, row []any) {
	t.Helper()
	if len(row) != len(columns) {
		t.Fatalf("SHOW %s: %d values for %d columns", name, len(row), len(columns))
	}
	for i, v := range row {
		_, text := v.(string)
		n, whole := v.(int64)
		switch typ := columns[i].Type; {
		case v == nil, text && typ == codec.ColumnText, whole && typ == codec.ColumnBig:
		case whole && typ == codec.ColumnInt && n == int64(int32(n)):
		default:
			t.Errorf("SHOW %s: %s is %T %v", name, columns[i].Name, v, v)
		}
	}
}

// rowsOf runs SHOW name and returns its rows as text.
func rowsOf(t *testing.T, c *Console, name string) []string {
	t.Helper()
	a := c.Run(t.Context(), admin, "SHOW "+name)
	if a.Table == nil {
		t.Fatalf("SHOW %s: %s", name, said(a))
	}
	var out []string
	for _, row := range a.Table.Rows {
		out = append(out, strings.Trim(fmt.Sprint(row), "[]"))
	}
	return out
}

// TestRows looks at the values: which figure stands in which column.
func TestRows(t *testing.T) {
	tests := map[string][]string{
		"POOLS": { // the two backends' pools of shop are one row
			"log app 0 0 0 0 1 0 0 0 0 0 0 0 0 session <nil>",
			"shop app 11 2 3 4 15 3 9 6 1 8 10 1 500000 transaction <nil>",
		},
		"CLIENTS": {
			"C app shop none active 10.0.0.9 4000 10.0.0.1 6432 2026-01-02 03:04:05 UTC 2026-01-02 03:04:06 UTC 0 0 0 c1 s5 0  web 3 1",
			"C app shop none waiting 10.0.0.9 4000 10.0.0.1 6432 2026-01-02 03:04:05 UTC 2026-01-02 03:04:06 UTC 2 5 0 c2  0  web 3 2",
		},
		"SERVERS": {
			"S app shop none active invalid IP 0 invalid IP 0 <nil> <nil> 0 0 0 s5 c1 -2147483647   0 5",
			"S app shop none new invalid IP 0 invalid IP 0 <nil> <nil> 0 0 1 s6  0   0 6",
		},
		"ACTIVE_SOCKETS": {"C app shop none cl_active 10.0.0.9 4000 10.0.0.1 6432 2026-01-02 03:04:05 UTC 2026-01-02 03:04:06 UTC 0 0 0 c1 s5 0  web 3 1 0 0 0 0 0 0 10"},
		"DATABASES": {
			"shop 10.0.1.1 5432 shop_v2 <nil> 20 1 2 3600 <nil> <nil> 50 49 100 13 1 0",
			"log <nil> 0 log logger 0 0 0 0 session <nil> 0 1 0 0 0 1",
		},
		"USERS":   {"app 5  <nil> 9 50 8 13", "idle  1 statement 0 0 0 0"},
		"PINS":    {"shop app listen 0 1", "shop app temp-table 1 4"},
		"STATE":   {"active yes", "paused no", "suspended no"},
		"VERSION": {"PgBouncer 1.25.0 compatible (Sluice test)"},
		"CONFIG":  {"log.level info info yes", "engine.loops 2 0 no"},
		"LISTS": {"databases 2", "users 2", "peers 0", "pools 2", "peer_pools 0", "free_clients 0", "used_clients 7", "login_clients 2",
			"free_servers 0", "used_servers 50", "dns_names 0", "dns_zones 0", "dns_queries 0", "dns_pending 0"},
		"STATS_TOTALS": {"shop 10 20 30 40 50 60 70 80 90 100 110"},
	}
	for name, want := range tests {
		got := rowsOf(t, New(filled()), name)
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("SHOW %s:\ngot  %q\nwant %q", name, got, want)
		}
	}
	if got := rowsOf(t, New(filled()), "SOCKETS"); len(got) != 5 || !strings.Contains(got[2], "(nouser) (nodb) none cl_login") || !strings.Contains(got[4], "sv_login") {
		t.Errorf("SHOW SOCKETS: %q", got)
	}
	if got := rowsOf(t, New(&fake{paused: true}), "STATE"); strings.Join(got, ",") != "active no,paused yes,suspended no" {
		t.Errorf("SHOW STATE while paused: %q", got)
	}
}

// TestAverages lets time pass: an average is over the last period and what has passed of the present one.
func TestAverages(t *testing.T) {
	f := &fake{stats: []Stats{{Database: "shop", Assignments: 1000, Transactions: 1000}}}
	c := New(f)
	clock := time.Now()
	c.now = func() time.Time { return clock }
	c.older.at, c.newer.at = clock, clock
	row := func() string { return rowsOf(t, c, "STATS_AVERAGES")[0] }

	if got := row(); got != "shop 0 0 0 0 0 0 0 0 0 0 0" {
		t.Errorf("at the start: %s", got)
	}
	clock = clock.Add(10 * time.Second)
	s := &f.stats[0]
	s.Assignments += 20
	s.Transactions += 40
	s.Queries += 100
	s.Received, s.Sent = 1000, 2000
	s.TransactionTime, s.QueryTime, s.WaitTime = 4*time.Millisecond, 5*time.Millisecond, 6*time.Millisecond
	s.ClientParses, s.ServerParses, s.Binds = 10, 20, 30
	if got := row(); got != "shop 2 4 10 100 200 100 50 300 1 2 3" {
		t.Errorf("after ten seconds: %s", got)
	}
	c.sample()
	clock = clock.Add(10 * time.Second)
	if got := row(); got != "shop 1 2 5 50 100 100 50 300 0 1 1" {
		t.Errorf("after a quiet period: %s", got)
	}
	c.sample()
	if got := row(); got != "shop 0 0 0 0 0 0 0 0 0 0 0" {
		t.Errorf("when the busy period is older than the last one: %s", got)
	}
	*s = Stats{Database: "shop", Queries: 5} // the pools were dropped and made anew
	clock = clock.Add(10 * time.Second)
	if got := row(); got != "shop 0 0 0 0 0 0 0 0 0 0 0" {
		t.Errorf("when counts have shrunk: %s", got)
	}
	if got := rowsOf(t, c, "TOTALS"); len(got) != 22 || got[2] != "total_query_count 5" || got[13] != "avg_query_count 0" {
		t.Errorf("SHOW TOTALS: %q", got)
	}
}
