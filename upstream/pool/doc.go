// Package pool shares a few server connections among many users that live on several event loops, without
// a lock on the way of a query. It knows no protocol and no socket: what has to be done to a connection is
// asked of its user (Hooks), time included.
//
//	Group ── the caps over all pools
//	  └ Pool ── one backend, database and user: limits, and how many are open
//	      ├ Part ── on loop 0: idle entries, a queue of waiters
//	      └ Part ── on loop 1                │ Get, Put, Lost: plain data of the loop
//	           └──── line ◀───── read by the other loops, written when it matters
//
// # A checkout
//
// Get takes an idle entry of its own loop, the one used last, and touches nothing that other loops write.
// Without one the user waits in the queue of its loop, and whatever comes first serves it: an entry that
// comes free here; one that is opened for it, if Size and the caps allow; one that is idle, or comes free,
// on another loop. Put serves the first waiter here, unless one on another loop has waited much longer;
// then the entry is moved there.
//
// # Whose turn it is, and why that is told by time
//
// Within a loop it is strictly first come, first served. Between loops the order could be had from tickets,
// drawn from one counter by everybody who waits; but a counter is a shared write for each wait, and in a
// pool that is used to the full every query waits. So each loop tells the others, in a cache line of its
// own, since when its first waiter has waited: at once when somebody begins to wait or nobody does any
// more, else when it has changed by 100 µs. Who gives an entry back compares that with its own first
// waiter. Moving a connection costs some 100 µs and puts the balance of the loops to another place, so it
// is not done for small differences: the other one must have waited longer by 300 µs and a quarter of its
// wait, and by half of its wait as long as the last entry that was moved there has not served a whole
// queue, for only then its effect is seen. That is the granularity of the order between loops.
//
// Reason: simulated with 20 connections of two loops, always in use, and 100 clients on each, one query in
// some thousand moves a connection; with an eighth of the wait, and no regard to what was moved, it was one
// in fourteen. Price: a client may wait longer than one on another loop by a third. With 20 clients
// on one loop and 180 on the other the slowest client gets 0.97 of the mean (fairness_test.go).
//
// # Idle elsewhere
//
// That a loop has idle entries is told by a flag, spare, that is set once and taken back only when somebody
// looked in vain: an entry that comes and goes all the time is no news. Who begins to wait while another
// loop's flag is set first leaves the events at hand, up to 200 µs of them, to serve it: entries in use here
// come back sooner than one can be moved. A loop on which nothing happens asks at once.
//
// # Nothing is forgotten
//
// Whoever makes something available (an entry, leave to open one) first makes it visible and then looks who
// waits; who waits first says so and then looks what there is. So one of the two sees the other. Then it
// pokes it: settle runs there, which looks at everything. What is done without settle is only what is
// urgent. Room under a cap that is kept for a pool which then does not need it is the exception: it is
// asked for again after 100 ms.
//
// # Connections that end
//
// A closed connection counts until its user says that it has ended (Lost): the server never sees more than
// Size. Connections are closed for being idle or old a few at a time, at times that differ by up to 10 %.
// One that is in use at 95 % of its life has its replacement opened, if Size leaves room.
//
// # Cost
//
// Two processors, Get of an idle entry and Put, nanoseconds of the whole machine for each pair: one loop
// 48, two loops at once 30, four 30; with one shared atomic addition for each Get and Put 54, 95 and 90.
// With all connections in use and 24 waiters for 8 of them on each loop: 105, 63 and 66 (bench_test.go).
// Nothing is allocated.
package pool
