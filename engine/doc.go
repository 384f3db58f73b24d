// Package engine runs event loops: descriptors, buffers, time. It knows no protocol.
//
// Underneath is gnet (https://github.com/panjf2000/gnet): its Client, which is an engine of N loops
// without listeners. What gnet lacks is added here: listeners that can come and go, pausing of reads,
// a sign when buffered bytes have left, timers on the loop, an ordered task queue, TLS on the loop,
// and closing in phases.
//
//	accept goroutine ─▶ Loop.Enroll ─┐                       ┌─▶ Handler.OnOpen
//	dial goroutine ───▶ Loop.Enroll ─┼▶ one turn of a loop ──┼─▶ Handler.OnData ─▶ peer.Write
//	any goroutine ────▶ Loop.Run ────┘   (epoll, tasks,      ├─▶ Handler.OnRoom
//	                                      timers)            └─▶ Handler.OnClose
//
// # Who may call what
//
// A Conn, a Timer and a Handler belong to one loop and are touched only on it. Loop.Run, Loop.Enroll,
// Loop.Dial and Engine's methods may be called from anywhere. Nothing that runs on a loop may block or
// compute for long: TLS handshakes, dialling and name look-ups have goroutines of their own.
//
// # Tasks
//
// Loop.Run has its own queue, announced by a byte on a socket pair, the loop's anchor (anchor.go). So
// tasks keep their order, and take turns with the sockets whatever they submit.
//
// # Turns
//
// gnet's loop is only gone back to for what only gnet can do. Otherwise the loop goes on by itself from
// the end of one of gnet's calls: it waits in gnet's epoll instance and reads the sockets that are
// ready, one read for each (turns.go, which says why and what is left to gnet). Measured on two cores
// with PostgreSQL, prepared point queries of 32 clients: at a third of the peak rate 0.6 times the
// context switches and 0.8 times the CPU of gnet's own loop; as fast as it goes, 0.85 times the CPU.
//
// # Handlers are never called from inside a handler
//
// gnet closes a connection inside the very Write that failed and calls back at once. Here OnClose is
// put off until the outermost handler has returned, so that a handler may write to several
// connections without finding its own state changed under its feet. After its end a Conn ignores
// writes: its descriptor's number may already be another client's.
//
// A Write that fails because the peer has reset the connection does not end it by itself: what the
// peer said before is read first, and the end is met behind it. Until OnClose such a Conn ignores
// writes.
//
// # Back-pressure
//
// A Conn whose unsent bytes pass HighWater is Full; the handler then pauses the connection that feeds
// it, and OnRoom says when the bytes have fallen to LowWater. Pausing sets the descriptor's interest
// mask in gnet's own epoll instance (interest.go). Who pauses when a Conn is Full has it hold at most
// HighWater and one read buffer of unsent bytes, and one read buffer (two with TLS) of bytes that were
// read and not handed over.
//
// A pause concerns OnData. A TLS handshake goes on in it, and bounds what it is sent by itself. The
// peer's RST ends a paused connection at once, and what was not read is lost; its FIN is seen when the
// pause ends.
//
// # Closing
//
//	Open ─▶ Flushing ─▶ Draining ─▶ Closed
//	  └─────────┴───────────┴───────▲
//
// CloseFlushed sends what is buffered (Flushing), says FIN, then reads and forgets what the peer still
// sends until its FIN (Draining): closing a socket with unread bytes would send a RST, and a RST can
// destroy an error message that the peer has not read yet. Both phases have a deadline.
//
// # Moving
//
// Conn.Move takes a quiet connection to another loop (move.go): its descriptor is duplicated, gnet closes
// its own, and the duplicate is enrolled on the other loop, where TLS goes on with the same tls.Conn. What
// the peer sends meanwhile waits in the socket. Measured: 80 µs from loop to loop; so it is for balance,
// not for each query.
//
// # Half-close
//
// gnet takes a FIN for the end of the connection, after it has delivered what came before it. Both
// database protocols end that way. A protocol in which a client closes its sending half and then waits
// for an answer is not served.
package engine
