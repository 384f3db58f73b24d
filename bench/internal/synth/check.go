package synth

import (
	"bytes"
	"fmt"
	"strconv"
)

// check compares the answers to one client's questions with what they have to be, byte for byte: the
// row with the question's own number, then as much filler as was asked for.
type check struct {
	number uint64 // of the question that the next answer is to
	size   int    // of the filler that was asked for
	rows   int    // seen of this answer
	filled int    // bytes of filler seen of this answer
	left   int    // bytes still to come of the row under way; always filler
	at     int    // how far into that row
}

// expect turns to the next answer.
func (c *check) expect(number uint64, size int) { *c = check{number: number, size: size} }

// first compares the row with the number.
func (c *check) first(value []byte) error {
	var own [argMax]byte
	if want := strconv.AppendUint(own[:0], c.number, 10); !bytes.Equal(value, want) {
		return fmt.Errorf("wrong answer: %q to question %d", value, c.number)
	}
	c.rows++
	return nil
}

// row begins a row of filler of n bytes.
func (c *check) row(n int) error {
	if n <= 0 || n > rowMax || c.filled+n > c.size {
		return fmt.Errorf("wrong answer: a row of %d bytes behind %d of %d in question %d", n, c.filled, c.size, c.number)
	}
	c.left, c.at = n, 0
	c.rows++
	return nil
}

// fill compares filler and returns how much of b belongs to the row under way.
func (c *check) fill(b []byte) (int, error) {
	n := min(c.left, len(b))
	if !bytes.Equal(b[:n], filler[c.at:c.at+n]) {
		return n, fmt.Errorf("wrong answer: byte %d or one of the next %d of a row is not what question %d asked for",
			c.at, n, c.number)
	}
	c.at += n
	c.left -= n
	c.filled += n
	return n, nil
}

// end reports whether the answer was whole.
func (c *check) end() error {
	if c.rows == 0 || c.filled != c.size {
		return fmt.Errorf("wrong answer: %d rows with %d of %d bytes to question %d", c.rows, c.filled, c.size, c.number)
	}
	return nil
}
