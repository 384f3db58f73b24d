package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// childRole has this test's program be something else when it starts itself again.
const childRole = "SLUICE_ENGINE_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childRole) == "few-descriptors" {
		if err := fewDescriptors(); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fewDescriptors accepts and echoes with hardly any descriptors, until its input ends. It says where
// it listens, and each time that accepting rests.
func fewDescriptors() error {
	e, err := Start(Options{Loops: 1})
	if err != nil {
		return err
	}
	defer e.Stop()
	h := &hooks{data: func(c *Conn, p []byte) { c.Write(p) }}
	failed := func(err error) { fmt.Println("told:", err) }
	ln, err := Listen("127.0.0.1:0", ListenOptions{Failed: failed}, func(nc net.Conn) {
		e.Loops()[0].Enroll(nc, h, func(err error) { fmt.Println("refused:", err) })
	})
	if err != nil {
		return err
	}
	defer ln.Close()
	lim := unix.Rlimit{Cur: 40, Max: 40}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return err
	}
	fmt.Println("at", ln.Addr())
	go func() {
		for n := uint64(0); ; {
			<-time.After(time.Millisecond)
			if p := ln.Pauses(); p > n {
				n = p
				fmt.Println("rests", n)
			}
		}
	}()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// TestOutOfDescriptors has a process with 40 descriptors meet 60 clients: accepting rests, who was
// accepted is served all the same, and when clients go those that waited are served.
func TestOutOfDescriptors(t *testing.T) {
	begun := time.Now()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"=few-descriptors")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	addr, ok := strings.CutPrefix(await(t, lines, "the address"), "at ")
	if !ok {
		t.Fatal("the child did not start")
	}
	var clients []net.Conn
	dial := func() net.Conn {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(patience))
		clients = append(clients, nc)
		return nc
	}
	first := dial()
	mustEcho(t, first)
	for range 60 {
		dial()
	}
	for told, rests := 0, 0; told == 0 || rests == 0; {
		line := await(t, lines, "a rest, and why")
		switch {
		case line == "":
			t.Fatal("the child ended")
		case strings.HasPrefix(line, "rests"):
			rests++
		case strings.HasPrefix(line, "told:") && strings.Contains(line, "too many open files"):
			told++
		}
	}
	mustEcho(t, first)
	for _, nc := range clients[1:] {
		nc.Close()
	}
	mustEcho(t, first)
	until(t, "a client is served again", func() bool {
		nc := dial()
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(2 * time.Second))
		return echoes(nc) == nil
	})
	in.Close()
	for line := range lines {
		if strings.HasPrefix(line, "told:") && time.Since(begun) < acceptTold {
			t.Errorf("once more: %s", line)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the child: %v", err)
	}
}

// echoes says something and hears it.
func echoes(nc net.Conn) error {
	got := make([]byte, 4)
	_, err := nc.Write([]byte("ping"))
	if err == nil {
		_, err = io.ReadFull(nc, got)
	}
	if err == nil && string(got) != "ping" {
		err = fmt.Errorf("echo was %q", got)
	}
	return err
}

func mustEcho(t testing.TB, nc net.Conn) {
	t.Helper()
	if err := echoes(nc); err != nil {
		t.Fatal(err)
	}
}

// greet accepts connections, says hello, and closes them.
func greet(nc net.Conn) {
	_, _ = nc.Write([]byte("hello"))
	_ = nc.Close()
}

// TestIPv6Only listens at an IPv6 wildcard with and without IPv4 clients.
func TestIPv6Only(t *testing.T) {
	for _, only := range []bool{false, true} {
		ln, err := Listen("[::]:0", ListenOptions{IPv6Only: only}, greet)
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		for host, want := range map[string]bool{"::1": true, "127.0.0.1": !only} {
			nc, err := net.Dial("tcp", net.JoinHostPort(host, port))
			if (err == nil) != want {
				t.Errorf("IPv6 only %t: dial %s: %v", only, host, err)
			}
			if err == nil {
				if got, err := io.ReadAll(nc); string(got) != "hello" {
					t.Errorf("heard %q, %v", got, err)
				}
				nc.Close()
			}
		}
		ln.Close()
	}
}

