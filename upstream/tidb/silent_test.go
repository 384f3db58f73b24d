package tidb

import "sluice/codec/tcp"

// silent is a protocol whose servers need not say anything.
type silent struct{ tcp.Protocol }
