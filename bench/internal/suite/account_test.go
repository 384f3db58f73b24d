package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"sluice/bench/internal/child"
)

// TestUsageOf has a shell burn CPU until it has used a known amount, by its own count, and compares.
func TestUsageOf(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	p, err := child.Start(child.Spec{Name: "burner", Args: []string{"sh", "-c", "while :; do :; done"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	before, err := UsageOf(p.PID())
	if err != nil {
		t.Fatal(err)
	}
	machineBefore, err := ReadMachineLoad()
	if err != nil {
		t.Fatal(err)
	}
	const want = 300 * time.Millisecond
	var used Usage
	err = child.Until(ctx, p, func() error {
		after, err := UsageOf(p.PID())
		used = after.Since(before)
		if err != nil || used.CPU < want {
			return fmt.Errorf("used %v, %v", used.CPU, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// The books of the clock and of /proc/PID/stat are kept apart, the latter in ticks.
	if ticks := used.User + used.System; ticks < want/2 || ticks > used.CPU+10*clockTick {
		t.Errorf("CPU clock %v, ticks %v", used.CPU, ticks)
	}
	if used.Voluntary+used.Involuntary <= 0 || used.Resident < 64<<10 {
		t.Errorf("got %+v", used)
	}
	machine, err := ReadMachineLoad()
	if err != nil {
		t.Fatal(err)
	}
	if ours := machine.Since(machineBefore).Ours; ours < want/2 {
		t.Errorf("this process and its child used %v; want about %v", ours, want)
	}
}

func TestUsageOfNobody(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if u, err := UsageOf(cmd.ProcessState.Pid()); err == nil {
		t.Errorf("a process that has ended used %+v", u)
	}
}

func TestParseStat(t *testing.T) {
	line := []byte("4321 (a (b) c d) S 17 4321 4321 0 -1 4194304 100 0 0 0 250 50 30 20 20 0 1 0 100 0 0\n")
	got, err := parseStat(line)
	want := stat{parent: 17, user: 2500 * time.Millisecond, system: 500 * time.Millisecond, ended: 500 * time.Millisecond}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := parseStat(own); err != nil || got.parent != os.Getppid() || got.isKernelThread {
		t.Errorf("of this process: %+v, %v", got, err)
	}
	for _, bad := range []string{"", "1 (x", "1 (x) S 2 3", "1 (x) S a b c d e f g h i j k l m n o"} {
		if got, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q gave %+v", bad, got)
		}
	}
}

// TestAddUp has this process (10), its child and grandchild, a stranger, a kernel thread and two
// processes that seem to be each other's parent because ids were taken anew.
func TestAddUp(t *testing.T) {
	all := map[int]stat{
		1:  {user: 1},
		10: {parent: 1, user: 10, ended: 5},
		11: {parent: 10, system: 100},
		12: {parent: 11, user: 1000},
		20: {parent: 1, user: 10000},
		3:  {parent: 2, system: 100000, isKernelThread: true},
		30: {parent: 31, user: 3},
		31: {parent: 30, user: 4},
	}
	exact := func(pid int) (time.Duration, error) {
		if pid == 11 {
			return 0, errors.New("it has ended")
		}
		return all[pid].user + all[pid].system + 1, nil
	}
	got := addUp(all, 10, exact)
	want := MachineLoad{Ours: 1117, Foreign: 10008}
	if got != want {
		t.Errorf("got %+v; want %+v", got, want)
	}
}

// TestStolen finds the host's share, and takes no other line for it.
func TestStolen(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"cpu  6589954 92950 1781583 7293241 18091 0 417885 787325 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n": 787325 * clockTick,
		"cpu 1 2 3 4 5 6 7 0\n": 0,
	} {
		if got, err := stolen([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "cpu 1 2 3 4 5 6 7", "cpu0 1 2 3 4 5 6 7 8", "cpu 1 2 3 4 5 6 7 x"} {
		if got, err := stolen([]byte(text)); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
	if l, err := ReadMachineLoad(); err != nil || l.Stolen < 0 {
		t.Errorf("this machine: %+v, %v", l, err)
	}
}

func TestField(t *testing.T) {
	status := []byte("VmRSS:\t    1234 kB\nnonvoluntary_ctxt_switches:\t7\nvoluntary_ctxt_switches:\t8\nempty:\n")
	for name, want := range map[string]int64{
		"VmRSS:": 1234, "voluntary_ctxt_switches:": 8, "nonvoluntary_ctxt_switches:": 7, "empty:": 0, "missing:": 0,
	} {
		if got := field(status, name); got != want {
			t.Errorf("%s got %d; want %d", name, got, want)
		}
	}
}
