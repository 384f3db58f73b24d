package suite

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sluice/bench/internal/child"
)

func TestParseRelay(t *testing.T) {
	want := Relay{Name: "edge", Program: "./out/epoll", Args: []string{"-edge", "-readloop=4"}}
	if got, err := ParseRelay("edge:./out/epoll,-edge,-readloop=4"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if got, err := ParseRelay("bare:/opt/relay"); err != nil || got.Program != "/opt/relay" || len(got.Args) > 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := ParseRelay("floor:/opt/relay"); err == nil {
		t.Error("a second floor")
	}
	for _, text := range []string{"", "bare", ":program", "bare:", "bare:program,", "bare:,-flag"} {
		if got, err := ParseRelay(text); err == nil || !strings.Contains(err.Error(), "NAME:PROGRAM") {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
}

// TestRelayTakesPart starts a relay program with a flag, finds it between a client and a server, and
// finds it in a run's contenders.
func TestRelayTakesPart(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	program := filepath.Join(t.TempDir(), "epoll")
	if err := child.Run(ctx, child.Spec{Name: "go", Args: []string{"go", "build", "-o", program, "../../prototype/epoll"}}); err != nil {
		t.Fatal(err)
	}
	o := Options{Relays: []Relay{{Name: "bare", Program: program, Args: []string{"-edge"}}}, Only: []string{"bare"}}
	if !o.known("bare") {
		t.Error("a relay is no contender")
	}
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	e, err := startEntrant(ctx, o.Relays[0].contender(), station{server: server.Addr().String(), database: MariaDB, dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer e.stop()
	probe, err := server.Accept() // the look whether it accepts was a connection too
	if err != nil {
		t.Fatal(err)
	}
	probe.Close()
	client, err := net.Dial("tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	behind, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer behind.Close()
	for _, c := range []net.Conn{client, behind} {
		if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(client, "hello"); err != nil {
		t.Fatal(err)
	}
	hello := make([]byte, len("hello"))
	if _, err := io.ReadFull(behind, hello); err != nil || string(hello) != "hello" {
		t.Errorf("got %q, %v", hello, err)
	}
	flags, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", e.processes[0].PID()))
	if err != nil || !strings.Contains(string(flags), "-edge\x00") {
		t.Errorf("started as %q, %v", flags, err)
	}
}
