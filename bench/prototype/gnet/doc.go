// Command gnet is a TCP relay on gnet, the event loops that Sluice stands on, without any of Sluice: no
// protocol, no sessions, one loop. What Sluice costs above it is Sluice's own; what it costs above the
// relay on bare epoll is gnet's.
//
//	gnet [-rawwrite] LISTEN-HOST:PORT SERVER-HOST:PORT
//
// It uses gnet as Sluice's engine does: listeners of its own, connections enrolled in a gnet.Client,
// level-triggered. So gnet's build tags can be compared, with -tags poll_opt or -tags gc_opt.
//
// It is measured, not shipped: it sets no limit on clients, knows no TLS, writes no log and ends with a
// signal, without ceremony. What it does do, it does rightly: a client or server that reads slowly costs
// bounded memory, and what was sent before an end arrives before it. In gnet a half-closed connection is
// a closed one: who says that he is done hears no more.
package main
