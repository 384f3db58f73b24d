package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// headingSignature begins a PROXY header of version 2.
//
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
const headingSignature = "\r\n\r\n\x00\r\nQUIT\n"

// Heading1 is a PROXY header of version 1, in words.
func Heading1(from, to netip.AddrPort) []byte {
	family := "TCP4"
	if from.Addr().Is6() {
		family = "TCP6"
	}
	return fmt.Appendf(nil, "PROXY %s %s %s %d %d\r\n", family, from.Addr(), to.Addr(), from.Port(), to.Port())
}

// Heading2 is a PROXY header of version 2, with more (TLVs) behind the addresses.
func Heading2(from, to netip.AddrPort, more ...byte) []byte {
	family, addrs := byte(0x11), Join(from.Addr().AsSlice(), to.Addr().AsSlice())
	if from.Addr().Is6() {
		family = 0x21
	}
	addrs = binary.BigEndian.AppendUint16(addrs, from.Port())
	addrs = binary.BigEndian.AppendUint16(addrs, to.Port())
	return heading2(0x21, family, Join(addrs, more))
}

// HeadingLocal is the header of a proxy's own connection.
func HeadingLocal() []byte { return heading2(0x20, 0, nil) }

func heading2(command, family byte, body []byte) []byte {
	p := append([]byte(headingSignature), command, family)
	return append(binary.BigEndian.AppendUint16(p, uint16(len(body))), body...)
}

// TLV is one more thing that a header of version 2 says.
func TLV(kind byte, value string) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value))), value...)
}

// Heading is what a PROXY header of version 2 says. Local is the proxy's own connection, which has no addresses.
type Heading struct {
	Local    bool
	From, To netip.AddrPort
}

// ReadHeading reads such a header, to the byte as the specification has it and without anything behind the addresses.
func ReadHeading(r io.Reader) (h Heading, err error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return h, fmt.Errorf("no whole header: %w", err)
	}
	body := make([]byte, binary.BigEndian.Uint16(head[14:]))
	if _, err := io.ReadFull(r, body); err != nil {
		return h, fmt.Errorf("no whole header: %w", err)
	}
	size := map[byte]int{0x11: 4, 0x21: 16}[head[13]]
	switch {
	case string(head[:12]) != headingSignature:
		return h, fmt.Errorf("%q is not the signature", head[:12])
	case head[12] == 0x20 && head[13] == 0 && len(body) == 0:
		return Heading{Local: true}, nil
	case head[12] != 0x21 || size == 0 || len(body) != 2*size+4:
		return h, errors.New("a header that names no TCP connection")
	}
	from, _ := netip.AddrFromSlice(body[:size])
	to, _ := netip.AddrFromSlice(body[size : 2*size])
	h.From = netip.AddrPortFrom(from, binary.BigEndian.Uint16(body[2*size:]))
	h.To = netip.AddrPortFrom(to, binary.BigEndian.Uint16(body[2*size+2:]))
	return h, nil
}
