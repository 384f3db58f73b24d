package e2e

import (
	"fmt"
	"path/filepath"
	"testing"

	"sluice/bench/e2e/real"
)

// tidbCluster are the instances of TiDB that tests share. They have one certificate for tokens of sessions, and no
// data in common.
var tidbCluster [3]once[*real.TiDB]

var tidbProgram once[string]

// tidb returns instance number i, 0 to 2, running. Whoever stops it starts it again before its test ends.
func tidb(t *testing.T, i int) *real.TiDB {
	t.Helper()
	return tidbCluster[i].get(t, func() (*real.TiDB, error) {
		return real.StartTiDB(tidbBinary(t), filepath.Join(stage.dir, fmt.Sprintf("tidb%d", i)), tidbOptions())
	})
}

// tidbOptions are those of all instances that can move sessions among each other.
func tidbOptions() real.TiDBOptions {
	return real.TiDBOptions{Cert: stage.cert, Signing: stage.signing}
}

// tidbBinary returns the server's program. It was built before the tests: see bench/cmd/tidb.
func tidbBinary(t *testing.T) string {
	t.Helper()
	return tidbProgram.get(t, func() (string, error) { return real.BuildTiDB("../tidb") })
}

// ownTiDB starts an instance for one test alone.
func ownTiDB(t *testing.T, options real.TiDBOptions) *real.TiDB {
	t.Helper()
	d, err := real.StartTiDB(tidbBinary(t), filepath.Join(t.TempDir(), "tidb"), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Kill(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// TestTiDBInstances holds what the other tests stand on: instances with sessions that can be moved, which come back on
// the same ports with their data, and keys in etcd.
func TestTiDBInstances(t *testing.T) {
	d := ownTiDB(t, tidbOptions())
	c := single(t, openMySQL(t, d.Addr, "app", "tls=ours"))
	mustMySQL(t, c, "create table kept (n int)")
	var states, token string
	if err := c.QueryRowContext(within(t, soon), "show session_states").Scan(&states, &token); err != nil || token == "" || states == "" {
		t.Errorf("a session's states are %q, its token %q: %v", states, token, err)
	}
	if err := d.Restart(); err != nil {
		t.Fatal(err)
	}
	again := single(t, openMySQL(t, d.Addr, "sha", "tls=ours"))
	mustMySQL(t, again, "insert into kept values (1)")

	store, err := real.StartEtcd(filepath.Join(t.TempDir(), "etcd"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Stop()
	if err := d.Register(store); err != nil {
		t.Fatal(err)
	}
	for suffix, there := range map[string]bool{"/info": true, "/ttl": true, "/none": false} {
		if v, err := store.Value("/topology/tidb/" + d.Addr + suffix); err != nil || (v != "") != there {
			t.Errorf("key %s holds %q: %v", suffix, v, err)
		}
	}
	if err := d.Expire(store); err != nil {
		t.Fatal(err)
	}
	if v, err := store.Value("/topology/tidb/" + d.Addr + "/ttl"); err != nil || v != "" {
		t.Errorf("the sign of life is still %q: %v", v, err)
	}
}
