package proxyproto

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Max is the most bytes that a header may have, its TLVs included. Real ones have some hundreds.
const Max = 4 << 10

// Header is what a proxy says of a connection. Without addresses it is the proxy's own, such as a health
// check, or the proxy does not know whose it is: then the ends of the connection itself count.
type Header struct {
	From netip.AddrPort // the client
	To   netip.AddrPort // where the client was connected to
}

// Known tells whether the header names a client.
func (h Header) Known() bool { return h.From.IsValid() }

// Errors of Parse.
var (
	ErrNone      = errors.New("no PROXY header where one is due")
	ErrMalformed = errors.New("a malformed PROXY header")
	ErrTooLong   = errors.New("a PROXY header that is too long")
)

// signature begins a header of version 2; signature1 one of version 1.
const (
	signature  = "\r\n\r\n\x00\r\nQUIT\n"
	signature1 = "PROXY "
)

// fixed is the length of what each header of version 2 has.
const fixed = len(signature) + 4

// Parse reads the header at the begin of p and returns its length. A length of 0 without an error says that
// more bytes are needed. With ErrNone p does not begin as a header does.
func Parse(p []byte) (h Header, n int, err error) {
	switch {
	case begins(p, signature):
		return parse2(p)
	case begins(p, signature1):
		return parse1(p)
	}
	return h, 0, ErrNone
}

// begins tells whether p begins with s, as far as it goes.
func begins(p []byte, s string) bool {
	n := min(len(p), len(s))
	return string(p[:n]) == s[:n]
}

// Commands of version 2, in the lower half of their byte. The upper half is the version.
const (
	version  = 0x20
	cmdLocal = 0x0
	cmdProxy = 0x1
)

// Families of version 2: in the upper half the addresses', in the lower one the transport's.
const (
	famNone = 0x00
	famTCP4 = 0x11
	famTCP6 = 0x21
)

// Lengths of the addresses of a family, ports included.
const (
	addrs4 = 4 + 4 + 2 + 2
	addrs6 = 16 + 16 + 2 + 2
)

// parse2 reads a header of version 2. What is not TCP is accepted and its addresses are not looked at, as
// the specification wants it.
func parse2(p []byte) (h Header, n int, err error) {
	if len(p) < fixed {
		return h, 0, nil
	}
	command, family := p[len(signature)], p[len(signature)+1]
	n = fixed + int(binary.BigEndian.Uint16(p[len(signature)+2:]))
	switch {
	case command != version|cmdLocal && command != version|cmdProxy:
		return h, 0, ErrMalformed
	case n > Max:
		return h, 0, ErrTooLong
	case len(p) < n:
		return h, 0, nil
	}
	body, skip := p[fixed:n], 0
	switch {
	case family == famTCP4:
		skip = addrs4
	case family == famTCP6:
		skip = addrs6
	case command == version|cmdProxy:
		skip = len(body) // addresses of another kind, whose length is not told
	}
	if command == version|cmdLocal { // a receiver must skip what stands there
		return h, n, nil
	}
	if len(body) < skip {
		return h, 0, ErrMalformed
	}
	if !checkTLVs(p[:n], fixed+skip) {
		return h, 0, ErrMalformed
	}
	return addresses(family, body), n, nil
}

// addresses reads the addresses of a family that has been found to be there.
func addresses(family byte, b []byte) (h Header) {
	switch family {
	case famTCP4:
		from, to := netip.AddrFrom4([4]byte(b)), netip.AddrFrom4([4]byte(b[4:]))
		h.From = netip.AddrPortFrom(from, binary.BigEndian.Uint16(b[8:]))
		h.To = netip.AddrPortFrom(to, binary.BigEndian.Uint16(b[10:]))
	case famTCP6:
		from, to := netip.AddrFrom16([16]byte(b)), netip.AddrFrom16([16]byte(b[16:]))
		h.From = netip.AddrPortFrom(from.Unmap(), binary.BigEndian.Uint16(b[32:]))
		h.To = netip.AddrPortFrom(to.Unmap(), binary.BigEndian.Uint16(b[34:]))
	}
	return h
}
