package conf

import (
	"testing"
	"time"
)

// TestMigrateProblems has one row for each thing that can be wrong with moves.
func TestMigrateProblems(t *testing.T) {
	const head = "[[cluster]]\nname = \"c\"\nbackends = [{addr = \"a:1\"}]\n"
	const listener = "\n[[listener]]\nname = \"l\"\ncluster = \"c\"\nlisten = \":6000\""
	tests := []struct {
		name string
		file string // behind head
		want string
	}{
		{"everything", "protocol = \"mysql\"\nmigrate = {hold-timeout = \"1s\", retry-after = \"10ms\", keep-state = \"0s\", state-max = \"1KiB\", functions = [\"f\"]}", ""},
		{"switched off", "protocol = \"mysql\"\nmigrate = {enabled = false}", ""},
		{"switched off, with tcp", "protocol = \"tcp\"\nmigrate = {enabled = false}", ""},
		{"times of nothing", "protocol = \"mysql\"\nmigrate = {enabled = false, retry-after = \"1s\"}",
			`f:5:29: cluster.migrate.retry-after: has no use: enabled is false`},
		{"with tcp", "protocol = \"tcp\"\nmigrate.hold-timeout = \"1s\"",
			`f:5:9: cluster.migrate.hold-timeout: has no use with protocol "tcp", in which a session has no safe point`},
		{"no time to hold", "protocol = \"mysql\"\nmigrate.hold-timeout = \"0s\"", `f:5:9: cluster.migrate.hold-timeout: 0s is not in 10ms to 5m`},
		{"hasty", "protocol = \"mysql\"\nmigrate.keep-state = \"1ms\"", `f:5:9: cluster.migrate.keep-state: 1ms is not 0 or in 100ms to 24h`},
		{"nameless function", "protocol = \"mysql\"\nmigrate.functions = [\"\"]", `f:5:22: cluster.migrate.functions: is empty`},
		{"waiting for a backend", "protocol = \"mysql\"\nfailover-timeout = \"1s\"", ""},
		{"waiting for nothing", "protocol = \"mysql\"\nfailover-timeout = \"1s\"\nmigrate.enabled = false",
			`f:5:1: cluster.failover-timeout: has no use: no listener with mode "fifo" or "funnel" leads here`},
		{"users of sessions that move", "protocol = \"mysql\"\n[[user]]\nname = \"u\"", ""},
		{"users of nobody", "protocol = \"tcp\"\n[[user]]\nname = \"u\"",
			`f:5:3: user: has no use: no listener has mode "fifo" or "funnel", and no sessions move`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if _, err := Parse("f", []byte(head+tt.file+listener), nil); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestMigrateDefaults are what the documentation says.
func TestMigrateDefaults(t *testing.T) {
	m := DefaultCluster().Migrate
	if !m.Enabled || m.HoldTimeout.Std() != 3*time.Second || m.RetryAfter.Std() != 3*time.Second ||
		m.KeepState.Std() != time.Second || m.StateMax != 1<<20 || len(m.Functions) > 0 {
		t.Errorf("the defaults are %+v", m)
	}
}
