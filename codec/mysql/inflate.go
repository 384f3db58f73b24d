package mysql

import (
	"errors"
	"io"
	"iter"
	"sync"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

const (
	inflateBlock = 16 << 10 // bytes unpacked at a time
	zstdWindow   = 16 << 20 // a frame is never longer before compression, so no window need be larger
)

// source is the packed bytes that a decompressor reads. When they run out it asks for more.
type source struct {
	b    []byte
	more func() bool // nil: no more will come; false: nor now
}

func (s *source) fill() bool {
	for len(s.b) == 0 {
		if s.more == nil || !s.more() {
			return false
		}
	}
	return true
}

func (s *source) Read(p []byte) (int, error) {
	if !s.fill() {
		return 0, io.EOF
	}
	n := copy(p, s.b)
	s.b = s.b[n:]
	return n, nil
}

// ReadByte keeps the decompressor from reading ahead through a buffer of its own.
func (s *source) ReadByte() (byte, error) {
	if !s.fill() {
		return 0, io.EOF
	}
	c := s.b[0]
	s.b = s.b[1:]
	return c, nil
}

// unpacker is a decompressor with what it needs. It is taken from a pool for one frame.
//
// zlib is klauspost's, which allocates nothing from the second frame on. Its code tables keep entries of
// the stream before, and a malformed stream can reach them: when such a stream is found out depends on
// what was unpacked before. Sound streams are not affected, and nothing that is unpacked leaves the
// follower.
type unpacker struct {
	src  source
	zlib interface { // nil until its first frame
		io.Reader
		zlib.Resetter
	}
	zstd  *zstd.Decoder // nil until its first frame
	block [inflateBlock]byte
}

// unpackers are free unpackers, by algorithm: zlib, zstd.
var unpackers [2]sync.Pool

func poolOf(zstd bool) *sync.Pool {
	if zstd {
		return &unpackers[1]
	}
	return &unpackers[0]
}

func takeUnpacker(zstd bool) *unpacker {
	if u, ok := poolOf(zstd).Get().(*unpacker); ok {
		return u
	}
	return new(unpacker)
}

func (u *unpacker) giveBack(zstd bool) {
	u.src = source{}
	poolOf(zstd).Put(u)
}

// open begins a frame.
func (u *unpacker) open(isZstd bool) (r io.Reader, err error) {
	if isZstd {
		if u.zstd == nil {
			u.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecoderMaxWindow(zstdWindow))
			if err != nil {
				return nil, err
			}
		}
		return u.zstd, u.zstd.Reset(&u.src)
	}
	if u.zlib != nil {
		return u.zlib, u.zlib.Reset(&u.src, nil)
	}
	z, err := zlib.NewReader(&u.src)
	if err != nil {
		return nil, err
	}
	u.zlib = z.(interface {
		io.Reader
		zlib.Resetter
	})
	return u.zlib, nil
}

var errInflated = errors.New("mysql: compressed packet is not of the length it says")

// unpack unpacks a frame of plain bytes block by block; emit false ends it early.
func (u *unpacker) unpack(zstd bool, plain uint32, emit func([]byte) error) error {
	r, err := u.open(zstd)
	if err != nil {
		return errors.Join(errFrame, err)
	}
	left := int(plain)
	for {
		n, err := r.Read(u.block[:])
		if n > left {
			return errInflated
		}
		left -= n
		if n > 0 {
			if err := emit(u.block[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return errors.Join(errFrame, err)
		}
	}
	if left > 0 || len(u.src.b) > 0 {
		return errInflated
	}
	return nil
}

// inflate unpacks a frame that is whole.
func inflate(zstd bool, packed []byte, plain uint32, follow func([]byte) error) error {
	u := takeUnpacker(zstd)
	defer u.giveBack(zstd)
	u.src.b = packed
	return u.unpack(zstd, plain, follow)
}

// inflater unpacks a frame that comes in pieces: decompressors want to read, so one runs in a coroutine
// that is left at each piece's end and at each block's.
type inflater struct {
	u    *unpacker
	zstd bool
	last bool // the piece at hand is the last
	err  error
	next func() ([]byte, bool)
	stop func()
}

var errStopped = errors.New("mysql: stopped within a compressed packet")

func newInflater(zstd bool, plain uint32) *inflater {
	d := &inflater{u: takeUnpacker(zstd), zstd: zstd}
	d.next, d.stop = iter.Pull(func(yield func([]byte) bool) {
		d.u.src.more = func() bool { return !d.last && yield(nil) }
		d.err = d.u.unpack(zstd, plain, func(b []byte) error {
			if !yield(b) {
				return errStopped
			}
			return nil
		})
	})
	return d
}

// push unpacks one more piece.
func (d *inflater) push(piece []byte, last bool, follow func([]byte) error) error {
	d.u.src.b, d.last = piece, last
	for {
		b, ok := d.next()
		switch {
		case !ok && d.err == nil && !last:
			return errInflated // it is at its end, the frame is not
		case !ok:
			return d.err
		case b == nil:
			return nil
		}
		if err := follow(b); err != nil {
			return err
		}
	}
}

// close ends the coroutine and gives the decompressor back.
func (d *inflater) close() {
	d.stop()
	d.u.giveBack(d.zstd)
}
