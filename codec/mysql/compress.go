package mysql

import (
	"errors"

	"sluice/codec"
)

const frameHeaderLen = 7 // 3 bytes length, 1 byte sequence id, 3 bytes length before compression

// compression is what a follower keeps in a compressed session.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression.html
type compression struct {
	client, server frames
	next           uint8 // sequence id that the next frame of the present exchange will have
}

func newCompression(zstd bool) *compression { return &compression{} }

func (z *compression) of(s codec.Side) *frames {
	if s == codec.Client {
		return &z.client
	}
	return &z.server
}

type frames struct {
	seq uint8
}

func (f *frames) mid() bool { return false }
func (f *frames) close()    {}

func (f *frames) feed(p []byte, follow func([]byte) error) error {
	return errors.New("mysql: compression is not followed yet")
}

// putFrameHeader writes the header of a frame whose n bytes are not compressed.
func putFrameHeader(b []byte, n int, seq uint8) {
	b[0], b[1], b[2], b[3] = byte(n), byte(n>>8), byte(n>>16), seq
	b[4], b[5], b[6] = 0, 0, 0
}
