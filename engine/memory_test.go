package engine

import (
	"crypto/tls"
	"net"
	"runtime"
	"testing"
)

// BenchmarkIdleMemory is what an idle connection costs in heap after it has served a command. The other
// end is in the same process, so it is an upper bound; with TLS that is counted twice.
func BenchmarkIdleMemory(b *testing.B) {
	const conns = 300
	for _, version := range []uint16{0, tls.VersionTLS13} {
		b.Run(versionName(version), func(b *testing.B) {
			l := one(b)
			for b.Loop() {
				before := liveHeap()
				var far [conns]net.Conn
				for i := range far {
					c, nc := connect(b, l, hooks{data: func(c *Conn, p []byte) { c.Write(p) }})
					far[i] = nc
					if version != 0 {
						startTLS(b, c, testConfig(b, version), true)
						far[i] = tls.Client(nc, testConfig(b, version))
					}
					mustEcho(b, far[i])
				}
				used := liveHeap() - before
				b.ReportMetric(float64(used)/conns, "B/conn")
				for _, nc := range far {
					nc.Close()
				}
				until(b, "no connection is counted", func() bool { return l.Conns() == 0 })
			}
		})
	}
}

// liveHeap is the size in bytes of what is reachable.
func liveHeap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // the first one leaves what pools hold
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
