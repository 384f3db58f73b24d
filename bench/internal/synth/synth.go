package synth

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"time"
)

// Command is the first argument of a process that is a synthetic server or client.
const Command = "synth"

// Names of the protocols.
const (
	Postgres = "postgres"
	MySQL    = "mysql"
)

// protocol is what both sides need to speak one.
type protocol struct {
	answerer func() answerer
	asker    func(o *ClientOptions) asker
	goodbye  []byte // said by a client that leaves
}

var protocols = map[string]protocol{
	Postgres: {
		answerer: func() answerer { return &pgServer{} },
		asker: func(o *ClientOptions) asker {
			return &pgClient{user: o.User, database: o.Database, prepared: o.Prepared, size: o.Bytes}
		},
		goodbye: []byte{'X', 0, 0, 0, 4},
	},
	MySQL: {
		answerer: func() answerer { return &myServer{} },
		asker: func(o *ClientOptions) asker {
			return &myClient{user: o.User, database: o.Database, prepared: o.Prepared, size: o.Bytes}
		},
		goodbye: []byte{1, 0, 0, 0, comQuit},
	},
}

// ServerOptions say what a server is to be.
type ServerOptions struct {
	Protocol string // Postgres or MySQL
	Listen   string // address and port, in figures; port 0 = any that is free
}

// ClientOptions say what clients are to do.
type ClientOptions struct {
	Protocol string // Postgres or MySQL
	Addr     string // of the server or proxy: address and port, in figures
	User     string // who logs in, without a password
	Database string
	Clients  int           // how many, 1 to clientsMax; 0 = 1
	Depth    int           // questions that one client has under way at most, 1 to depthMax; 0 = 1
	Rate     float64       // questions per second of all clients together; 0 = a closed loop
	Bytes    int           // of filler in each answer; 0 = none
	Prepared bool          // ask by a prepared statement
	Lasts    time.Duration // how long the load goes on after the warm-up
	Warm     time.Duration // how long it warms up once all have logged in
	Idle     bool          // only log in, and stay until told to leave
}

const (
	clientsMax = 1_000_000
	depthMax   = 1024
	rateMax    = 1e8
	lastsMax   = time.Hour
)

func (o ServerOptions) check() error {
	if _, ok := protocols[o.Protocol]; !ok {
		return fmt.Errorf("protocol: %q is not %s or %s", o.Protocol, Postgres, MySQL)
	}
	if o.Listen == "" {
		return errors.New("listen: an address is needed")
	}
	return nil
}

// check fills in what was left out and refuses what makes no sense.
func (o *ClientOptions) check() error {
	if o.Clients == 0 {
		o.Clients = 1
	}
	if o.Depth == 0 {
		o.Depth = 1
	}
	_, known := protocols[o.Protocol]
	switch {
	case !known:
		return fmt.Errorf("protocol: %q is not %s or %s", o.Protocol, Postgres, MySQL)
	case o.Addr == "":
		return errors.New("addr: an address is needed")
	case o.User == "":
		return errors.New("user: a name is needed")
	case o.Clients < 1 || o.Clients > clientsMax:
		return fmt.Errorf("clients: %d is not from 1 to %d", o.Clients, clientsMax)
	case o.Depth < 1 || o.Depth > depthMax:
		return fmt.Errorf("depth: %d is not from 1 to %d", o.Depth, depthMax)
	case !(o.Rate >= 0 && o.Rate <= rateMax):
		return fmt.Errorf("rate: %g is not from 0 to %g", o.Rate, float64(rateMax))
	case o.Bytes < 0 || o.Bytes > sizeMax:
		return fmt.Errorf("bytes: %d is not from 0 to %d", o.Bytes, sizeMax)
	case o.Warm < 0 || o.Warm > lastsMax:
		return fmt.Errorf("warm: %v is not from 0 to %v", o.Warm, lastsMax)
	case !o.Idle && (o.Lasts <= 0 || o.Lasts > lastsMax):
		return fmt.Errorf("lasts: %v is not from more than 0 to %v", o.Lasts, lastsMax)
	}
	return nil
}

