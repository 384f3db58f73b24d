package real

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports are taken from below the range from which the kernel gives ports to outgoing connections
// (32768 and up by default), or a busy test's own connections would sooner or later sit on one. Those
// below 22000 are for the tests of the benchmarks, which run at the same time.
const (
	portMin = 22000
	portMax = 32000
)

var ports struct {
	sync.Mutex
	given map[int]bool
}

// FreePort returns a port of 127.0.0.1 on which nobody listens, and which it has not given before.
func FreePort() int {
	ports.Lock()
	defer ports.Unlock()
	if ports.given == nil {
		ports.given = make(map[int]bool)
	}
	for {
		p := portMin + rand.IntN(portMax-portMin)
		if ports.given[p] {
			continue
		}
		ln, err := net.Listen("tcp", Loopback(p))
		if err != nil {
			continue
		}
		ln.Close()
		ports.given[p] = true
		return p
	}
}

// Loopback returns "127.0.0.1:port".
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// FreeAddr returns a loopback address on which nobody listens.
func FreeAddr() string { return Loopback(FreePort()) }

// Port returns the port of an address made by this package.
func Port(addr string) int {
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		panic(fmt.Sprintf("%q is not an address", addr))
	}
	n, err := strconv.Atoi(p)
	if err != nil {
		panic(fmt.Sprintf("%q has no port", addr))
	}
	return n
}
