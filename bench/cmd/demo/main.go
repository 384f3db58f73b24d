// Command demo shows what Sluice does when a database server dies and comes back, without any
// database installed: it starts two embedded SQL servers, Sluice in front of them and clients that
// never stop asking, then kills one of the servers and starts it again.
//
// It ends by itself after 20 s, or at Ctrl-C. Its exit status is 1 if a client saw an error that it
// should not have seen, or if the server that came back got no sessions.
//
// It is run in the folder bench: go run ./cmd/demo -sluice ../bin/sluice
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	sluice := flag.String("sluice", "../bin/sluice", "Sluice's program")
	clients := flag.Int("clients", 32, "clients that work at the same time")
	length := flag.Duration("time", 20*time.Second, "how long the demo lasts; at least 8s")
	name := flag.String("serve", "", "used by the demo itself: be the SQL server of this name")
	addr := flag.String("listen", "", "used by the demo itself: address of that server")
	flag.Parse()
	if *name != "" {
		exit(serve(*name, *addr))
	}
	if flag.NArg() > 0 || *clients < 2 || *clients > 500 || *length < 8*time.Second {
		fmt.Fprintln(os.Stderr, "demo: wants 2 to 500 clients, 8s or more, and no arguments")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	program, err := filepath.Abs(*sluice)
	if err != nil {
		exit(err)
	}
	exit(play(ctx, program, *clients, *length))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
