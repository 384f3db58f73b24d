package tidb

import (
	"context"
	"encoding/json"
	"strconv"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	ownAddr = "10.0.0.1:6000"
	ownInfo = proxies + ownAddr + "/info"
	ownTTL  = proxies + ownAddr + "/ttl"
)

func registered(e *etcd, addr string) *Options {
	return &Options{PD: e.pd(), Register: &Registration{Addr: addr, StatusPort: 3080, Version: "v1", GitHash: "abc",
		DeployPath: "/opt/sluice", Start: time.Unix(1700000000, 0)}}
}

// TestRegister: the keys are there as TiDB reads them, with a lease, and end with us; those of others stay.
func TestRegister(t *testing.T) {
	e := anEtcd(t)
	e.put(proxies+"10.0.0.2:6000/info", "{}", proxies+"10.0.0.10:6000/info", "{}")
	_, f := finding(t, registered(e, ownAddr))
	eventually(t, "it is listed", func() bool { return e.value(ownTTL) != "" })
	var info map[string]any
	if err := json.Unmarshal([]byte(e.value(ownInfo)), &info); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"version": "v1", "git_hash": "abc", "ip": "10.0.0.1", "port": "6000",
		"status_port": "3080", "deploy_path": "/opt/sluice", "start_timestamp": 1.7e9} {
		if info[key] != want {
			t.Errorf("%s is %v, want %v", key, info[key], want)
		}
	}
	if n, err := strconv.ParseInt(e.value(ownTTL), 10, 64); err != nil || time.Since(time.Unix(0, n)) > patience {
		t.Errorf("ttl is %q: %v", e.value(ownTTL), err)
	}
	f.Close()
	if e.value(ownInfo) != "" || e.value(ownTTL) != "" {
		t.Error("its keys are still there")
	}
	if e.value(proxies+"10.0.0.2:6000/info") == "" || e.value(proxies+"10.0.0.10:6000/info") == "" {
		t.Error("keys of others have gone")
	}
}

// TestRegisterAgain: keys that somebody deletes, and keys whose lease is lost, are there again at once.
func TestRegisterAgain(t *testing.T) {
	e := anEtcd(t)
	finding(t, registered(e, ownAddr))
	there := func() bool { return e.value(ownInfo) != "" && e.value(ownTTL) != "" }
	eventually(t, "it is listed", there)
	if _, err := e.Delete(context.Background(), "/topology/tiproxy", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is listed again", there)
	began := time.Now()
	leases, err := e.Leases(context.Background())
	if err != nil || len(leases.Leases) != 1 {
		t.Fatalf("%v: %v", leases, err)
	}
	if _, err := e.Revoke(context.Background(), leases.Leases[0].ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is listed with another lease", there)
	if took := time.Since(began); took > leaseTTL/2 {
		t.Errorf("that took %v", took)
	}
}

// TestRegisterElsewhere: another address takes the place of the old one; a second Sluice that has been given the same
// address keeps it when the first ends.
func TestRegisterElsewhere(t *testing.T) {
	e := anEtcd(t)
	_, f := finding(t, registered(e, ownAddr))
	eventually(t, "it is listed", func() bool { return e.value(ownInfo) != "" })
	f.Update(registered(e, "10.0.0.1:6001"))
	eventually(t, "it is listed elsewhere", func() bool {
		return e.value(proxies+"10.0.0.1:6001/info") != "" && e.value(ownInfo) == ""
	})
	_, second := finding(t, registered(e, "10.0.0.1:6001"))
	eventually(t, "there are two leases", func() bool {
		l, err := e.Leases(context.Background())
		return err == nil && len(l.Leases) == 2
	})
	second.Close()
	eventually(t, "the first is still listed", func() bool { return e.value(proxies+"10.0.0.1:6001/info") != "" })
	f.Update(&Options{PD: e.pd()})
	eventually(t, "nobody is listed", func() bool { return e.value(proxies+"10.0.0.1:6001/info") == "" })
}
