package tidb

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sluice/router"
	"sluice/upstream"
)

// infoOf is what a server stores that was given labels.
func infoOf(ip string, status int, labels string) string {
	return fmt.Sprintf(`{"version":"8.5.6","git_hash":"x","ip":%q,"status_port":%d,"deploy_path":"/bin","start_timestamp":1,"labels":%s}`,
		ip, status, labels)
}

// TestFind: a server is one as long as it has both of its keys; changes are heard of at once.
func TestFind(t *testing.T) {
	e := anEtcd(t)
	e.server("10.0.0.1:4000", infoOf("10.0.0.1", 10080, `{"zone":"east","tenant":"shop"}`))
	e.put(topology+"10.0.0.9:4000/info", infoOf("10.0.0.9", 10080, "null")) // has ended long ago
	e.put(topology+"10.0.0.8:4000/ttl", "1")
	ear, f := finding(t, &Options{PD: e.pd(), ZoneLabel: "zone"})
	ear.wants(t, "10.0.0.1:4000")
	got := ear.spec("10.0.0.1:4000")
	if got.Status != "10.0.0.1:10080" || got.Zone != "east" || got.Role != router.Leader || got.Name != "" ||
		!maps.Equal(got.Tags, map[string]string{"zone": "east", "tenant": "shop"}) {
		t.Errorf("%+v", got)
	}
	e.server("tidb-0.tidb-peer:4000", infoOf("tidb-0.tidb-peer", 0, "{}"))
	ear.wants(t, "10.0.0.1:4000 tidb-0.tidb-peer:4000")
	if got := ear.spec("tidb-0.tidb-peer:4000"); got.Name != "tidb-0" || got.Status != "" || got.Zone != "" {
		t.Errorf("%+v", got)
	}
	e.put(topology+"10.0.0.1:4000/info", infoOf("10.0.0.1", 10081, `{"zone":"west"}`))
	eventually(t, "its new zone is told", func() bool { return ear.spec("10.0.0.1:4000").Zone == "west" })
	if got := ear.spec("10.0.0.1:4000"); got.Status != "10.0.0.1:10081" || len(got.Tags) != 1 {
		t.Errorf("%+v", got)
	}
	e.drop(topology + "10.0.0.1:4000/ttl")
	ear.wants(t, "tidb-0.tidb-peer:4000 !10.0.0.1:4000")
	if got := ear.spec("10.0.0.1:4000"); got.Zone != "west" || got.Status != "10.0.0.1:10081" {
		t.Errorf("while it leaves: %+v", got)
	}
	e.put(topology+"10.0.0.1:4000/ttl", "2")
	ear.wants(t, "10.0.0.1:4000 tidb-0.tidb-peer:4000")
	e.drop(topology+"10.0.0.1:4000/info", topology+"10.0.0.1:4000/ttl")
	ear.wants(t, "tidb-0.tidb-peer:4000 !10.0.0.1:4000")
	if s := f.Status(); s.Stale || s.At.IsZero() || s.From != e.addr || s.Polls == 0 || s.Failures != 0 {
		t.Errorf("%+v", s)
	}
}

// TestFindByLease: a server that dies without a word leaves a ttl whose lease ends.
func TestFindByLease(t *testing.T) {
	e := anEtcd(t)
	e.server("10.0.0.1:4000", infoOf("10.0.0.1", 0, "{}"))
	lease, err := e.Grant(context.Background(), 1)
	if err != nil {
		t.Fatal(err)
	}
	e.put(topology+"10.0.0.2:4000/info", infoOf("10.0.0.2", 0, "{}"))
	if _, err := e.Put(context.Background(), topology+"10.0.0.2:4000/ttl", "1", clientv3.WithLease(lease.ID)); err != nil {
		t.Fatal(err)
	}
	ear, _ := finding(t, &Options{PD: e.pd()})
	ear.wants(t, "10.0.0.1:4000 !10.0.0.2:4000")
}

