// Command epoll is a TCP relay on bare epoll, as little as Go can make of one: a goroutine, raw system
// calls, no runtime poller, no allocation per event, no protocol. Each of its flags is an idea of how a
// relay's work could cost less; all are off at first. It shows what is left to be had for Sluice, which
// stands on gnet.
//
//	epoll [flags] LISTEN-HOST:PORT SERVER-HOST:PORT
//
// It is measured, not shipped: it sets no limit on clients, knows no TLS, writes no log and ends with a
// signal, without ceremony. It ends by itself if it can not accept. What it does do, it does rightly, or
// the figures would say nothing: an end that can not take all it was given holds a bounded rest, and its
// peer is not read meanwhile; an end of stream is passed on behind all that came before it.
//
// Two of the options ask for things that a loopback interface does not have or does not need:
// busy-polling polls the queue of a network card, and splice saves copies only where the kernel can move
// whole pages. They are here so that the figures say so.
package main
