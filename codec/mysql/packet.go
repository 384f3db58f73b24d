package mysql

import "encoding/binary"

const (
	headerLen = 4        // 3 bytes length, 1 byte sequence id
	fullLen   = 0xffffff // a payload of this length is continued in the next packet

	// headMax is how much of the front of a message is kept while it comes in pieces: an OK header
	// with its two longest integers and the status flags is 1 + 9 + 9 + 2 bytes.
	headMax = 24
)

// stream is one direction of packets, cut anywhere.
type stream struct {
	left  uint32 // payload bytes of the present packet that are still to come; 0 = in a header
	total uint32 // payload bytes of the present message, without limit but never past maxTotal
	hdr   [headerLen]byte
	nhdr  uint8 // bytes of hdr at hand
	nhead uint8 // bytes of head at hand
	more  bool  // the packet before was full: the next one continues the message
	begun bool  // the message has been understood from its head (client side)
	head  [headMax]byte
}

// maxTotal is where the count of a message's bytes stops: beyond a full packet only "large" matters.
const maxTotal = 1 << 30

// atBoundary tells whether the next byte begins a message.
func (s *stream) atBoundary() bool { return s.left == 0 && s.nhdr == 0 && !s.more }

// header takes bytes of a packet header from p and returns the rest. ok tells that the header is whole:
// hdr holds it, left and total count its payload.
func (s *stream) header(p []byte) (rest []byte, ok bool) {
	n := copy(s.hdr[s.nhdr:], p)
	s.nhdr += uint8(n)
	if s.nhdr < headerLen {
		return p[n:], false
	}
	s.nhdr = 0
	s.open(packetLen(s.hdr[:]))
	return p[n:], true
}

// open notes a packet whose header says n.
func (s *stream) open(n uint32) {
	if !s.more {
		s.total, s.nhead, s.begun = 0, 0, false
	}
	s.total = min(s.total+n, maxTotal)
	s.left = n
	s.more = n == fullLen
}

// payload takes payload bytes from p, keeps those of the head, and returns the rest.
func (s *stream) payload(p []byte) (rest []byte) {
	n := min(int(s.left), len(p))
	s.nhead += uint8(copy(s.head[s.nhead:], p[:n]))
	s.left -= uint32(n)
	return p[n:]
}

// ended tells, behind header or payload, that the message is whole.
func (s *stream) ended() bool { return s.left == 0 && !s.more }

// packetLen is the payload length in a packet header.
func packetLen(h []byte) uint32 {
	return uint32(h[0]) | uint32(h[1])<<8 | uint32(h[2])<<16
}

// wholePacket returns the payload length of a packet that lies whole at the front of p and is not
// continued.
func wholePacket(p []byte) (n int, ok bool) {
	if len(p) < headerLen {
		return 0, false
	}
	n = int(packetLen(p))
	return n, n < fullLen && len(p) >= headerLen+n
}

// appendHeader appends a packet header.
func appendHeader(dst []byte, n int, seq uint8) []byte {
	return append(dst, byte(n), byte(n>>8), byte(n>>16), seq)
}

// lenenc reads a length-encoded integer and returns the bytes behind it.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html
func lenenc(b []byte) (v uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	width := 0
	switch b[0] {
	case 0xfc:
		width = 2
	case 0xfd:
		width = 3
	case 0xfe:
		width = 8
	case 0xfb, 0xff: // NULL and ERR: not integers
		return 0, nil, false
	default:
		return uint64(b[0]), b[1:], true
	}
	if len(b) < 1+width {
		return 0, nil, false
	}
	for i := width; i > 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v, b[1+width:], true
}

// appendLenenc appends a length-encoded integer.
func appendLenenc(dst []byte, v uint64) []byte {
	switch {
	case v < 0xfb:
		return append(dst, byte(v))
	case v <= 0xffff:
		return append(dst, 0xfc, byte(v), byte(v>>8))
	case v <= 0xffffff:
		return append(dst, 0xfd, byte(v), byte(v>>8), byte(v>>16))
	}
	return binary.LittleEndian.AppendUint64(append(dst, 0xfe), v)
}

// lenencBytes reads a length-encoded string and returns the bytes behind it.
func lenencBytes(b []byte) (s, rest []byte, ok bool) {
	n, b, ok := lenenc(b)
	if !ok || n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// cstring reads up to a zero byte and returns the bytes behind it.
func cstring(b []byte) (s, rest []byte, ok bool) {
	for i, c := range b {
		if c == 0 {
			return b[:i], b[i+1:], true
		}
	}
	return nil, nil, false
}
