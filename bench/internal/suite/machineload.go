package suite

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"
)

// MachineLoad is the CPU time that has been used on the whole machine, told apart by whose it is.
type MachineLoad struct {
	Ours    time.Duration // this process and everything it started
	Foreign time.Duration // every other program
	Stolen  time.Duration // other machines of the same host, while this one had work to do; for all of it, not per CPU
}

// ReadMachineLoad adds up all processes. The kernel's own threads belong to nobody: they work for
// whoever uses the network.
func ReadMachineLoad() (MachineLoad, error) {
	all, err := allStats()
	if err != nil {
		return MachineLoad{}, err
	}
	l := addUp(all, os.Getpid(), cpuTime)
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return MachineLoad{}, err
	}
	l.Stolen, err = stolen(text)
	return l, err
}

// stolen finds the time in which the machine had to wait for its host in the text of /proc/stat: the eighth figure of
// all CPUs together. https://man7.org/linux/man-pages/man5/proc_stat.5.html
func stolen(text []byte) (time.Duration, error) {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 9 || string(fields[0]) != "cpu" {
		return 0, fmt.Errorf("not the stat of a machine: %q", line)
	}
	n, err := strconv.ParseInt(string(fields[8]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("not the stat of a machine: %w", err)
	}
	return time.Duration(n) * clockTick, nil
}

// family is a process and all that descend from it, in the order of their ids.
func family(root int) ([]int, error) {
	all, err := allStats()
	if err != nil {
		return nil, err
	}
	var pids []int
	for pid := range all {
		if descends(all, pid, root) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// allStats reads the stat of every process.
func allStats() (map[int]stat, error) {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	all := make(map[int]stat, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name.Name())
		if err != nil {
			continue // not a process
		}
		s, err := readStat(pid)
		if err != nil {
			continue // it ended meanwhile; its parent accounts for it
		}
		all[pid] = s
	}
	return all, nil
}

// addUp splits the CPU time of all processes by whether root is among their ancestors. Time of ended
// children counts for the parent that waited for them. exact tells the CPU time of a living process to
// more than the ticks of its stat: ours may be many that each do little.
func addUp(all map[int]stat, root int, exact func(pid int) (time.Duration, error)) MachineLoad {
	var l MachineLoad
	for pid, s := range all {
		switch {
		case s.isKernelThread:
		case descends(all, pid, root):
			used, err := exact(pid)
			if err != nil { // it ended meanwhile
				used = s.user + s.system
			}
			l.Ours += used + s.ended
		default:
			l.Foreign += s.user + s.system + s.ended
		}
	}
	return l
}

func descends(all map[int]stat, pid, root int) bool {
	for range len(all) + 1 { // bounded: process ids may be taken anew during the reading
		if pid == root {
			return true
		}
		s, ok := all[pid]
		if !ok || s.parent == 0 {
			return false
		}
		pid = s.parent
	}
	return false
}

// Since returns what was used between two readings.
func (l MachineLoad) Since(before MachineLoad) MachineLoad {
	return MachineLoad{Ours: l.Ours - before.Ours, Foreign: l.Foreign - before.Foreign, Stolen: l.Stolen - before.Stolen}
}
