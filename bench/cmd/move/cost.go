package main

import (
	"os"
	"runtime"
	"time"

	"sluice/bench/internal/suite"
)

// cost is the CPU time used up to a moment, or between two of them.
type cost struct {
	at              time.Time
	sluice, clients time.Duration
	machine         suite.MachineLoad
}

// costs reads what has been used up to now.
func (s *stage) costs() (c cost, err error) {
	sluice, err := suite.UsageOf(s.sluice.Process.PID)
	if err != nil {
		return c, err
	}
	clients, err := suite.UsageOf(os.Getpid())
	if err != nil {
		return c, err
	}
	c.at, c.sluice, c.clients = time.Now(), sluice.CPU, clients.CPU
	c.machine, err = suite.ReadMachineLoad()
	return c, err
}

func (c cost) since(before cost) cost {
	return cost{
		at: c.at, sluice: c.sluice - before.sluice, clients: c.clients - before.clients, machine: c.machine.Since(before.machine),
	}
}

// servers is what all but Sluice and the clients used of what was started.
func (c cost) servers() time.Duration { return max(0, c.machine.Ours-c.sluice-c.clients) }

// shares are the parts of the machine's CPU time that did not go to the run.
type shares struct {
	Foreign float64 `json:"foreign_cpu_share"` // what other programs used
	Stolen  float64 `json:"stolen_cpu_share"`  // what the machine's host gave to others
}

// shares are those of the time that passed.
func (c cost) shares(passed time.Duration) shares {
	if passed <= 0 {
		return shares{}
	}
	all := float64(passed) * float64(runtime.NumCPU())
	// Of a program that ended, its parent has the whole time, so it may come to more than there was.
	return shares{min(1, float64(c.machine.Foreign)/all), min(1, float64(c.machine.Stolen)/all)}
}
