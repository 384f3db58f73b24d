package e2e

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

// secureHost starts a host of f that speaks TLS, and wants a certificate if verify says so.
func (f *fakeStage) secureHost(verify tls.ClientAuthType) *real.FakePatroni {
	return f.host(real.FakeAccess{TLS: &tls.Config{Certificates: []tls.Certificate{stage.cert.TLS},
		ClientAuth: verify, ClientCAs: stage.ca.Pool()}})
}

// discovers tells whether the poll that has just been made has found something.
func discovers(s *real.Sluice) error {
	stale, err := s.Metric("sluice_discovery_stale")
	if err == nil && stale != 0 {
		err = errors.New("Patroni can't be asked")
	}
	return err
}

// TestPatroniTLS asks hosts with https in all ways that are to work, and in some that are not.
func TestPatroniTLS(t *testing.T) {
	t.Parallel() // most of it is waiting
	f := newFakes(t, "one")
	f.Set(f.member("one", "leader"))
	open, closed := f.secureHost(tls.NoClientCert), f.secureHost(tls.RequireAndVerifyClientCert)
	ca, mine := fmt.Sprintf("ca = %q", stage.ca.CertFile), fmt.Sprintf("cert = %q\nkey = %q", stage.cert.CertFile, stage.cert.KeyFile)
	for _, way := range []struct {
		name  string
		host  *real.FakePatroni
		lines []string
		works bool
	}{
		{"ca", open, []string{ca}, true},
		{"skip-verify", open, []string{"skip-verify = true"}, true},
		{"unknown-authority", open, nil, false},
		{"name", open, []string{ca, `server-name = "localhost"`}, true},
		{"wrong-name", open, []string{ca, `server-name = "elsewhere.example"`}, false},
		{"client-cert", closed, []string{ca, mine}, true},
		{"no-client-cert", closed, []string{ca}, false},
	} {
		t.Run(way.name, func(t *testing.T) {
			master := real.FreeAddr()
			s := startFake(t, fakeConfig{urls: []string{way.host.URL()}, cluster: []string{quick},
				patroni: append([]string{"[cluster.patroni.tls]"}, way.lines...)}.String()+listener("master", master, "fake", roles("leader")))
			if err := discovers(s); (err == nil) != way.works {
				t.Errorf("%v, want it to work: %v", err, way.works)
			}
			if !way.works {
				turnedAway(t, master)
				return
			}
			lands(t, master, "one")
		})
	}
}

// TestPatroniTLSReload replaces the authority that a host is verified by.
func TestPatroniTLSReload(t *testing.T) {
	f := newFakes(t, "one", "two")
	f.Set(f.member("one", "leader"))
	host := f.secureHost(tls.NoClientCert)
	file := filepath.Join(t.TempDir(), "ca.crt")
	install := func(from string) {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(file, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	stranger, err := real.NewAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	install(stage.ca.CertFile)
	master := real.FreeAddr()
	config := fakeConfig{urls: []string{host.URL()}, patroni: []string{"[cluster.patroni.tls]", fmt.Sprintf("ca = %q", file)}}.String() +
		listener("master", master, "fake", roles("leader"), cutting)
	s := startFake(t, config)
	c, _ := lineSession(t, master)
	reread := func(want bool) {
		t.Helper()
		if err := s.Reload(unhurried(config)); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			update(t, s)
			if err := discovers(s); (err == nil) != want {
				return fmt.Errorf("%v, want it to work: %v", err, want)
			}
			return nil
		})
	}
	install(stranger.CertFile)
	reread(false)
	stays(t, c, "one")
	install(stage.ca.CertFile)
	f.Set(f.member("two", "leader"))
	reread(true)
	isLeft(t, c)
	lands(t, master, "two")
}

// TestPatroniBasicAuth asks a host that wants a user and a password.
func TestPatroniBasicAuth(t *testing.T) {
	t.Parallel() // most of it is waiting
	f := newFakes(t, "one")
	f.Set(f.member("one", "leader"))
	host := f.host(real.FakeAccess{User: "sluice", Password: real.Password})
	for password, works := range map[string]bool{real.Password: true, "wrong": false} {
		before := host.Refused()
		s := startFake(t, fakeConfig{urls: []string{host.URL()},
			patroni: []string{`user = "sluice"`, fmt.Sprintf("password = %q", password)}}.String()+
			listener("master", real.FreeAddr(), "fake", roles("leader")))
		if err := discovers(s); (err == nil) != works {
			t.Errorf("%v, want it to work: %v", err, works)
		}
		if (host.Refused() == before) != works {
			t.Errorf("%d requests were refused", host.Refused()-before)
		}
	}
}