// TestReusePort has two listeners at one address: with the option on both, and only then.
func TestReusePort(t *testing.T) {
	for _, first := range []bool{false, true} {
		a, err := Listen("127.0.0.1:0", ListenOptions{ReusePort: first}, greet)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Listen(a.Addr().String(), ListenOptions{ReusePort: true}, greet)
		if (err == nil) != first {
			t.Errorf("first with the option %t: the second: %v", first, err)
		}
		if err == nil {
			b.Close()
		}
		a.Close()
	}
}

// TestListenerClose closes a listener: nobody is accepted afterwards, the address is free at once, and
// closing twice does no harm.
func TestListenerClose(t *testing.T) {
	accepted := make(chan net.Conn, 1)
	ln, err := Listen("127.0.0.1:0", ListenOptions{Backlog: 1}, func(nc net.Conn) { accepted <- nc })
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	defer await(t, accepted, "the client").Close() // its side of the address stays in use
	ln.Close()
	ln.Close()
	if nc, err := net.Dial("tcp", addr); err == nil {
		nc.Close()
		t.Error("connected to a closed listener")
	}
	if ln, err = Listen(addr, ListenOptions{}, greet); err != nil {
		t.Fatalf("the address is not free: %v", err)
	}
	ln.Close()
}

// TestBacklog has clients meet a listener that accepts nobody: as many as its queue holds connect, the
// rest do when the queue is made longer.
func TestBacklog(t *testing.T) {
	release := make(chan struct{})
	ln, err := Listen("127.0.0.1:0", ListenOptions{Backlog: 1}, func(nc net.Conn) { <-release; nc.Close() })
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	defer close(release)
	dial := func() error {
		nc, err := net.DialTimeout("tcp", ln.Addr().String(), 300*time.Millisecond)
		if err == nil {
			t.Cleanup(func() { nc.Close() })
		}
		return err
	}
	waiting := 0
	for dial() == nil {
		if waiting++; waiting > 8 {
			t.Fatalf("%d clients wait in a queue of 1", waiting)
		}
	}
	if err := ln.SetBacklog(0); err != nil {
		t.Fatal(err)
	}
	until(t, "a client connects", func() bool { return dial() == nil })
}

// TestApply sets a connection's options, and leaves those alone that have none.
func TestApply(t *testing.T) {
	near, _ := loopback(t)
	opt := SocketOptions{KeepAlive: 70 * time.Second, UserTimeout: 9 * time.Second}
	for _, nc := range []net.Conn{near, wrapped{near}} {
		if err := opt.Apply(nc); err != nil {
			t.Fatal(err)
		}
	}
	if err := (SocketOptions{}).Apply(near); err != nil {
		t.Fatal(err)
	}
	raw, err := near.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		for name, want := range map[int]int{unix.TCP_KEEPIDLE: 70, unix.TCP_KEEPINTVL: 70,
			unix.TCP_KEEPCNT: keepAliveProbes, unix.TCP_USER_TIMEOUT: 9000} {
			if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, name); err != nil || got != want {
				t.Errorf("option %d is %d, %v; want %d", name, got, err, want)
			}
		}
	})
	near.Close()
	if err := opt.Apply(near); err == nil {
		t.Error("no error on a closed connection")
	}
}

func TestListenErrors(t *testing.T) {
	for _, addr := range []string{"nonsense", "127.0.0.1:70000", "203.0.113.1:1"} {
		if ln, err := Listen(addr, ListenOptions{}, greet); err == nil {
			ln.Close()
			t.Errorf("listens at %s", addr)
		}
	}
	if ln, err := Listen("127.0.0.1:0", ListenOptions{IPv6Only: true}, greet); err == nil {
		ln.Close()
		t.Error("listens at an IPv4 address for IPv6 only")
	}
}

func TestRaiseFileLimit(t *testing.T) {
	got, err := RaiseFileLimit()
	if err != nil {
		t.Fatal(err)
	}
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		t.Fatal(err)
	}
	if got != lim.Cur || lim.Cur != lim.Max {
		t.Errorf("raised to %d; the limit is %d of %d", got, lim.Cur, lim.Max)
	}
}
