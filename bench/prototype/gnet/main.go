package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"

	"github.com/panjf2000/gnet/v2"
)

func main() {
	err := run(os.Args[1:])
	if !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "gnet:", err)
		os.Exit(1)
	}
}

// run relays until an error; a signal ends the process as a process without a handler ends.
func run(args []string) error {
	var r relay
	flags := flag.NewFlagSet("gnet", flag.ContinueOnError)
	flags.BoolVar(&r.rawWrite, "rawwrite", false, "write by a raw system call when nothing is buffered")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "gnet [flags] LISTEN-HOST:PORT SERVER-HOST:PORT")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 2 {
		flags.Usage()
		return fmt.Errorf("%d arguments; want two addresses", flags.NArg())
	}
	if err := r.start(); err != nil {
		return err
	}
	return r.listen(flags.Arg(0), flags.Arg(1))
}

// readBuffer is what one read can bring, in bytes: that of gnet by default, and of Sluice.
const readBuffer = 64 << 10

// start starts the loop.
func (r *relay) start() error {
	client, err := gnet.NewClient(r,
		gnet.WithNumEventLoop(1),
		gnet.WithReadBufferCap(readBuffer),
		gnet.WithLogger(silent{}))
	if err != nil {
		return err
	}
	r.client = client
	return client.Start()
}

// listen accepts until that fails.
func (r *relay) listen(at, server string) error {
	lc := net.ListenConfig{KeepAlive: -1}
	lc.SetMultipathTCP(false) // on by default in Go; its sockets are slower
	l, err := lc.Listen(context.Background(), "tcp", at)
	if err != nil {
		return err
	}
	for {
		client, err := l.Accept()
		if err != nil {
			return err
		}
		go r.serve(client, server)
	}
}

// silent is a logger that is none.
type silent struct{}

func (silent) Debugf(string, ...any) {}
func (silent) Infof(string, ...any)  {}
func (silent) Warnf(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}
