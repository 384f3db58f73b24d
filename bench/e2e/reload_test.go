package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// TestReloadUnderLoad makes 50 reloads, which add and remove another listener with another backend in
// turn, while pgbench and sysbench run. Neither may notice.
func TestReloadUnderLoad(t *testing.T) {
	pgAddr, myAddr, extra := real.FreeAddr(), real.FreeAddr(), real.FreeAddr()
	base := cluster("pg", "postgres", []string{postgres(t, 0).Addr}) + cluster("my", "mysql", []string{mariadb(t, 0).Addr}) +
		listener("pg", pgAddr, "pg") + listener("my", myAddr, "my")
	more := base + cluster("extra", "postgres", []string{postgres(t, 1).Addr}) + listener("extra", extra, "extra")
	s := startSluice(t, racy(t), base)

	bench, sysbench := pgTool(t, "pgbench"), tool(t, "sysbench", "sysbench")
	env, args := psqlEnv(pgAddr, "app"), sysbenchArgs(myAddr)
	command{path: bench, args: []string{"-i", "-s", "2", "-q"}, env: env}.output(t)
	command{path: sysbench, args: append([]string{"oltp_read_write"}, append(args, "cleanup")...)}.output(t)
	command{path: sysbench, args: append([]string{"oltp_read_write"}, append(args, "prepare")...)}.output(t)

	// Each load is run again until the reloads are done.
	over := make(chan struct{})
	var loads sync.WaitGroup
	load := func(c command, good ...string) {
		loads.Go(func() {
			for {
				out, err := c.run(t)
				if err != nil {
					t.Errorf("%s: %v\n%s", filepath.Base(c.path), err, tail(out, 2000))
					return
				}
				wants(t, out, good...)
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	load(command{path: bench, args: []string{"-n", "-M", "prepared", "-c", "4", "-T", "3"}, env: env}, "failed transactions: 0")
	load(command{path: bench, args: []string{"-n", "-S", "-c", "4", "-T", "3"}, env: env}, "failed transactions: 0")
	load(command{path: sysbench, args: append([]string{"oltp_read_write"}, append(args, "--threads=4", "--time=3", "run")...)},
		"reconnects:                          0")

	for i := range 25 {
		if err := s.Reload(more); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error { return selectOne(extra) })
		if err := s.Reload(base); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			c, err := net.Dial("tcp", extra)
			if err == nil {
				c.Close()
				return fmt.Errorf("round %d: the removed listener still accepts", i)
			}
			return nil
		})
	}
	close(over)
	loads.Wait()
}

// selectOne logs in at addr, asks one query and leaves.
func selectOne(addr string) error {
	c, err := dialPGX(addr, "app")
	if err != nil {
		return err
	}
	defer c.Close(context.Background())
	_, err = c.Exec(context.Background(), "select 1")
	return err
}

// TestReloadInvalid has a file with errors change nothing.
func TestReloadInvalid(t *testing.T) {
	addr := real.FreeAddr()
	good := cluster("pg", "postgres", []string{postgres(t, 0).Addr}) + listener("pg", addr, "pg")
	s := startSluice(t, racy(t), good)
	c := connectPG(t, addr, "app")
	for _, bad := range []string{
		good + "[[listener", // no TOML
		strings.ReplaceAll(good, "listen =", "lisden ="),                                        // an unknown key
		good + listener("another", real.FreeAddr(), "nowhere"),                                  // an unknown cluster
		good + listener("tls", real.FreeAddr(), "pg", tlsTable("listener", "prefer", nobody())), // an unreadable file
	} {
		before := len(s.Log())
		if err := s.Reload(bad); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			if news := s.Log()[before:]; !strings.Contains(news, "error") {
				return fmt.Errorf("the log says %q", news)
			}
			return nil
		})
		if got := one[int](t, c, "select 1"); got != 1 {
			t.Errorf("select 1 = %d", got)
		}
		if err := selectOne(addr); err != nil {
			t.Errorf("a new connection: %v", err)
		}
	}
}

// nobody is a certificate whose files do not exist.
func nobody() real.Pair { return real.Pair{CertFile: "/nonexistent/crt", KeyFile: "/nonexistent/key"} }