// TestFindOdd: what is odd or huge hides nothing but itself, and is told in the log once.
func TestFindOdd(t *testing.T) {
	e := anEtcd(t)
	const good, later = "10.0.0.5:4000", "10.0.0.6:4000"
	e.server(good, infoOf("10.0.0.5", 10080, "{}"))
	huge := infoOf("10.0.0.1", 10080, `{"x":"`+strings.Repeat("x", answerMax+1<<20)+`"}`)
	e.server("10.0.0.1:4000", huge)
	e.server("10.0.0.2:4000", infoOf("10.0.0.2", 10080, `{"x":"`+strings.Repeat("x", infoMax)+`"}`))
	e.server("10.0.0.3:4000", "{")
	e.server("10.0.0.4:4000", infoOf("10.0.0.4", 99999, `{"long":"`+strings.Repeat("x", tagBytes+1)+`","n":7,"ok":"1"}`))
	e.server("no address", infoOf("10.0.0.7", 10080, "{}"))
	e.put(topology+strings.Repeat("x", keyMax)+"/info", "{}", topology+"10.0.0.5:4000/else", "1", "/topology/tidb", "1", "/topology/tidbx/10.0.0.9:1/info", "{}")
	for i := range 5 { // several that make one answer too large together
		e.server(fmt.Sprintf("10.0.1.%d:4000", i), infoOf("10.0.1.1", 0, `{"x":"`+strings.Repeat("x", 1<<20)+`"}`))
	}
	core, log := observer.New(zapcore.InfoLevel)
	ear, f := finding(t, &Options{PD: e.pd(), Log: zap.New(core)})
	ear.wants(t, "10.0.0.4:4000 "+good)
	if got := ear.spec("10.0.0.4:4000"); got.Status != "" || len(got.Tags) != 1 || got.Tags["ok"] != "1" {
		t.Errorf("%+v", got)
	}
	f.Refresh(context.Background())
	e.server(later, huge) // by the watch, too
	e.put(topology+later+"/info", infoOf("10.0.0.6", 10080, "{}"))
	ear.wants(t, "10.0.0.4:4000 "+good+" "+later)
	e.put(topology+later+"/info", "{") // what was known of it stays
	f.Refresh(context.Background())
	if got, _ := ear.heard(); got != "10.0.0.4:4000 "+good+" "+later || ear.spec(later).Status != "10.0.0.6:10080" {
		t.Errorf("told %q, %+v", got, ear.spec(later))
	}
	warned := map[string]int{}
	for _, line := range log.FilterMessage("pd tells something odd about a server").All() {
		warned[line.ContextMap()["server"].(string)]++
	}
	for _, addr := range []string{"10.0.0.1:4000", "10.0.0.2:4000", "10.0.0.3:4000", "10.0.0.4:4000"} {
		if warned[addr] != 1 {
			t.Errorf("%s was warned of %d times", addr, warned[addr])
		}
	}
}

// TestFindMany: thousands of keys, far more than one answer holds.
func TestFindMany(t *testing.T) {
	e := anEtcd(t)
	const n = 1500
	info := infoOf("10.0.0.1", 0, "{}")
	var batch []clientv3.Op
	for i := range n {
		addr := fmt.Sprintf("10.1.%d.%d:4000", i/250, i%250)
		batch = append(batch, clientv3.OpPut(topology+addr+"/info", info), clientv3.OpPut(topology+addr+"/ttl", "1"))
		if len(batch) == 100 || i == n-1 {
			if _, err := e.Txn(context.Background()).Then(batch...).Commit(); err != nil {
				t.Fatal(err)
			}
			batch = nil
		}
	}
	ear, _ := finding(t, &Options{PD: e.pd()})
	eventually(t, "all are found", func() bool {
		got, _ := ear.heard()
		return strings.Count(got, ":4000") == n
	})
}

