package upstream

import (
	"net"
	"testing"
)

// TestServerThatClosesAtOnce: without a check of the protocol's own, a server that closes each connection at
// once is up all the same, and one that is not there is not.
func TestServerThatClosesAtOnce(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	for range 50 {
		if err := probe(t.Context(), ln.Addr().String(), nil, nil, patience); err != nil {
			t.Fatal(err)
		}
	}
	ln.Close()
	if err := probe(t.Context(), ln.Addr().String(), nil, nil, patience); err == nil {
		t.Error("a server that is not there is up")
	}
}
