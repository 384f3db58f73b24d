package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

// An idle client may not cost more resident memory than this, its server connection included.
const idleClientMax = 8 << 10

// idleClients returns how many clients fit into the descriptors that one process may have: Sluice
// needs two for each and some for itself.
func idleClients(t *testing.T) int {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	n := min(10_000, int(limit.Max-200)/2)
	if n < 1000 {
		t.Fatalf("%d clients are too few to measure by: raise the limit of open files (ulimit -Hn)", n)
	}
	return n
}

// TestIdleMemory measures what 10,000 idle clients cost: memory that is resident, and goroutines, of
// which there must be none. Clients and server have processes of their own.
func TestIdleMemory(t *testing.T) {
	n := idleClients(t)
	server, addr := startRole(t, "idle-server")
	defer server.dismiss()
	front := real.FreeAddr()
	s := startSluice(t, plain(t), cluster("idle", "postgres", []string{addr})+listener("idle", front, "idle"))
	await(t, s, 1, "sluice_backend_up")

	// Some clients first, so that what is made once is there.
	warm, _ := startRole(t, "idle-clients", addrVariable+"="+front, clientsVariable+"=100")
	memory, goroutines := settle(t, s)
	clients, _ := startRole(t, "idle-clients", addrVariable+"="+front, fmt.Sprintf("%s=%d", clientsVariable, n-100))
	await(t, s, float64(n), "sluice_sessions")
	after, goroutinesAfter := settle(t, s)

	each := (after - memory) / int64(n-100)
	t.Logf("%d idle clients: %d bytes of resident memory each (%d MiB in all), %v goroutines before and %v after",
		n, each, after>>20, goroutines, goroutinesAfter)
	if each > idleClientMax {
		t.Errorf("an idle client costs %d bytes, more than %d", each, idleClientMax)
	}
	if goroutinesAfter > goroutines+20 {
		t.Errorf("%v goroutines with %d clients, %v with 100", goroutinesAfter, n, goroutines)
	}
	clients.dismiss()
	warm.dismiss()
	await(t, s, 0, "sluice_sessions")
}

// settle waits until Sluice's memory has stopped to change and returns it, with the number of
// goroutines.
func settle(t *testing.T, s *real.Sluice) (bytes int64, goroutines float64) {
	t.Helper()
	last, since := int64(0), time.Now()
	eventually(t, func() error {
		now, err := real.ResidentBytes(s.PID)
		if err != nil {
			return err
		}
		if now > last+last/200 || now < last-last/200 {
			last, since = now, time.Now()
		}
		if time.Since(since) < time.Second {
			return fmt.Errorf("%d bytes and not settled", now)
		}
		return nil
	})
	goroutines, err := s.Metric("go_goroutines")
	if err != nil {
		t.Fatal(err)
	}
	return last, goroutines
}

// player is this test binary in a role, in another process.
type player struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// startRole starts role with settings in its environment and returns the first line that it says.
func startRole(t *testing.T, role string, settings ...string) (p *player, says string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(cmd.Environ(), append(settings, roleVariable+"="+role)...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p = &player{cmd, stdin}
	t.Cleanup(p.dismiss)
	line := make(chan string, 1)
	go func() {
		says, _ := bufio.NewReader(stdout).ReadString('\n')
		line <- strings.TrimSpace(says)
	}()
	select {
	case says = <-line:
	case <-time.After(10 * time.Minute):
	}
	if says == "" || strings.HasPrefix(says, "error") {
		t.Fatalf("%s says %q", role, says)
	}
	return p, says
}

// dismiss lets the player go, which ends its connections.
func (p *player) dismiss() {
	if p.stdin.Close() == nil {
		_ = p.cmd.Wait()
	}
}
