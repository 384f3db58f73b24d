package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const patience = 2 * time.Minute

// TestMain lets the test binary be its own children.
func TestMain(m *testing.M) {
	if os.Getenv("CHILD_TEST_OWNER") != "" {
		ownAndDie()
	}
	os.Exit(m.Run())
}

// ownAndDie starts a child that would live for a minute, tells its process id and waits to be killed.
func ownAndDie() {
	p, err := Start(Spec{Name: "sleeper", Args: []string{"sleep", "60"}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(p.PID())
	select {}
}

func TestRunReportsOutputAndStatus(t *testing.T) {
	ctx := context.Background()
	var out bytes.Buffer
	err := Run(ctx, Spec{Name: "speaker", Args: []string{"sh", "-c", "echo hello"}, Stdout: &out})
	if err != nil || out.String() != "hello\n" {
		t.Errorf("got %q, %v; want hello", out.String(), err)
	}
	err = Run(ctx, Spec{Name: "failer", Args: []string{"sh", "-c", "echo no luck >&2; exit 3"}})
	if err == nil || !strings.Contains(err.Error(), "failer: exit status 3\nno luck") {
		t.Errorf("got %v; want the status and the output", err)
	}
	if _, err := Start(Spec{Name: "nothing", Args: []string{"/does/not/exist"}}); err == nil {
		t.Error("a missing program was started")
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := Run(ctx, Spec{Name: "sleeper", Args: []string{"sh", "-c", "sleep 60 & wait"}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v; want the context's error", err)
	}
	if took := time.Since(began); took > patience {
		t.Errorf("took %v", took)
	}
}

func TestStop(t *testing.T) {
	tests := []struct {
		name     string
		script   string
		patience time.Duration
		want     string // in the error; "" = no error
	}{
		{"dies of the signal", "exec sleep 600", patience, ""},
		{"ends by itself", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done", patience, ""},
		{"will not", "trap '' TERM; echo ready; while :; do sleep 0.01; done", 100 * time.Millisecond, "was killed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out lockedBuffer
			p, err := Start(Spec{Name: "it", Args: []string{"sh", "-c", tt.script}, Stdout: &out})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if strings.Contains(tt.script, "ready") {
				err := Until(ctx, p, func() error {
					if out.String() != "ready\n" {
						return errors.New("not ready")
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			err = p.Stop(syscall.SIGTERM, tt.patience)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v; want %q", err, tt.want)
			}
			if alive(p.PID()) {
				t.Error("it is still there")
			}
		})
	}
}

// TestChildDiesWithItsOwner kills an owner that had no chance to stop its child.
func TestChildDiesWithItsOwner(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "CHILD_TEST_OWNER=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 32)
	n, _ := out.Read(line)
	pid, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil || !alive(pid) {
		t.Fatalf("no child: %v", err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err = Until(ctx, nil, func() error {
		if alive(pid) {
			return errors.New("the child outlived its owner")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestUntilNoticesAnEarlyEnd(t *testing.T) {
	p, err := Start(Spec{Name: "brief", Args: []string{"sh", "-c", "echo can not start; exit 1"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err = Until(ctx, p, func() error { return errors.New("never") })
	if err == nil || !strings.Contains(err.Error(), "can not start") {
		t.Errorf("got %v; want what the child said", err)
	}
}

func TestFreeAddress(t *testing.T) {
	addr, err := FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	if err := Accepts(addr); err == nil {
		t.Errorf("something listens at %s", addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := Accepts(addr); err != nil {
		t.Error(err)
	}
	if port, err := strconv.Atoi(Port(addr)); err != nil || port < portFirst || port >= portLast {
		t.Errorf("port of %s: %d, %v", addr, port, err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var last tail
	for i := range 3 * tailMax {
		fmt.Fprintf(&last, "%d\n", i)
	}
	got := last.String()
	if len(got) != tailMax || !strings.HasSuffix(got, fmt.Sprintf("\n%d\n", 3*tailMax-1)) {
		t.Errorf("kept %d bytes, ending in %q", len(got), got[len(got)-20:])
	}
}

// alive reports whether a process runs; one that has ended but was not waited for does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// lockedBuffer is a buffer that is read while a child still writes to it.
type lockedBuffer struct{ tail }