// TestPatroniGone has no host answer, in all ways: nothing is cut, new clients come in, and metrics say that
// what is known is old.
func TestPatroniGone(t *testing.T) {
	f := newFakes(t, "one", "two")
	f.Set(f.member("one", "leader"), f.member("two", "replica"))
	master, replicas := real.FreeAddr(), real.FreeAddr()
	s := startFake(t, f.config(`timeout = "200ms"`)+listener("master", master, "fake", roles("leader"), cutting)+
		listener("replicas", replicas, "fake", roles("async"), cutting))
	m, _ := lineSession(t, master)
	r, _ := lineSession(t, replicas)
	well := func(stale float64) {
		t.Helper()
		await(t, s, stale, "sluice_discovery_stale", `cluster="fake"`)
		stays(t, m, "one")
		stays(t, r, "two")
		lands(t, master, "one")
		lands(t, replicas, "two")
	}
	well(0)
	for _, state := range []real.FakeState{{Mute: true}, {Status: 503}, {Status: 404}, {Status: 302}, {Delay: time.Minute}, {Body: "<html>"}} {
		f.api.Be(state)
		update(t, s)
		well(1)
		f.api.Be(real.FakeState{})
		eventually(t, func() error { // 200 ms may be too short on a busy machine
			update(t, s)
			return discovers(s)
		})
		well(0)
	}
	f.api.Stop()
	update(t, s)
	well(1)
	if n, err := s.Metric("sluice_discovery_failures_total"); err != nil || n < 7 {
		t.Errorf("%v polls have failed: %v", n, err)
	}
	if err := f.api.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		update(t, s)
		return discovers(s)
	})
	well(0)
}

// TestPatroniSlowHost has the first host hang: the second one is asked without waiting for it.
func TestPatroniSlowHost(t *testing.T) {
	f := newFakes(t, "one", "two")
	f.Set(f.member("one", "leader"))
	slow := f.host(real.FakeAccess{})
	slow.Be(real.FakeState{Delay: 10 * time.Minute})
	master := real.FreeAddr()
	s := startFake(t, fakeConfig{urls: []string{slow.URL(), f.api.URL()}, patroni: []string{`timeout = "5m"`, `hedge = "50ms"`}}.String()+
		listener("master", master, "fake", roles("leader"), cutting))
	lands(t, master, "one")
	f.Set(f.member("two", "leader"))
	update(t, s)
	lands(t, master, "two")
}

// TestPatroniLearnsHosts has the only host that is configured go: members' own are asked then, if they may be.
func TestPatroniLearnsHosts(t *testing.T) {
	t.Parallel() // most of it is waiting
	for _, learn := range []bool{true, false} {
		f := newFakes(t, "one", "two")
		other := f.host(real.FakeAccess{})
		show := func(leader, replica string) {
			f.Set(f.member(leader, "leader", "api_url", f.api.URL()+"/patroni"), f.member(replica, "replica", "api_url", other.URL()+"/patroni"))
		}
		show("one", "two")
		master := real.FreeAddr()
		s := startFake(t, f.config(fmt.Sprint("learn-hosts = ", learn))+listener("master", master, "fake", roles("leader"), cutting))
		f.api.Stop()
		show("two", "one")
		update(t, s)
		if learn {
			lands(t, master, "two")
		} else {
			lands(t, master, "one")
			if n := other.Requests("/cluster"); n > 0 {
				t.Errorf("a host that was not configured was asked %d times", n)
			}
		}
	}
}

// TestPatroniInterval has polls be made by themselves.
func TestPatroniInterval(t *testing.T) {
	f := newFakes(t, "one", "two")
	f.Set(f.member("one", "leader"))
	master := real.FreeAddr()
	config := func(interval string) string {
		return f.config(fmt.Sprintf("interval = %q", interval)) + listener("master", master, "fake", roles("leader"), cutting)
	}
	s := startFake(t, config("100ms"))
	c, _ := lineSession(t, master)
	f.Set(f.member("two", "leader"))
	isLeft(t, c)
	lands(t, master, "two")
	// Another interval, by a reload: no session notices.
	c, _ = lineSession(t, master)
	if err := s.Reload(unhurried(config("1h"))); err != nil {
		t.Fatal(err)
	}
	logs(t, s, "reloaded")
	update(t, s)
	before := f.api.Requests("/cluster")
	eventually(t, func() error { // polls of before would go on
		if last, now := before, f.api.Requests("/cluster"); now != last {
			before = now
			return fmt.Errorf("%d polls", now-last)
		}
		time.Sleep(500 * time.Millisecond)
		if last, now := before, f.api.Requests("/cluster"); now != last {
			before = now
			return fmt.Errorf("%d polls in half a second", now-last)
		}
		return nil
	})
	stays(t, c, "two")
}
