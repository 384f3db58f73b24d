package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
)

// options say which ideas are tried.
type options struct {
	listen, server netip.AddrPort

	edge     bool // edge-triggered instead of level-triggered
	sendRecv bool // recvfrom and sendto instead of read and write
	coalesce bool // all reads of a turn, then all writes
	splice   bool // what follows a read that filled its buffer goes through a pipe
	reads    int  // of one connection per event; 0 = 1, or edgeReads if edge-triggered
	quickAck quickAck
	busyPoll int // SO_BUSY_POLL, in microseconds; 0 = as the system has it

	poll     bool // look once without waiting before each sleep
	spin     int  // look without waiting for that long before each sleep, in microseconds
	yield    bool // to other goroutines before each sleep
	locked   bool // the loop has a thread of its own
	blockRaw bool // sleep without telling Go's scheduler
}

// quickAck is what TCP_QUICKACK is set to after each read.
type quickAck string

// What can be asked for; "" leaves it to the kernel.
const (
	quickAckLeft quickAck = ""
	quickAckOn   quickAck = "on"
	quickAckOff  quickAck = "off"
)

// parse reads the command line. What is wrong with it goes to out.
func parse(args []string, out io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("epoll", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprintln(out, "epoll [flags] LISTEN-HOST:PORT SERVER-HOST:PORT")
		flags.PrintDefaults()
	}
	flags.BoolVar(&o.edge, "edge", false, "edge-triggered epoll: a connection is read until a read comes back short")
	flags.BoolVar(&o.sendRecv, "sendrecv", false, "recvfrom and sendto instead of read and write")
	flags.BoolVar(&o.coalesce, "coalesce", false, "all reads of a turn first, then all writes")
	flags.BoolVar(&o.splice, "splice", false, "move what follows a read that filled its buffer through a pipe")
	flags.IntVar(&o.reads, "readloop", 0, fmt.Sprintf("read a connection up to `N` times per event, until a read comes back short (default 1, edge-triggered %d)", edgeReads))
	flags.Func("quickack", "set TCP_QUICKACK `on or off` after each read", o.setQuickAck)
	flags.IntVar(&o.busyPoll, "busypoll", 0, "SO_BUSY_POLL of each connection, in `microseconds`; more than the system's own needs CAP_NET_ADMIN")
	flags.BoolVar(&o.poll, "poll", false, "look once without waiting before each sleep")
	flags.IntVar(&o.spin, "spin", 0, "look without waiting for up to that many `microseconds` before each sleep")
	flags.BoolVar(&o.yield, "yield", false, "let other goroutines run before each sleep")
	flags.BoolVar(&o.locked, "locked", false, "lock the loop to its thread")
	flags.BoolVar(&o.blockRaw, "blockraw", false, "sleep without telling Go's scheduler, a millisecond at most")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() != 2 {
		flags.Usage()
		return o, fmt.Errorf("%d arguments; want two addresses", flags.NArg())
	}
	for i, to := range []*netip.AddrPort{&o.listen, &o.server} {
		if *to, err = netip.ParseAddrPort(flags.Arg(i)); err != nil {
			return o, err
		}
	}
	return o, o.check()
}

func (o *options) setQuickAck(text string) error {
	o.quickAck = quickAck(text)
	if o.quickAck != quickAckOn && o.quickAck != quickAckOff {
		return errors.New("want on or off")
	}
	return nil
}

// check refuses what can not be, and fills in the number of reads.
func (o *options) check() error {
	switch {
	case o.reads < 0 || o.spin < 0 || o.busyPoll < 0:
		return errors.New("-readloop, -spin and -busypoll want a number that is not below zero")
	case o.splice && o.coalesce:
		return errors.New("-splice writes at once, -coalesce later: one of them")
	case o.reads == 0 && o.edge:
		o.reads = edgeReads
	case o.reads == 0:
		o.reads = 1
	}
	return nil
}