// TestFindFlapping: keys that change all the time are followed to where they end. What says nothing new is not told, and
// the log does not grow by each change.
func TestFindFlapping(t *testing.T) {
	e := anEtcd(t)
	const steady, flaps = "10.0.0.1:4000", "10.0.0.2:4000"
	good := infoOf("10.0.0.1", 10080, `{"zone":"z"}`)
	e.server(steady, good)
	core, log := observer.New(zapcore.InfoLevel)
	ear, f := finding(t, &Options{PD: e.pd(), Log: zap.New(core)})
	ear.wants(t, steady)
	_, told := ear.heard()
	for range 50 { // as each server does twice a minute
		e.server(steady, good)
	}
	e.server(flaps, good)
	ear.wants(t, steady+" "+flaps)
	if _, now := ear.heard(); now > told+10 { // with those of looks, on a machine that stands still
		t.Errorf("what is as it was is told %d times", now-told)
	}
	for i := range 2 * sayMax {
		e.put(topology+flaps+"/info", fmt.Sprint("{", i))
		e.drop(topology + flaps + "/ttl")
		e.put(topology+flaps+"/info", good, topology+flaps+"/ttl", fmt.Sprint(i))
		if i%4 == 0 { // nobody at all is there, for a moment
			e.drop(topology+steady+"/ttl", topology+flaps+"/ttl")
			e.put(topology+steady+"/ttl", "1", topology+flaps+"/ttl", "1")
		}
	}
	f.Refresh(context.Background())
	ear.wants(t, steady+" "+flaps)
	if f.Status().Stale {
		t.Errorf("%+v", f.Status())
	}
	if n := log.Len(); n == 0 || n > 2*(sayMax+1) {
		t.Errorf("the log has %d lines", n)
	}
	e.drop(topology + flaps + "/ttl")
	ear.wants(t, steady+" !"+flaps)
}

// TestSayings: so many in a minute.
func TestSayings(t *testing.T) {
	var s sayings
	now := time.Unix(1, 0)
	said := 0
	for range 3 * sayMax {
		if s.may(now) {
			said++
		}
		now = now.Add(time.Millisecond)
	}
	if said != sayMax || !s.may(now.Add(time.Minute)) {
		t.Errorf("said %d", said)
	}
}

// TestBookIsBounded: more servers than the limit are not remembered.
func TestBookIsBounded(t *testing.T) {
	b := newBook()
	for i := range serversMax + 100 {
		addr := fmt.Sprintf("10.%d.%d.%d:4000", i>>16, i>>8&255, i&255)
		b.put(topology+addr+"/info", []byte("{}"))
		b.put(topology+addr+"/ttl", []byte("1"))
	}
	if got := b.members(); got != serversMax {
		t.Errorf("%d servers", got)
	}
	b.specs(&Options{}, time.Now()) // they are known
	other := newBook()
	other.put(topology+"a:1/ttl", nil)
	b.renew(other)
	if len(b.entries) != serversMax || b.members() != 0 {
		t.Errorf("%d entries, %d servers", len(b.entries), b.members())
	}
}

// TestBookForgetsStrangers: what never was a server is not remembered when its key has gone, whether a watch or a look
// has noticed; it would take the place of servers for ever.
func TestBookForgetsStrangers(t *testing.T) {
	b := newBook()
	for i := range 3 * serversMax {
		strange := newBook()
		strange.put(fmt.Sprintf("%s10.%d.%d.%d:4000/info", topology, i>>16, i>>8&255, i&255), []byte("{}"))
		b.renew(strange)
	}
	now := newBook()
	now.put(topology+"a:1/info", []byte("{}"))
	now.put(topology+"a:1/ttl", []byte("1"))
	b.renew(now)
	if got := b.specs(&Options{}, time.Now()); len(got) != 1 || len(b.entries) != 1 {
		t.Errorf("%d servers, %d entries", len(got), len(b.entries))
	}
}

// TestUpdateToNobody: another PD that knows no server at all takes nobody away: its address may be wrong.
func TestUpdateToNobody(t *testing.T) {
	one, two := etcdNo(t, 0), etcdNo(t, 1)
	one.server("10.0.0.1:4000", infoOf("10.0.0.1", 0, "{}"))
	ear, f := finding(t, &Options{PD: one.pd()})
	ear.wants(t, "10.0.0.1:4000")
	_, told := ear.heard()
	f.Update(&Options{PD: two.pd()})
	f.Refresh(context.Background())
	if got, now := ear.heard(); got != "10.0.0.1:4000" || now != told || !f.Status().Stale {
		t.Errorf("told %q, %d times more, %+v", got, now-told, f.Status())
	}
	two.server("10.0.0.2:4000", infoOf("10.0.0.2", 0, "{}"))
	ear.wants(t, "10.0.0.2:4000")
}

