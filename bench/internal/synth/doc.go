// Package synth is a server and clients of both protocols that do so little that only what stands
// between them is measured. Each runs as a process of its own (see RunAsChild), so that its CPU time
// is nobody else's.
//
// # What is said
//
// A client asks "SELECT <its own number>" and gets one row with that number; with a second operand it
// gets so many bytes of filler behind it, in rows of at most 64 KiB. It compares every byte of every
// answer, and the first one that is wrong ends the load with an error. So a load that ends well also
// says that nothing was lost, changed or mixed up. The protocols are real ones: drivers and poolers
// can log in, set their variables, prepare, and ping. Filler is never made: it is written from one
// block of memory. Of a session's state the server knows its user, which is what a pooler is told that
// asks (pglook.go).
//
// # Closed and open loop
//
// In a closed loop each client has Depth questions under way and asks the next one when an answer is
// there. In an open loop questions are due at random moments of a given mean rate (a Poisson process),
// are asked by whichever client has been free longest, and their latency counts from when they were
// due. What can't be asked in time because everybody waits is still late, and shows in the percentiles:
// that is the correction of what is called coordinated omission. An open loop with too few clients for
// its rate thus measures their waiting, too: give it many.
//
//	process    thread                                      what limits it
//	server     poller ─▶ session ─▶ answerer ─▶ reply      outMax: then it reads no more from that client
//	client     poller ─▶ conn ─▶ asker ─▶ check            Depth
//	                └─▶ pace (open loop) ─▶ load ─▶ Result
//
// # What the pair reaches
//
// Directly, without anything between, on two cores of a virtual machine that had other work, Linux
// 6.18, loopback, the best of three half seconds; CPU is that of the server, and the client's is the
// same within a tenth.
//
//	clients  depth   PostgreSQL                  MySQL
//	1        1         73,896/s   6.6 µs/query     61,218/s   7.8 µs/query
//	32       1        106,494/s   4.6             137,756/s   3.7
//	512      1        114,150/s   4.4             133,810/s   6.8
//	1        8        534,560/s   0.9             381,056/s   1.2
//	1        64     1,253,504/s   0.44            975,104/s   0.39
//	32       8        832,016/s   1.2             662,272/s   1.3
//	32       64     2,633,856/s   0.37          1,371,776/s   0.37
//	4        1            226/s   4.5 ms              116/s   3.1 ms    results of 16 MiB
//
// What is left at depth 1 is one read, one write and a share of a wait. The same server on
// cloudwego/netpoll v0.7.2 (one poller) took 9.3 to 10.6 µs of CPU per query where this one took 7.7
// to 8.9 (32 clients, in turn on a busier machine), and 23 to 30 where this one took 9 to 12 (one
// client): each request there wakes a goroutine. So both sides stand on epoll alone.
//
// Either side is one thread. A proxy that outruns it on a larger machine needs several pairs.
package synth
