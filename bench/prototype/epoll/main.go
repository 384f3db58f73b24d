package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
)

func main() {
	err := run(os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "epoll:", err)
		os.Exit(1)
	}
}

// run relays until an error; a signal ends the process as a process without a handler ends.
func run(args []string) error {
	o, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	if o.locked {
		runtime.LockOSThread()
	}
	l, err := newLoop(o)
	if err != nil {
		return err
	}
	for err == nil {
		err = l.turn()
	}
	return err
}
