package proxyproto

import (
	"encoding/binary"
	"net/netip"
)

// Append appends a header of version 2 that names a client and where it was connected to. Both become IPv6
// if one is. Where one of them is not known the header names none.
func Append(dst []byte, from, to netip.AddrPort) []byte {
	a, b := from.Addr().Unmap(), to.Addr().Unmap()
	switch {
	case !a.IsValid() || !b.IsValid():
		return begin(dst, cmdProxy, famNone, 0)
	case a.Is4() && b.Is4():
		dst = begin(dst, cmdProxy, famTCP4, addrs4)
		x, y := a.As4(), b.As4()
		dst = append(append(dst, x[:]...), y[:]...)
	default:
		dst = begin(dst, cmdProxy, famTCP6, addrs6)
		x, y := a.As16(), b.As16()
		dst = append(append(dst, x[:]...), y[:]...)
	}
	dst = binary.BigEndian.AppendUint16(dst, from.Port())
	return binary.BigEndian.AppendUint16(dst, to.Port())
}

// AppendLocal appends a header that says that the connection is the proxy's own.
func AppendLocal(dst []byte) []byte { return begin(dst, cmdLocal, famNone, 0) }

// begin appends what each header of version 2 has.
func begin(dst []byte, command, family byte, size int) []byte {
	dst = append(dst, signature...)
	dst = append(dst, version|command, family)
	return binary.BigEndian.AppendUint16(dst, uint16(size))
}