// TestFindKeyspaces: only with the option, with the keyspace as a tag.
func TestFindKeyspaces(t *testing.T) {
	e := anEtcd(t)
	e.server("10.0.0.1:4000", infoOf("10.0.0.1", 10080, "{}"))
	of := func(keyspace, addr string) {
		key := keyspaces + keyspace + topology + addr
		e.put(key+"/info", infoOf("10.0.0.2", 10080, "{}"), key+"/ttl", "1")
	}
	of("7", "10.0.0.2:4000")
	of("9", "10.0.0.2:4000") // the same address: the first counts
	e.put(keyspaces+"7/tidb/server/info/x", "{}")
	without, _ := finding(t, &Options{PD: e.pd()})
	with, f := finding(t, &Options{PD: e.pd(), Keyspaces: true})
	with.wants(t, "10.0.0.1:4000 10.0.0.2:4000 10.0.0.2:4000")
	if got := with.spec("10.0.0.2:4000"); got.Tags[keyspaceTag] != "7" {
		t.Errorf("%+v", got)
	}
	of("8", "10.0.0.3:4000")
	with.wants(t, "10.0.0.1:4000 10.0.0.2:4000 10.0.0.2:4000 10.0.0.3:4000")
	f.Refresh(context.Background())
	without.wants(t, "10.0.0.1:4000")
}

// TestPDGoes: while PD is down or hangs what is known stays, and that is said; when it is back its changes count.
func TestPDGoes(t *testing.T) {
	e := ownEtcd(t)
	e.server("10.0.0.1:4000", infoOf("10.0.0.1", 0, "{}"))
	e.server("10.0.0.2:4000", infoOf("10.0.0.2", 0, "{}"))
	pd := e.pd()
	pd.Timeout = 200 * time.Millisecond
	core, log := observer.New(zapcore.InfoLevel)
	ear, f := finding(t, &Options{PD: pd, Log: zap.New(core)})
	ear.wants(t, "10.0.0.1:4000 10.0.0.2:4000")
	for name, way := range map[string][2]func(){
		"hangs": {func() { e.pause(true) }, func() { e.pause(false) }},
		"dies":  {e.crash, e.start},
	} {
		before, _ := ear.heard()
		way[0]()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		eventually(t, name+": it says so", func() bool { // a signal takes its time to stop a process
			polls := f.Status().Polls
			if f.Refresh(ctx); f.Status().Polls == polls {
				t.Errorf("%s: the status is of the time before: %+v", name, f.Status())
			}
			return f.Status().Stale
		})
		cancel()
		if got, _ := ear.heard(); got != before {
			t.Errorf("%s: told %q", name, got)
		}
		if s := f.Status(); s.LastError == "" || s.Failures == 0 {
			t.Errorf("%s: %+v", name, s)
		}
		way[1]()
		e.put(topology+"10.0.0.3:4000/info", infoOf("10.0.0.3", 0, "{}"), topology+"10.0.0.3:4000/ttl", "1")
		ear.wants(t, "10.0.0.1:4000 10.0.0.2:4000 10.0.0.3:4000")
		eventually(t, name+": it is well", func() bool { return !f.Status().Stale })
		e.drop(topology + "10.0.0.3:4000/ttl")
		ear.wants(t, "10.0.0.1:4000 10.0.0.2:4000 !10.0.0.3:4000")
	}
	if n := log.FilterMessageSnippet("tells of the servers again").Len(); n < 2 {
		t.Errorf("its return was logged %d times", n)
	}
}

