package proxyproto

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
)

// lineMax is the longest header of version 1, its CRLF included.
const lineMax = 107

// parse1 reads a header of version 1.
func parse1(p []byte) (h Header, n int, err error) {
	line, _, ended := bytes.Cut(p[:min(len(p), lineMax)], []byte("\r\n"))
	switch {
	case !ended && len(p) >= lineMax:
		return h, 0, ErrTooLong
	case !ended && bytes.IndexByte(p, '\n') >= 0:
		return h, 0, ErrMalformed
	case !ended:
		return h, 0, nil
	}
	n = len(line) + len("\r\n")
	words := strings.Split(string(line[len(signature1):]), " ")
	if words[0] == "UNKNOWN" { // what follows is to be ignored
		return h, n, nil
	}
	if len(words) != 5 {
		return h, 0, ErrMalformed
	}
	from, ok1 := end(words[0], words[1], words[3])
	to, ok2 := end(words[0], words[2], words[4])
	if !ok1 || !ok2 {
		return h, 0, ErrMalformed
	}
	return Header{From: from, To: to}, n, nil
}

// end reads an address of that family, and a port.
func end(family, addr, port string) (netip.AddrPort, bool) {
	ip, err := netip.ParseAddr(addr)
	if err != nil || ip.Zone() != "" || !(family == "TCP4" && ip.Is4() || family == "TCP6" && ip.Is6()) {
		return netip.AddrPort{}, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port { // no sign, no leading zeros
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), true
}
