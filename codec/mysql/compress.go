package mysql

import (
	"errors"

	"sluice/codec"
)

// frameHeaderLen is 3 bytes length, 1 byte sequence id, 3 bytes length before compression (0 = the
// payload is not compressed).
const frameHeaderLen = 7

// compression is what a follower keeps in a compressed session. The packets of both directions are
// cut anywhere into frames, which are numbered on their own.
//
// A frame that lies whole in the bytes at hand is unpacked on the spot. One that comes in pieces is
// unpacked as it comes, by a coroutine: however long it is, no more of it is held than the
// decompressor's window and one block.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression.html
type compression struct {
	zstd           bool
	next           uint8 // sequence id that the next frame of the present exchange will have
	client, server frames
}

func newCompression(zstd bool) *compression { return &compression{zstd: zstd} }

func (z *compression) of(s codec.Side) *frames {
	if s == codec.Client {
		return &z.client
	}
	return &z.server
}

// frames is one direction of a compressed session, cut anywhere.
type frames struct {
	hdr   [frameHeaderLen]byte
	nhdr  uint8
	seq   uint8     // sequence id that follows on that of the last frame
	left  uint32    // bytes of the frame that are still to come
	plain uint32    // their number before compression; 0 = not compressed
	torn  *inflater // unpacks the frame at hand, if it comes in pieces
}

// mid tells whether the stream stands inside a frame.
func (fr *frames) mid() bool { return fr.left > 0 || fr.nhdr > 0 }

// close gives back what an unfinished frame holds.
func (fr *frames) close() {
	if fr.torn != nil {
		fr.torn.close()
		fr.torn = nil
	}
}

var errFrame = errors.New("mysql: malformed compressed packet")

// feed unpacks bytes of one direction and gives what is inside to follow.
func (z *compression) feed(fr *frames, p []byte, follow func([]byte) error) error {
	for len(p) > 0 {
		if fr.left == 0 {
			n := copy(fr.hdr[fr.nhdr:], p)
			fr.nhdr += uint8(n)
			p = p[n:]
			if fr.nhdr < frameHeaderLen {
				return nil
			}
			fr.nhdr = 0
			fr.left, fr.plain = packetLen(fr.hdr[:]), packetLen(fr.hdr[4:])
			fr.seq = fr.hdr[3] + 1
			z.next = fr.seq
			if fr.left == 0 && fr.plain > 0 {
				return errFrame
			}
			continue
		}
		part := p[:min(int(fr.left), len(p))]
		p = p[len(part):]
		fr.left -= uint32(len(part))
		if err := z.part(fr, part, follow); err != nil {
			fr.close()
			return err
		}
	}
	return nil
}

// part takes bytes of the payload of a frame; left already says what will be missing behind them.
func (z *compression) part(fr *frames, part []byte, follow func([]byte) error) error {
	if fr.plain == 0 {
		return follow(part)
	}
	if fr.torn == nil && fr.left == 0 {
		return inflate(z.zstd, part, fr.plain, follow)
	}
	if fr.torn == nil {
		fr.torn = newInflater(z.zstd, fr.plain)
	}
	if err := fr.torn.push(part, fr.left == 0, follow); err != nil {
		return err
	}
	if fr.left == 0 {
		fr.close()
	}
	return nil
}

// putFrameHeader writes the header of a frame whose n bytes are not compressed.
func putFrameHeader(b []byte, n int, seq uint8) {
	b[0], b[1], b[2], b[3] = byte(n), byte(n>>8), byte(n>>16), seq
	b[4], b[5], b[6] = 0, 0, 0
}
