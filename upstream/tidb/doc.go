// Package tidb finds the servers of a TiDB cluster, by what they write into PD's etcd, and reads the figures that
// TiDB servers tell of themselves.
//
//	PD's etcd ─▶ pages, watch ─▶ book ─▶ specs ─▶ upstream.Finds.Found
//	   ▲
//	   └── registration: Sluice's own keys
package tidb
