package synth

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// begin starts a child of this package and returns what it writes, line by line.
func begin(t *testing.T, args []string) (cmd *exec.Cmd, lines *bufio.Scanner, input io.Closer, errors *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(limited(t), self, args...)
	errors = &bytes.Buffer{}
	cmd.Stderr = errors
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if input, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, bufio.NewScanner(out), input, errors
}

func nextLine(lines *bufio.Scanner) string {
	lines.Scan()
	return lines.Text()
}

// TestProcesses has processes of both sides talk with each other, as the suite starts them.
func TestProcesses(t *testing.T) {
	for protocol := range protocols {
		_, says, _, _ := begin(t, ServerArgs(ServerOptions{Protocol: protocol, Listen: "127.0.0.1:0"}))
		addr, ok := strings.CutPrefix(nextLine(says), "listening on ")
		if !ok {
			t.Fatalf("%s: the server does not listen", protocol)
		}
		o := ClientOptions{Protocol: protocol, Addr: addr, User: "me", Database: "mine", Clients: 4, Depth: 2,
			Rate: 2000, Bytes: 10, Prepared: true, Lasts: 200 * time.Millisecond, Warm: 20 * time.Millisecond}
		load, says, _, errors := begin(t, ClientArgs(o))
		if got := nextLine(says); got != "warm" {
			t.Errorf("%s: the client says %q; want warm", protocol, got)
		}
		warm := time.Now()
		r, err := ParseResult([]byte(nextLine(says)))
		if err != nil || load.Wait() != nil {
			t.Fatalf("%s: %v %s", protocol, err, errors)
		}
		if n := r.Queries + r.Unsent; n < 300 || n > 600 || r.Between(warm.Add(-time.Hour), warm.Add(time.Hour)) != r.Queries {
			t.Errorf("%s: %d questions, %d of them answered; 440 were due", protocol, n, r.Queries)
		}
		o.Lasts = time.Hour
		load, says, _, errors = begin(t, ClientArgs(o))
		nextLine(says)
		_ = load.Process.Signal(syscall.SIGTERM)
		if _, err := ParseResult([]byte(nextLine(says))); err != nil || load.Wait() != nil {
			t.Errorf("%s: cut short: %v %s", protocol, err, errors)
		}
		o.Idle, o.Clients = true, 100
		for way, leave := range map[string]func(*exec.Cmd, io.Closer){
			"SIGTERM":         func(c *exec.Cmd, _ io.Closer) { _ = c.Process.Signal(syscall.SIGTERM) },
			"the input's end": func(_ *exec.Cmd, in io.Closer) { in.Close() },
		} {
			idle, says, in, errors := begin(t, ClientArgs(o))
			if got := nextLine(says); got != "ready 100" {
				t.Errorf("%s: the idle client says %q %s", protocol, got, errors)
			}
			leave(idle, in)
			if err := idle.Wait(); err != nil {
				t.Errorf("%s: by %s, the idle client ended with %v %s", protocol, way, err, errors)
			}
		}
	}
}

// TestProcessFails has a client and a server fail: with status 1, and words on the standard error.
func TestProcessFails(t *testing.T) {
	for want, args := range map[string][]string{
		"connection refused":      ClientArgs(ClientOptions{Protocol: MySQL, Addr: "127.0.0.1:1", User: "me", Lasts: 1}),
		"protocol":                ServerArgs(ServerOptions{Protocol: "x", Listen: "127.0.0.1:0"}),
		"listen":                  ServerArgs(ServerOptions{Protocol: MySQL, Listen: "127.0.0.1"}),
		"server or client":        {Command},
		"neither":                 {Command, "x"},
		`unexpected argument "x"`: {Command, "server", "x"},
	} {
		cmd, _, _, errors := begin(t, args)
		err := cmd.Wait()
		if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(errors.String(), want) {
			t.Errorf("%v: %v, %s; want %q", args, err, errors, want)
		}
	}
}
