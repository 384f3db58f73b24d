// Package guard counts the instructions that Sluice spends on a query, and holds them against a
// record, so that a change that costs is seen when it is made.
//
// Times depend on the machine and on what else it does; instructions do not. The program runs under
// valgrind, which executes it on a simulated processor and counts every instruction in user space, by
// function (https://valgrind.org/docs/manual/cg-manual.html). The tool is cachegrind with its caches
// switched off: callgrind does not survive a signal that a Go program handles on a stack of its own.
//
//	client ──▶ valgrind: sluice run ──▶ backend      client and backend are part of this process,
//	       ◀──                      ◀──              and say the same bytes again and again
//
// In a funnel Sluice itself speaks to the backend as well, in words of its own, so that there the backend
// answers message by message.
//
// A program is run twice in the same way but for the number of queries. What the start, the logins and
// the end cost is the same in both, so
//
//	instructions per query = (count of the long run − count of the short run) / more queries
//
// The count has two parts. The program's part is the code of Sluice and of the libraries that it is
// made of. It hardly depends on time: what is relayed per query is fixed, and only the number of
// events per turn of a loop varies a little. The runtime's part is the code of Go's runtime: the
// scheduler and the frame of each system call. It depends on how often the process runs out of work,
// and on a thread that looks around by the clock. So the parts have tolerances of their own.
//
// What the kernel does is not counted. The benchmark suite measures that, as time.
package guard
