package wire

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// compressed is the compressed protocol over a stream: frames of 7 bytes of header, with a sequence
// of their own, that hold pieces of the packet stream, see
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression.html.
type compressed struct {
	under io.ReadWriter
	codec frameCodec
	log   *Transcript // of the frames received; nil at the server's end
	in    []byte      // unpacked and not read yet
	seq   byte
}

// frameCodec packs and unpacks what one frame holds.
type frameCodec interface {
	pack(p []byte) []byte
	unpack(p []byte, size int) ([]byte, error)
}

// packMin is the length from which on a payload is worth packing, in bytes; the value of MySQL's
// clients.
const packMin = 50

func newCompressed(under io.ReadWriter, codec frameCodec, log *Transcript) *compressed {
	return &compressed{under: under, codec: codec, log: log}
}

func (z *compressed) Read(p []byte) (int, error) {
	for len(z.in) == 0 {
		if err := z.frame(); err != nil {
			return 0, err
		}
	}
	n := copy(p, z.in)
	z.in = z.in[n:]
	return n, nil
}

func (z *compressed) frame() error {
	var head [7]byte
	if _, err := io.ReadFull(z.under, head[:]); err != nil {
		return err
	}
	z.seq = head[3] + 1
	body := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
	if _, err := io.ReadFull(z.under, body); err != nil {
		return err
	}
	if z.log != nil {
		z.log.add("frame", append(head[:], body...))
	}
	size := int(head[4]) | int(head[5])<<8 | int(head[6])<<16
	if size == 0 {
		z.in = body
		return nil
	}
	out, err := z.codec.unpack(body, size)
	if err == nil && len(out) != size {
		err = fmt.Errorf("frame unpacks to %d bytes, not %d", len(out), size)
	}
	z.in = out
	return err
}

func (z *compressed) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		piece := rest[:min(len(rest), 1<<20)]
		rest = rest[len(piece):]
		body, size := piece, 0
		if len(piece) >= packMin {
			body, size = z.codec.pack(piece), len(piece)
		}
		head := []byte{byte(len(body)), byte(len(body) >> 8), byte(len(body) >> 16), z.seq,
			byte(size), byte(size >> 8), byte(size >> 16)}
		z.seq++
		if _, err := z.under.Write(append(head, body...)); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

type zlibFrames struct{}

func (zlibFrames) pack(p []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(p)
	_ = w.Close()
	return b.Bytes()
}

func (zlibFrames) unpack(p []byte, size int) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(p))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, int64(size)+1))
}

type zstdFrames struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

// newZstdFrames cannot fail with these options.
func newZstdFrames() zstdFrames {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	return zstdFrames{enc, dec}
}

func (z zstdFrames) pack(p []byte) []byte { return z.enc.EncodeAll(p, nil) }

func (z zstdFrames) unpack(p []byte, _ int) ([]byte, error) { return z.dec.DecodeAll(p, nil) }
