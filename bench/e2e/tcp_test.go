package e2e

import (
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

// echoServer sends everything back; at the end of the client's stream it says goodbye.
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
				if _, err := io.Copy(c, c); err == nil {
					_, _ = io.WriteString(c, "goodbye")
				}
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
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
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

// TestTCPHalfClose ends one direction of a connection. What was sent before must arrive; what the
// server says behind it does, if half-open connections are kept.
func TestTCPHalfClose(t *testing.T) {
	addr := real.FreeAddr()
	s := startSluice(t, racy(t), cluster("echo", "tcp", []string{echoServer(t)})+listener("echo", addr, "echo"))
	await(t, s, 1, "sluice_backend_up")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(soon))
	if _, err := io.WriteString(conn, "hello, "); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	b, err := io.ReadAll(conn)
	if string(b) != "hello, goodbye" || err != nil {
		t.Errorf("got %q (%v) behind a half-close, want %q", b, err, "hello, goodbye")
	}
	await(t, s, 0, "sluice_sessions")
}

// TestTCPMany opens connections that are refused by the server later on: their clients see the end.
func TestTCPMany(t *testing.T) {
	server := newScripted(t)
	server.perform(func(net.Conn) {}) // hangs up at once
	addr := real.FreeAddr()
	s := startSluice(t, racy(t), cluster("rude", "tcp", []string{server.addr})+listener("rude", addr, "rude"))
	for range 100 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(soon))
		if b, err := io.ReadAll(conn); len(b) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q, %v", b, err)
		}
		conn.Close()
	}
	await(t, s, 0, "sluice_sessions")
}
