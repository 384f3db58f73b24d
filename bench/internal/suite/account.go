package suite

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what a process has used since it began, by the kernel's own books.
type Usage struct {
	CPU         time.Duration // user and system, of all threads, also of those that have ended
	User        time.Duration // part of CPU; split by the kernel, in steps of a clock tick
	System      time.Duration // part of CPU; as User
	Voluntary   int64         // context switches because a thread had to wait
	Involuntary int64         // context switches because a thread was taken off its core
	Resident    int64         // memory now, in bytes
}

// clockTick is the step of the times in /proc/PID/stat: USER_HZ, 100 per second on Linux, whatever
// the kernel's own tick is. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
const clockTick = 10 * time.Millisecond

// UsageOf reads what a process has used up to now.
func UsageOf(pid int) (Usage, error) {
	var u Usage
	cpu, err := cpuTime(pid)
	if err != nil {
		return u, err
	}
	stat, err := readStat(pid)
	if err != nil {
		return u, err
	}
	u.CPU, u.User, u.System = cpu, stat.user, stat.system
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return u, err
	}
	for _, name := range threads {
		status, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // the thread ended meanwhile
		}
		if err != nil {
			return u, err
		}
		u.Voluntary += field(status, "voluntary_ctxt_switches:")
		u.Involuntary += field(status, "nonvoluntary_ctxt_switches:")
		u.Resident = field(status, "VmRSS:") << 10 // the same in every thread; in KiB
	}
	return u, nil
}

// usageOfAll adds up what several processes have used. Pages that they share are counted for each.
func usageOfAll(pids []int) (all Usage, err error) {
	for _, pid := range pids {
		u, err := UsageOf(pid)
		if err != nil {
			return all, err
		}
		all.CPU += u.CPU
		all.User += u.User
		all.System += u.System
		all.Voluntary += u.Voluntary
		all.Involuntary += u.Involuntary
		all.Resident += u.Resident
	}
	return all, nil
}

// Since returns what was used between two readings; the memory is that of the later one.
func (u Usage) Since(before Usage) Usage {
	return Usage{
		CPU:         u.CPU - before.CPU,
		User:        u.User - before.User,
		System:      u.System - before.System,
		Voluntary:   u.Voluntary - before.Voluntary,
		Involuntary: u.Involuntary - before.Involuntary,
		Resident:    u.Resident,
	}
}

// cpuTime reads the CPU clock of a process. It is exact to the nanosecond where /proc/PID/stat
// counts in ticks. The clock's id is made of the process id as clock_getcpuclockid does it:
// https://man7.org/linux/man-pages/man3/clock_getcpuclockid.3.html
func cpuTime(pid int) (time.Duration, error) {
	const byScheduler = 2 // CPUCLOCK_SCHED: time on a core, counted by the scheduler
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|byScheduler), &ts); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// stat is the part of /proc/PID/stat that is of use here.
type stat struct {
	parent         int
	user, system   time.Duration // of the process itself
	ended          time.Duration // of its children that have ended and been waited for
	isKernelThread bool
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(text)
}

// parseStat reads one line of /proc/PID/stat. The second field, the program's name, stands in
// parentheses and may itself hold spaces and parentheses, so the rest is found from the last one.
func parseStat(text []byte) (stat, error) {
	end := bytes.LastIndexByte(text, ')')
	fields := bytes.Fields(text[end+1:])
	if end < 0 || len(fields) < 15 {
		return stat{}, fmt.Errorf("not a process's stat: %q", text)
	}
	var n [15]int64
	for i := 1; i < len(n); i++ {
		v, err := strconv.ParseInt(string(fields[i]), 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("not a process's stat: %w", err)
		}
		n[i] = v
	}
	const kernelThreads = 2 // the process id of kthreadd, the parent of them all
	return stat{
		parent:         int(n[1]),
		user:           time.Duration(n[11]) * clockTick,
		system:         time.Duration(n[12]) * clockTick,
		ended:          time.Duration(n[13]+n[14]) * clockTick,
		isKernelThread: n[1] == kernelThreads || n[1] == 0 && bytes.Contains(text[:end], []byte("(kthreadd")),
	}, nil
}

// field finds the number behind a name in a /proc status file; 0 if the name is not there.
func field(status []byte, name string) int64 {
	for line := range bytes.Lines(status) {
		rest, ok := bytes.CutPrefix(line, []byte(name))
		if !ok {
			continue
		}
		if words := bytes.Fields(rest); len(words) > 0 {
			n, err := strconv.ParseInt(string(words[0]), 10, 64)
			if err == nil {
				return n
			}
		}
	}
	return 0
}
