package e2e

import (
	"fmt"
	"strings"
	"testing"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// TestTenantsMove moves sessions that namespaces have led, and that Sluice has greeted: each within its cluster and its
// tags, with its state and the id that it was told. None of them gets to another tenant's servers, neither by a drain
// nor by COM_CHANGE_USER nor by KILL.
func TestTenantsMove(t *testing.T) {
	every := trio(t)
	everywhere(t, every, "create user if not exists other@'%' identified with mysql_native_password by '"+real.Password+"'",
		"grant all on *.* to other@'%'")
	addr := real.FreeAddr()
	tagged := fmt.Sprintf("backends = [{ addr = %q, tags = [\"tenant=shop\"] }, { addr = %q, tags = [\"tenant=shop\"] }, { addr = %q, tags = [\"tenant=rest\"] }]",
		every[0].Addr, every[1].Addr, every[2].Addr)
	config := cluster("own", "mysql", []string{every[2].Addr}, tlsCA("cluster", "verify-full")) +
		section("[[cluster]]", `name = "ti"`, `protocol = "mysql"`, tagged, `connect-timeout = "1m"`, `retry-timeout = "3m"`,
			"[cluster.health]", unhurriedHealth, tlsCA("cluster", "verify-full")) +
		listener("in", addr, "own", `drain-timeout = "5m"`, tlsTable("listener", "prefer", stage.cert)) +
		namespace("shop", "ti", `users = ["app", "tls"]`, `tags = ["tenant=shop"]`)
	s := startSluice(t, racy(t), config)
	await(t, s, 4, "sluice_backend_up")
	m := moving{Sluice: s, addr: addr, every: every}

	c := loginMySQL(t, addr, wire.Usual)
	secure := single(t, openMySQL(t, addr, "app", "tls=ours"))
	mustMySQL(t, secure, "set @kept = 'over TLS'")
	c.Query("set @kept = 'in plain'")
	id := c.Prepare("select concat('prepared ', @kept)")
	c.Query("select connection_id()")
	if want := fmt.Sprint(c.ID); !c.Contains(want) {
		t.Errorf("%q is not in what is said before a move:\n%s", want, &c.Transcript)
	}
	for range 2 {
		for i := range 2 {
			m.order(t, every[1-i], "resume")
			m.order(t, every[i], "drain")
			await(t, s, 0, "sluice_backend_sessions", fmt.Sprintf("backend=%q", every[i].Addr), `cluster="ti"`)
			answer := heard(c, func(c *wire.MySQL) {
				c.Execute(id, false)
				c.Query("select concat('at ', @@port)")
				c.Query("select connection_id()")
			})
			for _, want := range []string{"prepared in plain", fmt.Sprintf("at %d", real.Port(every[1-i].Addr)), fmt.Sprint(c.ID)} {
				if !strings.Contains(answer, want) {
					t.Errorf("%q is not in what is said behind a move:\n%s", want, answer)
				}
			}
			if got := value(t, secure, "select @kept"); got != "over TLS" {
				t.Errorf("behind a move @kept is %q", got)
			}
		}
	}
	// Nobody of its own is left: it stays, as others' servers are no way out.
	m.order(t, every[0], "drain")
	m.order(t, every[1], "drain")
	if got := at(t, secure); got != real.Port(every[0].Addr) {
		t.Errorf("with all its servers drained it is at port %d", got)
	}
	if list := listedClients(t, s); len(list) != 2 || list[0].Namespace != "shop" || list[0].Cluster != "ti" {
		t.Errorf("sessions: %+v", list)
	}

	foreign := wire.Account{User: "other", Password: real.Password, Database: "app", Caps: wire.Usual, Collation: 45}
	o, err := wire.DialMySQL(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Conn.Close()
	o.Login(foreign)
	o.Query(fmt.Sprintf("kill %d", c.ID))
	c.Query("select 'not killed'")
	if !c.Contains("not killed") {
		t.Errorf("another tenant has killed a session:\n%s", &c.Transcript)
	}
	for _, x := range []struct {
		from *wire.MySQL
		to   string
	}{{o, "app"}, {c, "other"}} {
		x.from.Command(wire.ComChangeUser, changeUserTo(x.to, "app"))
		if x.from.Authenticate(real.Password) || !x.from.Contains("can't go on as that user") {
			t.Errorf("a session goes on as another tenant's user %s:\n%s", x.to, &x.from.Transcript)
		}
	}
	await(t, s, 1, "sluice_namespace_connections", `namespace="shop"`)
}
