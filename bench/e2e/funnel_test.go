package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
)

// funnel is a [[listener]] section in mode funnel.
func funnel(name, addr, cluster string, more ...string) string {
	s := listener(name, addr, cluster, more...)
	return strings.Replace(s, `mode = "proxy"`, `mode = "funnel"`, 1)
}

// users are the [[user]] sections of the test users, with their password.
func users(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString(section("[[user]]", fmt.Sprintf("name = %q", n), fmt.Sprintf("password = %q", real.Password)))
	}
	return b.String()
}

// startFunnel starts Sluice with one funnel before the PostgreSQL server, for the users app and scram.
func startFunnel(t *testing.T, more ...string) (s *real.Sluice, addr string) {
	t.Helper()
	addr = real.FreeAddr()
	s = startSluice(t, racy(t), cluster("pg", "postgres", []string{postgres(t, 0).Addr})+
		funnel("pool", addr, "pg", more...)+users("app", "scram"))
	return s, addr
}

// funnelDSN is how pgx logs in at a funnel.
func funnelDSN(addr, user, more string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/app?sslmode=disable%s", user, strings.ReplaceAll(real.Password, " ", "%20"), addr, more)
}

// connect opens a connection by pgx that is closed at the end of the test.
func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// TestFunnelFirst logs in with SCRAM and asks the simplest things, in each way of asking.
func TestFunnelFirst(t *testing.T) {
	_, addr := startFunnel(t, "pool-size = 2")
	for _, mode := range []string{"simple_protocol", "exec", "describe_exec", "cache_describe", "cache_statement"} {
		c := connect(t, funnelDSN(addr, "scram", "&default_query_exec_mode="+mode))
		for i := range 5 {
			var got int
			if err := c.QueryRow(t.Context(), "select $1::int + 1", i).Scan(&got); err != nil || got != i+1 {
				t.Fatalf("%s: got %d, %v", mode, got, err)
			}
		}
	}
}
