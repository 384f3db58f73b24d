package main

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice/conf"
	"sluice/router"
	"sluice/upstream"
	"sluice/upstream/patroni"
)

// patroniFile has a cluster of which each key has a value of its own, and its listener.
const patroniFile = `
[[cluster]]
name = "pg"
protocol = "postgres"
discovery = "patroni"
failover-timeout = "41s"
failover-clients = 42
[cluster.patroni]
hosts = ["http://a:8008", "https://b:8008/"]
interval = "1s"
port = 5433
timeout = "3s"
hedge = "4s"
user = "u"
password = "p"
states = ["running"]
zone-tag = "dc"
tls = {server-name = "n", skip-verify = true}
[cluster.patroni.etcd]
endpoints = ["https://e:2379"]
namespace = "/n"
scope = "s"
user = "eu"
password = "ep"
[[listener]]
name = "in"
listen = "127.0.0.1:6432"
cluster = "pg"
mode = "funnel"
auth.userlist = "users.txt"
roles = ["Leader", "standby-leader"]
max-lag = "1KiB"
max-lag-time = "5s"
lag-return = 60
lag-unknown = "allow"
tags = ["a", "!b=c"]
zone = "z"
drain-timeout = "7s"
`

func setupOfText(t *testing.T, text string) (upstream.Options, router.Want, router.LagLimits, time.Duration) {
	t.Helper()
	setup, err := setupOf(load(t, text, ""), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	fe := setup.Frontends[0]
	return setup.Clusters[0], router.Want{Roles: fe.Roles, Zone: fe.Zone, Tags: fe.Tags}, fe.Lag, fe.DrainTimeout
}

// TestPatroni: nothing of what is configured is lost on the way to the discovery and to the listener.
func TestPatroni(t *testing.T) {
	cluster, want, lag, drain := setupOfText(t, patroniFile)
	if cluster.FailoverTimeout != 41*time.Second || cluster.FailoverClients != 42 {
		t.Errorf("waits %v, %d clients", cluster.FailoverTimeout, cluster.FailoverClients)
	}
	p, ok := cluster.Discovery.(*patroni.Options)
	if !ok {
		t.Fatalf("the discovery is %T", cluster.Discovery)
	}
	for _, v := range []any{*p, *p.Etcd} {
		value := reflect.ValueOf(v)
		for i := range value.NumField() {
			if field := value.Type().Field(i); field.IsExported() && value.Field(i).IsZero() {
				t.Errorf("%s.%s is not set", value.Type(), field.Name)
			}
		}
	}
	if !reflect.DeepEqual(p.Hosts, []string{"http://a:8008", "https://b:8008"}) || p.Interval != time.Second ||
		p.Timeout != 3*time.Second || p.Hedge != 4*time.Second || p.Port != 5433 || p.User != "u" || p.Password != "p" ||
		!reflect.DeepEqual(p.States, []string{"running"}) || p.ZoneTag != "dc" {
		t.Errorf("got %+v", p)
	}
	if p.TLS.ServerName != "n" || !p.TLS.InsecureSkipVerify {
		t.Errorf("TLS: %+v", p.TLS)
	}
	if e := p.Etcd; !reflect.DeepEqual(e.Endpoints, []string{"https://e:2379"}) || e.Namespace != "/n" || e.Scope != "s" ||
		e.User != "eu" || e.Password != "ep" || e.TLS.InsecureSkipVerify {
		t.Errorf("etcd: %+v", e)
	}
	if w := (router.Want{Roles: router.Roles(0).With(router.Leader).With(router.StandbyLeader), Zone: "z",
		Tags: []router.TagRule{{Name: "a", Value: "true"}, {Name: "b", Value: "c", Not: true}}}); !reflect.DeepEqual(want, w) {
		t.Errorf("the listener wants %+v", want)
	}
	if l := (router.LagLimits{Bytes: 1024, Time: 5 * time.Second, Return: 60, Unknown: true}); lag != l || drain != 7*time.Second {
		t.Errorf("lag %+v, drain %v", lag, drain)
	}
}

// TestPatroniTimes: members are asked one by one only where a listener of their cluster limits the lag.
func TestPatroniTimes(t *testing.T) {
	for limit, want := range map[string]bool{"": false, "max-lag = 1": true, "max-lag-time = \"1s\"": true} {
		other := "\n[[cluster]]\nname = \"other\"\nprotocol = \"tcp\"\ndiscovery = \"patroni\"\npatroni.hosts = [\"http://a\"]\n"
		first, _, _ := strings.Cut(patroniFile, "max-lag = ")
		setup, err := setupOf(load(t, first+limit+other, ""), zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		if got := setup.Clusters[0].Discovery.(*patroni.Options).Times; got != want {
			t.Errorf("%q: %v", limit, got)
		}
		if setup.Clusters[1].Discovery.(*patroni.Options).Times {
			t.Errorf("%q: the other cluster's members are asked", limit)
		}
	}
}

// TestNoDiscovery: without one the interface is nil, and not a pointer that is.
func TestNoDiscovery(t *testing.T) {
	cluster, _, _, _ := setupOfText(t, "[[cluster]]\nname = \"c\"\nprotocol = \"tcp\"\nbackends = [{addr = \"a:1\", role = \"quorum\"}]\n"+
		"[[listener]]\nname = \"l\"\nlisten = \"127.0.0.1:1\"\ncluster = \"c\"\n")
	if cluster.Discovery != nil {
		t.Errorf("the discovery is %#v", cluster.Discovery)
	}
	if cluster.Backends[0].Role != router.Quorum {
		t.Errorf("the backend's role is %v", cluster.Backends[0].Role)
	}
}

// TestRoleNames: every role has its name in both tables, and the set of all is made of them.
func TestRoleNames(t *testing.T) {
	var all router.Roles
	for name, role := range backendRoles {
		if role.String() != name || roles[name] != router.Roles(0).With(role) {
			t.Errorf("%s is %v and %v", name, role, roles[name])
		}
		all |= roles[name]
	}
	if all != router.AnyRole || roles["any"] != all {
		t.Errorf("all roles are %b, any is %b", all, router.AnyRole)
	}
}

// TestPatroniFiles: certificates that can't be read are told with the key of theirs.
func TestPatroniFiles(t *testing.T) {
	const file = "[[cluster]]\nname = \"c\"\nprotocol = \"tcp\"\ndiscovery = \"patroni\"\n[cluster.patroni]\nhosts = [\"https://a\"]\n"
	for key, line := range map[string]string{
		"patroni.tls":  "tls.ca = \"missing\"\n",
		"patroni.etcd": "etcd = {endpoints = [\"https://a\"], scope = \"s\", cert = \"missing\", key = \"missing\"}\n",
	} {
		c := load(t, file+line, "")
		if _, err := setupOf(c, zap.NewNop()); err == nil || !strings.HasPrefix(err.Error(), `cluster "c": `+key+": ") {
			t.Errorf("%s: got %v", key, err)
		}
		if err := c.CheckFiles(); err == nil || !strings.Contains(err.Error(), "cluster."+key+".c") {
			t.Errorf("%s: CheckFiles: got %v", key, err)
		}
	}
	c, err := conf.Parse("f", []byte(file+"tls = {skip-verify = true}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := discoveryOf(&c.Cluster[0], nil, c.Admin, zap.NewNop()); err != nil || d.(*patroni.Options).Etcd != nil {
		t.Errorf("without etcd: %+v, %v", d, err)
	}
}
