package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"sluice/bench/e2e/real"
)

// TestTiDBTwoClusters: two clusters, each with a PD of its own, name the same address. It is two servers, one of each:
// sessions, orders and the end of a PD concern the one and not the other.
func TestTiDBTwoClusters(t *testing.T) {
	every := trio(t)
	east, west := startPD(t, every[0]), startPD(t, every[0], every[1])
	eastAddr, westAddr := real.FreeAddr(), real.FreeAddr()
	s := startSluice(t, racy(t), pdCluster("east", []string{east.Addr}, quickStatus)+tidbListener("east", eastAddr)+
		pdCluster("west", []string{west.Addr}, quickStatus)+tidbListener("west", westAddr))
	shared := every[0].Addr
	sessions := func(cluster, addr string, n float64) {
		t.Helper()
		await(t, s, n, "sluice_backend_sessions", fmt.Sprintf("cluster=%q", cluster), fmt.Sprintf("backend=%q", addr))
	}
	await(t, s, 3, "sluice_backend_up")
	order := func(what, more string) error {
		_, err := s.Post("/api/backends/" + url.PathEscape(shared) + "/" + what + more)
		return err
	}
	if err := order("drain", "?cluster=west"); err != nil {
		t.Fatal(err)
	}
	inEast, inWest := newCompanions(t, eastAddr, 2), newCompanions(t, westAddr, 2)
	sessions("east", shared, 2)
	sessions("west", shared, 0)
	if err := order("drain", ""); err == nil || !strings.Contains(err.Error(), "cluster") {
		t.Errorf("an order that does not say which of the two: %v", err)
	}
	if err := order("resume", "?cluster=west"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Post("/api/backends/" + url.PathEscape(every[1].Addr) + "/drain"); err != nil { // there is one of this name
		t.Fatal(err)
	}
	sessions("west", shared, 2)
	sessions("east", shared, 2)
	inEast.allAt(t, every[0])
	inWest.allAt(t, every[0])

	if err := east.Kill(); err != nil {
		t.Fatal(err)
	}
	stale(t, s, "east", true)
	west.enters(t, every[2])
	sessions("west", every[2].Addr, 0) // it is there, which nobody else's PD stands in the way of
	await(t, s, 4, "sluice_backend_up")
	west.leaves(t, every[0])
	sessions("east", shared, 2)
	eventually(t, func() error {
		if b := of(t, s, "west", shared); b.Addr != "" {
			return fmt.Errorf("in the one it has not gone: %+v", b)
		}
		return nil
	})
	if b := of(t, s, "east", shared); b.Health != "up" || b.Closing {
		t.Errorf("in the other it has: %+v", b)
	}
	stale(t, s, "west", false)
	inEast.unchanged(t)
	inEast.allAt(t, every[0])
	inWest.unchanged(t)
	welcomes(t, eastAddr, every[0])
	welcomes(t, westAddr, every[2])
}

// staticCluster is a cluster of instances that stand in the configuration, with their status ports.
func staticCluster(name string, every ...*real.TiDB) string {
	var list []string
	for _, d := range every {
		list = append(list, fmt.Sprintf("{ addr = %q, status = %q }", d.Addr, d.Status))
	}
	lines := append([]string{fmt.Sprintf("name = %q", name), `protocol = "mysql"`, "backends = [" + strings.Join(list, ", ") + "]"},
		unless(nil, unhurriedCluster)...)
	return section("[[cluster]]", append(lines, tlsCA("cluster", "verify-full"), quickStatus)...)
}

// TestTiDBReload: lists, PDs and the way of discovery change while sessions live. They go along to where their cluster
// is now. At the end nothing is left of what was: no goroutine, no descriptor.
func TestTiDBReload(t *testing.T) {
	every := trio(t)
	one, two := startPD(t, every[2]), startPD(t, every[0], every[1])
	addr := real.FreeAddr()
	behind := func(cluster string) string { return cluster + tidbListener("ti", addr) }
	s := startSluice(t, racy(t), behind(staticCluster("ti", every[0])))
	knows(t, s, every[0])
	people := newCompanions(t, addr, 4)
	change := func(name, cluster string, to ...*real.TiDB) {
		t.Helper()
		if err := s.Reload(unhurried(behind(cluster))); err != nil {
			t.Fatal(err)
		}
		knows(t, s, to...)
		people.unchanged(t)
		if len(to) == 1 {
			people.allAt(t, to[0])
			welcomes(t, addr, to[0])
		}
		if t.Failed() {
			t.Fatalf("by: %s", name)
		}
	}
	round := func() {
		t.Helper()
		change("another server in the list", staticCluster("ti", every[1]), every[1])
		change("one more in the list", staticCluster("ti", every[1], every[0]), every[0], every[1])
		change("PD", pdCluster("ti", []string{one.Addr}, quickStatus), every[2])
		change("an address of PD where nobody is, too", pdCluster("ti", []string{real.FreeAddr(), one.Addr}, quickStatus), every[2])
		change("another PD", pdCluster("ti", []string{two.Addr}, quickStatus), every[0], every[1])
		change("figures and a listing in PD", pdCluster("ti", []string{two.Addr}, `advertise = "127.0.0.1:6000"`,
			quickStatus[:strings.Index(quickStatus, "\n[")], `metrics-interval = "1s"`), every[0], every[1])
		change("the list again", staticCluster("ti", every[0]), every[0])
	}
	round()
	goroutines, files := least(t, s)
	for range 2 {
		round()
	}
	err := real.Eventually(soon, func() error {
		g, f := resources(t, s)
		if g > goroutines+4 || f > files+4 {
			return fmt.Errorf("%v goroutines and %d descriptors, but %v and %d before", g, f, goroutines, files)
		}
		return nil
	})
	if err != nil {
		stacks, _ := s.Get("/debug/pprof/goroutine?debug=1")
		t.Fatalf("%v\n%s", err, stacks)
	}
	if v, err := two.Value("/topology/tiproxy/127.0.0.1:6000/info"); err != nil || v != "" {
		t.Errorf("it is still listed in PD: %q: %v", v, err)
	}
}

// resources are what a process can leak: goroutines, and descriptors.
func resources(t *testing.T, s *real.Sluice) (goroutines float64, files int) {
	t.Helper()
	goroutines, err := s.Metric("go_goroutines")
	if err != nil {
		t.Fatal(err)
	}
	if files, err = real.OpenFiles(s.PID); err != nil {
		t.Fatal(err)
	}
	return goroutines, files
}

// least are the resources when they have not become less for a while.
func least(t *testing.T, s *real.Sluice) (goroutines float64, files int) {
	t.Helper()
	goroutines, files = resources(t, s)
	for same := 0; same < 20; same++ {
		if g, f := resources(t, s); g < goroutines || f < files {
			goroutines, files, same = min(g, goroutines), min(f, files), 0
		}
	}
	return goroutines, files
}