// TestPDComesLate: nobody answers at the start; of several addresses any will do.
func TestPDComesLate(t *testing.T) {
	t.Parallel()
	e := newEtcd(t, t.TempDir(), "http")
	pd := e.pd()
	pd.Addrs = []string{freeAddr(t), e.addr, freeAddr(t)}
	pd.Timeout = time.Second
	ear, f := finding(t, &Options{PD: pd})
	f.Refresh(context.Background())
	if s := f.Status(); !s.Stale || !s.At.IsZero() {
		t.Errorf("%+v", s)
	}
	if _, told := ear.heard(); told != 0 {
		t.Error("something was told")
	}
	e.start()
	t.Cleanup(e.crash)
	e.ask(nil)
	t.Cleanup(func() { e.Client.Close() })
	e.server("10.0.0.1:4000", infoOf("10.0.0.1", 0, "{}"))
	ear.wants(t, "10.0.0.1:4000")
}

// TestAllGone: that there is no server any more is not believed, as it would end every session.
func TestAllGone(t *testing.T) {
	e := anEtcd(t)
	ear, f := finding(t, &Options{PD: e.pd()})
	f.Refresh(context.Background())
	if got, told := ear.heard(); got != "" || told == 0 || f.Status().Stale {
		t.Errorf("before there was one: told %q, %d times, %+v", got, told, f.Status())
	}
	e.server("10.0.0.1:4000", infoOf("10.0.0.1", 0, "{}"))
	e.server("10.0.0.2:4000", infoOf("10.0.0.2", 0, "{}"))
	ear.wants(t, "10.0.0.1:4000 10.0.0.2:4000")
	e.drop(topology + "10.0.0.1:4000/ttl")
	ear.wants(t, "10.0.0.2:4000 !10.0.0.1:4000")
	e.drop(topology+"10.0.0.2:4000/ttl", topology+"10.0.0.2:4000/info")
	eventually(t, "it says so", func() bool { return f.Status().Stale && strings.Contains(f.Status().LastError, "no TiDB server") })
	f.Refresh(context.Background())
	if got, _ := ear.heard(); got != "10.0.0.2:4000 !10.0.0.1:4000" {
		t.Errorf("told %q", got)
	}
	e.server("10.0.0.3:4000", infoOf("10.0.0.3", 0, "{}"))
	ear.wants(t, "10.0.0.3:4000 !10.0.0.1:4000 !10.0.0.2:4000")
	if f.Status().Stale {
		t.Errorf("%+v", f.Status())
	}
}

// TestUpdate: another label, another PD; a Discovery of another kind is none of its.
func TestUpdate(t *testing.T) {
	one, two := etcdNo(t, 0), etcdNo(t, 1)
	one.server("10.0.0.1:4000", infoOf("10.0.0.1", 0, `{"zone":"z","rack":"r"}`))
	ear, f := finding(t, &Options{PD: one.pd(), ZoneLabel: "zone"})
	ear.wants(t, "10.0.0.1:4000")
	if !f.Update(&Options{PD: one.pd(), ZoneLabel: "rack"}) {
		t.Error("it does not take other options")
	}
	eventually(t, "the other label counts", func() bool { return ear.spec("10.0.0.1:4000").Zone == "r" })
	_, told := ear.heard()
	if !f.Update(&Options{PD: one.pd(), ZoneLabel: "rack"}) {
		t.Error("it does not take the same options")
	}
	two.server("10.0.0.2:4000", infoOf("10.0.0.2", 0, "{}"))
	if _, now := ear.heard(); now != told {
		t.Error("the same options have begun anew")
	}
	f.Update(&Options{PD: two.pd()})
	ear.wants(t, "10.0.0.2:4000")
	one.server("10.0.0.3:4000", infoOf("10.0.0.3", 0, "{}"))
	two.server("10.0.0.4:4000", infoOf("10.0.0.4", 0, "{}"))
	ear.wants(t, "10.0.0.2:4000 10.0.0.4:4000")
	f.Update(&Options{PD: PD{Addrs: []string{two.addr, one.addr}, Timeout: time.Second}})
	ear.wants(t, "10.0.0.2:4000 10.0.0.4:4000")
	if f.Update(nil) {
		t.Error("it goes on by what it does not know")
	}
}

