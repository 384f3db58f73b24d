package suite

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFunnel: many clients over a few server connections, of a real server and of a synthetic one, with
// more clients than the server has connections for. PgBouncer takes part in what its version can do.
func TestFunnel(t *testing.T) {
	o := smallOptions(t)
	o.Window = 500 * time.Millisecond
	o.Only = []string{"funnel", "funnel-clients", "pg-funnel-prepared", "syn-pg-funnel-512", "syn-pg-funnel-5000",
		"pgbouncer", "sluice", "sluice-2"}
	report, got := measured(t, o)
	real := "funnel/pg-funnel-prepared: pgbouncer sluice sluice-2"
	if v, _ := parseVersion(report.Machine.Versions[pgbouncerName]); v.before(version{1, 21}) {
		real = "funnel/pg-funnel-prepared: sluice sluice-2"
	}
	want := []string{real, "funnel-clients/syn-pg-funnel-512: pgbouncer sluice sluice-2",
		"funnel-clients/syn-pg-funnel-5000: pgbouncer sluice sluice-2"}
	if !slices.Equal(got, want) {
		t.Fatalf("measured %q; want %q", got, want)
	}
	for _, r := range report.Results {
		plausible(t, r)
		if r.Pool != funnelPool || !strings.HasPrefix(r.Scenario, "funnel") {
			t.Errorf("%s, %s: a pool of %d", r.Load, r.Contender, r.Pool)
		}
		if r.Scenario != "funnel-clients" {
			continue
		}
		if s, ok := r.Summary[ratioName(p99, pgbouncerName)]; !ok || s.Median <= 0 {
			t.Errorf("%s, %s: no p99 beside PgBouncer's: %v", r.Load, r.Contender, s)
		}
		s, ok := r.Summary[ratioName(perSecond, "syn-pg-funnel-512")]
		if many := r.Clients == funnelManyMost; many != ok || many && s.Median <= 0 {
			t.Errorf("%s, %s: beside fewer clients %v", r.Load, r.Contender, s)
		}
	}
	for _, text := range []string{"5000 clients over 20 server connections", "CPU × PgBouncer", "rate × that of fewer clients"} {
		if !strings.Contains(report.Markdown(), text) {
			t.Errorf("the report does not say %q", text)
		}
	}
}

// TestFunnelIdle: a silent client of a funnel has no server connection, so there can be twice as many.
func TestFunnelIdle(t *testing.T) {
	o := smallOptions(t)
	o.Only = []string{"funnel-idle", "pgbouncer", "sluice"}
	report, got := measured(t, o)
	if want := []string{"funnel-idle/syn-pg-idle: pgbouncer sluice"}; !slices.Equal(got, want) {
		t.Fatalf("measured %q; want %q", got, want)
	}
	for _, r := range report.Results {
		if s := r.Rounds[0]; r.Clients < 500 || s.ResidentEach < 200 || s.ResidentEach > 32<<10 {
			t.Errorf("%s with %d clients: %+v", r.Contender, r.Clients, s)
		}
	}
}