// ServerArgs are the arguments, behind the program's name, of a process that is a server.
func ServerArgs(o ServerOptions) []string {
	return []string{Command, "server", "-protocol", o.Protocol, "-listen", o.Listen}
}

// ClientArgs are the arguments, behind the program's name, of a process that makes a load.
func ClientArgs(o ClientOptions) []string {
	return []string{Command, "client", "-protocol", o.Protocol, "-addr", o.Addr, "-user", o.User, "-database", o.Database,
		"-clients", strconv.Itoa(o.Clients), "-depth", strconv.Itoa(o.Depth),
		"-rate", strconv.FormatFloat(o.Rate, 'g', -1, 64), "-bytes", strconv.Itoa(o.Bytes),
		"-prepared=" + strconv.FormatBool(o.Prepared), "-lasts", o.Lasts.String(), "-warm", o.Warm.String(),
		"-idle=" + strconv.FormatBool(o.Idle)}
}

// RunAsChild makes this process a server or client if its first argument says so, and then does not
// return. It stands at the front of main, and of TestMain where tests start such processes.
func RunAsChild() {
	if len(os.Args) < 2 || os.Args[1] != Command {
		return
	}
	if err := Main(os.Args[2:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Main is a server or client, by arguments as ServerArgs and ClientArgs make them, without Command.
func Main(args []string, out io.Writer) error {
	// One thread does the work. With a second one at hand, Go's scheduler leaves it alone while it
	// sleeps in the kernel.
	runtime.GOMAXPROCS(2)
	if len(args) == 0 {
		return fmt.Errorf("%s: server or client?", Command)
	}
	var err error
	switch args[0] {
	case "server":
		err = serverMain(args[1:], out)
	case "client":
		err = clientMain(args[1:], out)
	default:
		return fmt.Errorf("%s: %q is neither server nor client", Command, args[0])
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", Command, args[0], err)
	}
	return nil
}

func serverMain(args []string, out io.Writer) error {
	var o ServerOptions
	flags := flag.NewFlagSet(Command+" server", flag.ContinueOnError)
	flags.StringVar(&o.Protocol, "protocol", "", "postgres or mysql")
	flags.StringVar(&o.Listen, "listen", "127.0.0.1:0", "address and port")
	if err := parse(flags, args); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	return serve(o, out)
}

func clientMain(args []string, out io.Writer) error {
	var o ClientOptions
	flags := flag.NewFlagSet(Command+" client", flag.ContinueOnError)
	flags.StringVar(&o.Protocol, "protocol", "", "postgres or mysql")
	flags.StringVar(&o.Addr, "addr", "", "address and port of the server or proxy")
	flags.StringVar(&o.User, "user", "bench", "who logs in")
	flags.StringVar(&o.Database, "database", "bench", "database to ask for")
	flags.IntVar(&o.Clients, "clients", 1, "how many clients")
	flags.IntVar(&o.Depth, "depth", 1, "questions that one client has under way")
	flags.Float64Var(&o.Rate, "rate", 0, "questions per second of all clients together, as a Poisson process (default: a closed loop)")
	flags.IntVar(&o.Bytes, "bytes", 0, "bytes of filler in each answer")
	flags.BoolVar(&o.Prepared, "prepared", false, "ask by a prepared statement")
	flags.DurationVar(&o.Lasts, "lasts", 3*time.Second, "how long the load goes on after the warm-up")
	flags.DurationVar(&o.Warm, "warm", 200*time.Millisecond, "how long it warms up once all have logged in")
	flags.BoolVar(&o.Idle, "idle", false, "only log in, and stay until SIGTERM or the end of a piped standard input")
	if err := parse(flags, args); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	return run(o, out)
}

func parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return nil
}
