// Package tidb finds the servers of a TiDB cluster, by what they write into PD's etcd, reads the figures that TiDB
// servers tell of themselves, and has Sluice listed in PD.
//
// Discovery. Options is an upstream.Discovery, Finder what is at work. One goroutine reads all keys (pages.go), then
// follows their changes, and reads all of them again from time to time, as a watch can be silent. A book keeps what
// the keys say of each server and makes the backends of it:
//
//	PD's etcd ─▶ pages, watch ─▶ book ─▶ specs ─▶ upstream.Finds.Found
//	   ▲
//	   └── Registration: Sluice's own keys, with a lease
//
// A server is there while it has an info and a ttl. When one of them goes the server is told on as leaving, so that
// its sessions go elsewhere while it serves; the cluster forgets it when it has none left. What makes no sense hides
// nothing but itself. While PD can't be asked, and when it tells of nobody at all, what was known stays.
//
// Figures. Metrics is an upstream.Metering, Meter what is at work, with a reader for each configuration. In each
// round it takes what Prometheus has (prometheus.go) and reads the rest at the status ports (text.go): for others too
// if it has its zone's seat in PD (seat.go), else it asks those who have theirs (peers.go), and reads for itself what
// they lack. A source that fails is said so once, and tried again later.
//
//	Prometheus ──────────▶ reader ─▶ upstream.Backend.AddReadings
//	status ports ─────────▶ ▲  │
//	                        │  └─▶ Tell, at the admin side
//	other Sluices ──────────┘
//
// Whatever is read has a limit in bytes and in time, and says so by a constant beside it. Nothing here is on the way of
// a query.
package tidb