// TestReloadCertificate replaces the files of a certificate: new connections are shown the new one,
// sessions of before go on.
func TestReloadCertificate(t *testing.T) {
	dir := t.TempDir()
	mine := real.Pair{CertFile: filepath.Join(dir, "crt"), KeyFile: filepath.Join(dir, "key")}
	install := func(p real.Pair) {
		for from, to := range map[string]string{p.CertFile: mine.CertFile, p.KeyFile: mine.KeyFile} {
			b, err := os.ReadFile(from)
			if err == nil {
				err = os.WriteFile(to, b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	install(stage.cert)
	addr := real.FreeAddr()
	config := cluster("pg", "postgres", []string{postgres(t, 0).Addr}) + listener("pg", addr, "pg", tlsTable("listener", "require", mine))
	s := startSluice(t, racy(t), config)
	open := func() (*wire.PG, []byte) {
		conn, err := tls.Dial("tcp", addr, clientTLS("postgresql"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		c := wire.NewPG(conn)
		c.Login()
		return c, conn.ConnectionState().PeerCertificates[0].Raw
	}
	old, shown := open()
	if !bytes.Equal(shown, stage.cert.TLS.Certificate[0]) {
		t.Error("another certificate than the configured one is shown")
	}
	install(stage.otherCert)
	if err := s.Reload(config); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if _, shown := open(); !bytes.Equal(shown, stage.otherCert.TLS.Certificate[0]) {
			return errors.New("the old certificate is still shown")
		}
		return nil
	})
	old.Ask("Z", wire.Query("select 'still here'"))
	if old.Fault() != nil || !old.Contains("still here") {
		t.Error(old.String())
	}
}

// TestReloadRemoves takes a listener and a backend away: the listener's sessions end with the protocol's word
// for it, the backend's move to the other one, and no others notice.
func TestReloadRemoves(t *testing.T) {
	stays, goes, both, my, myGoes := real.FreeAddr(), real.FreeAddr(), real.FreeAddr(), real.FreeAddr(), real.FreeAddr()
	one0, one1 := postgres(t, 0).Addr, postgres(t, 1).Addr
	before := cluster("pg", "postgres", []string{one0}) + cluster("two", "postgres", []string{one0, one1}) + cluster("my", "mysql", []string{mariadb(t, 0).Addr}) +
		listener("stays", stays, "pg") + listener("goes", goes, "pg") + listener("both", both, "two") + listener("my", my, "my") + listener("my-goes", myGoes, "my")
	after := cluster("pg", "postgres", []string{one0}) + cluster("two", "postgres", []string{one0}) + cluster("my", "mysql", []string{mariadb(t, 0).Addr}) +
		listener("stays", stays, "pg") + listener("both", both, "two") + listener("my", my, "my")
	s := startSluice(t, racy(t), before)
	await(t, s, 4, "sluice_backend_up")

	login := func(addr string) *wire.PG {
		c, err := wire.DialPG(addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Conn.Close() })
		c.Login()
		c.Ask("Z", wire.Query("select 'port ' || current_setting('port')"))
		return c
	}
	var survivors, victims, moved []*wire.PG
	survivors = append(survivors, login(stays))
	victims = append(victims, login(goes))
	for range 6 {
		c := login(both)
		if c.Contains(fmt.Sprint("port ", real.Port(one1))) {
			moved = append(moved, c)
		} else {
			survivors = append(survivors, c)
		}
	}
	if len(survivors) == 1 || len(moved) == 0 {
		t.Fatalf("%d sessions on one server, %d on the other", len(survivors)-1, len(moved))
	}
	mySurvivor, myVictim := loginMySQL(t, my, wire.Usual), loginMySQL(t, myGoes, wire.Usual)

	if err := s.Reload(after); err != nil {
		t.Fatal(err)
	}
	for i, c := range victims {
		c.Read("$")
		if c.Fault() != nil || !c.Contains("57P01") {
			t.Errorf("victim %d saw\n%s", i, tail(c.String(), 500))
		}
	}
	myVictim.Closed()
	if myVictim.Fault() != nil || !myVictim.Contains("error 1053") {
		t.Errorf("MySQL victim saw\n%s", &myVictim.Transcript)
	}
	for i, c := range survivors {
		c.Ask("Z", wire.Query("select 'still here'"))
		if c.Fault() != nil || !c.Contains("still here") {
			t.Errorf("survivor %d saw\n%s", i, tail(c.String(), 500))
		}
	}
	for i, c := range moved { // their server has gone from the configuration, and another one is there
		eventually(t, func() error {
			c.Ask("Z", wire.Query("select 'now at ' || current_setting('port')"))
			if c.Fault() == nil && !c.Contains(fmt.Sprint("now at ", real.Port(one0))) {
				return errors.New("a session is still at the server that was taken away")
			}
			return nil
		})
		if c.Fault() != nil {
			t.Errorf("session %d of those that were to move saw\n%s", i, tail(c.String(), 500))
		}
	}
	mySurvivor.Query("select 'still here'")
	if !mySurvivor.Contains("still here") {
		t.Errorf("MySQL survivor saw\n%s", &mySurvivor.Transcript)
	}
}
