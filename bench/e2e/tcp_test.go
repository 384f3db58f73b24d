package e2e

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

// echoServer sends everything back.
func echoServer(t *testing.T) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return ln.Addr().String()
}

// TestTCP relays what is no database protocol: 100 MB both ways at once, unchanged.
func TestTCP(t *testing.T) {
	addr := real.FreeAddr()
	s := startSluice(t, racy(t), cluster("echo", "tcp", []string{echoServer(t)})+listener("echo", addr, "echo"))
	await(t, s, 1, "sluice_backend_up")
	const size = 100 << 20
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Minute))
	sent, got := sha256.New(), sha256.New()
	done := make(chan error, 1)
	go func() {
		noise := rand.NewChaCha8([32]byte{7})
		_, err := io.Copy(io.MultiWriter(conn, sent), io.LimitReader(noise, size))
		done <- err
	}()
	if n, err := io.Copy(got, io.LimitReader(conn, size)); n != size || err != nil {
		t.Fatalf("%d bytes came back: %v", n, err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if string(sent.Sum(nil)) != string(got.Sum(nil)) {
		t.Error("other bytes came back than were sent")
	}
	conn.Close()
	await(t, s, 0, "sluice_sessions")
}

// TestTCPHalfClose ends the sending half of a connection right behind 1 MB. All of it must reach the
// server, and then the end. (What a server says after that is not relayed: for Sluice, an end in one
// direction is the end.)
func TestTCPHalfClose(t *testing.T) {
	server := newScripted(t)
	got := make(chan int64, 1)
	server.perform(hang) // health checks
	addr := real.FreeAddr()
	s := startSluice(t, racy(t), cluster("sink", "tcp", []string{server.addr}, checkedOnce)+listener("sink", addr, "sink"))
	await(t, s, 1, "sluice_backend_up")
	server.perform(func(c net.Conn) {
		n, _ := io.Copy(io.Discard, c)
		got <- n
	})
	for range 20 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(soon))
		if _, err := conn.Write(make([]byte, 1_000_000)); err != nil {
			t.Fatal(err)
		}
		_ = conn.(*net.TCPConn).CloseWrite()
		select {
		case n := <-got:
			if n != 1_000_000 {
				t.Errorf("%d bytes reached the server", n)
			}
		case <-time.After(soon):
			t.Fatal("the end does not reach the server")
		}
		if b, err := io.ReadAll(conn); len(b) > 0 || err != nil {
			t.Errorf("the client saw %q, %v", b, err)
		}
		conn.Close()
	}
	await(t, s, 0, "sluice_sessions")
}

// TestTCPLastWords has a server say something and hang up at once: the client gets all of it.
func TestTCPLastWords(t *testing.T) {
	server := newScripted(t)
	server.perform(hang) // health checks
	addr := real.FreeAddr()
	s := startSluice(t, racy(t), cluster("rude", "tcp", []string{server.addr}, checkedOnce)+listener("rude", addr, "rude"))
	await(t, s, 1, "sluice_backend_up")
	server.perform(func(c net.Conn) { _, _ = io.WriteString(c, "last words") })
	for range 100 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(soon))
		if b, err := io.ReadAll(conn); string(b) != "last words" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		conn.Close()
	}
	await(t, s, 0, "sluice_sessions")
}