// TestFindSecured: by TLS with a certificate of its own, and by etcd's user and password.
func TestFindSecured(t *testing.T) {
	dir := t.TempDir()
	cert, key, pool := pair(t, dir)
	t.Parallel()
	e := newEtcd(t, dir, "https", "--cert-file", cert, "--key-file", key, "--client-cert-auth", "--trusted-ca-file", cert)
	e.start()
	t.Cleanup(e.crash)
	own, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	good := &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{own}}
	e.ask(good)
	t.Cleanup(func() { e.Client.Close() })
	e.server("10.0.0.1:4000", infoOf("10.0.0.1", 0, "{}"))
	with := func(cfg *tls.Config) *Options {
		pd := e.pd()
		pd.TLS, pd.Timeout = cfg, time.Second
		return &Options{PD: pd}
	}
	ear, f := finding(t, with(&tls.Config{RootCAs: pool}))
	f.Refresh(context.Background())
	if _, told := ear.heard(); told != 0 || !f.Status().Stale {
		t.Errorf("without a certificate: told %d times, %+v", told, f.Status())
	}
	f.Update(with(good))
	ear.wants(t, "10.0.0.1:4000")
}

func TestFindByUser(t *testing.T) {
	e := ownEtcd(t)
	e.server("10.0.0.1:4000", infoOf("10.0.0.1", 0, "{}"))
	ctx := context.Background()
	for _, err := range []error{
		second(e.UserAdd(ctx, "root", "geheim")), second(e.RoleAdd(ctx, "root")), second(e.UserGrantRole(ctx, "root", "root")),
		second(e.AuthEnable(ctx)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	with := func(user, password string) *Options {
		pd := e.pd()
		pd.User, pd.Password, pd.Timeout = user, password, time.Second
		return &Options{PD: pd}
	}
	ear, f := finding(t, with("", ""))
	f.Refresh(ctx)
	f.Update(with("root", "falsch"))
	f.Refresh(ctx)
	if _, told := ear.heard(); told != 0 || !f.Status().Stale {
		t.Errorf("without a password: told %d times, %+v", told, f.Status())
	}
	f.Update(with("root", "geheim"))
	ear.wants(t, "10.0.0.1:4000")
}

func second[T any](_ T, err error) error { return err }

// TestClustersAreApart: the same address in two PD clusters are two backends, and a PD that can't be reached concerns
// its own cluster alone.
func TestClustersAreApart(t *testing.T) {
	one, two := etcdNo(t, 0), etcdNo(t, 1)
	var clusters []*upstream.Cluster
	for i, e := range []*etcd{one, two} {
		e.server("127.0.0.1:1", infoOf("127.0.0.1", 0, "{}"))
		pd := e.pd()
		pd.Timeout = 200 * time.Millisecond
		c := upstream.NewCluster(upstream.Options{Name: fmt.Sprint(i), Protocol: silent{}, Discovery: &Options{PD: pd}, Peers: true,
			Health: upstream.HealthOptions{Interval: time.Hour, Timeout: patience, Rise: 1, Fall: 1}}, zap.NewNop())
		t.Cleanup(func() { c.Close() })
		clusters = append(clusters, c)
		eventually(t, "the server is found", func() bool { return len(c.Backends()) == 1 })
	}
	a, b := clusters[0].Backends()[0], clusters[1].Backends()[0]
	if a == b || a.Addr() != b.Addr() || a.Cluster() == b.Cluster() {
		t.Fatalf("%v and %v", a, b)
	}
	a.Join()
	if b.Sessions() != 0 {
		t.Error("they share their counts")
	}
	one.pause(true)
	t.Cleanup(func() { one.pause(false) })
	eventually(t, "the one is stale", func() bool {
		clusters[0].Refresh(context.Background())
		s, _ := clusters[0].Discovered()
		return s.Stale
	})
	two.server("127.0.0.2:1", infoOf("127.0.0.2", 0, "{}"))
	eventually(t, "the other one goes on", func() bool { return len(clusters[1].Backends()) == 2 })
	if s, _ := clusters[1].Discovered(); s.Stale || a.Gone() || a.Fits(router.Want{Roles: router.AnyRole}) != "" {
		t.Errorf("the other one: %+v; the first one's server: gone %v", s, a.Gone())
	}
}
