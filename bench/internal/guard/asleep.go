package guard

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// settle is the time between two looks at a process. Go's runtime takes some 20 µs to notice that a
// thread is in a system call for longer and to hand on what it held; a process that is asleep at two
// looks has that behind it.
const settle = 100 * time.Microsecond

// untilAsleep waits until no thread of a process has anything to do. A message that is sent then
// always wakes it, however fast the machine is.
func untilAsleep(pid int) error {
	deadline := time.Now().Add(patience)
	for quiet := 0; quiet < 2; {
		asleep, err := isAsleep(pid)
		if err != nil {
			return err
		}
		if quiet++; !asleep {
			quiet = 0
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d was busy for %v", pid, patience)
		}
		pause(settle)
	}
	return nil
}

// isAsleep tells whether all threads of a process wait for something. Under valgrind one thread runs
// at a time and the others wait for it: only if none runs, none could.
func isAsleep(pid int) (bool, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false, err
	}
	if len(threads) == 0 {
		return false, fmt.Errorf("process %d has gone", pid)
	}
	for _, name := range threads {
		stat, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // the thread ended meanwhile
		}
		if err != nil {
			return false, err
		}
		if state(stat) != 'S' {
			return false, nil
		}
	}
	return true, nil
}

// state is the third field of /proc/PID/stat. The second is a name in parentheses that may itself
// hold any character. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
func state(stat []byte) byte {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 || len(stat) < end+3 {
		return 0
	}
	return stat[end+2]
}

// pause waits by the kernel's clock: a sleep of Go's is rounded up to a millisecond while the process
// waits for the network.
func pause(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&ts, nil) // an early end does no harm
}
