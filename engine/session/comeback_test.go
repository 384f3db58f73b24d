package session

import (
	"strings"
	"testing"
)

// TestFiguresOfWhoComesBack: a backend that goes and comes back at its address, while sessions are at it still, is one
// to who reads the metrics: no series is there twice, and none loses what it had.
func TestFiguresOfWhoComesBack(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	s := startLines(t, fakeProto{}, nil, a)
	backends := func(list ...*fakeDB) {
		s.setup.Clusters[0].Backends = lineSpecs(list...)
		s.apply()
	}
	c := loginLines(t, s.addr("in"))
	backends(b)
	s.awaits("moved", 1)
	backends(a, b)
	s.backendOf(b).Drain("so that it goes back")
	s.awaits("moved", 2)
	stays := loginLines(t, s.addr("in"))
	stays.expect("begin", "ok T")
	s.backendOf(b).Resume()
	backends(b)
	s.awaits("moved", 3)
	backends(a, b)
	s.backendOf(b).Drain("so that the next one goes to the third of its name")
	s.awaits("moved", 4)
	c.expect("who", "a I")
	stays.expect("who", "a T")
	seen := map[string]bool{}
	for _, line := range strings.Split(s.figures(), "\n") {
		series, _, _ := strings.Cut(line, "} ")
		if strings.HasPrefix(line, "sluice_") && seen[series] {
			t.Errorf("twice: %s", line)
		}
		seen[series] = true
	}
	if want := `sluice_migrations_total{cluster="pg",from="` + a.addr() + `",to="` + b.addr() + `",reason="gone",result="moved"} 2`; !strings.Contains(s.figures(), want) {
		t.Errorf("no %s in\n%s", want, s.figures())
	}
	for _, x := range []*lineClient{c, stays} {
		x.Close()
	}
	s.expectEmpty()
}
