package guard

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// count is the number of instructions in each function of a program.
type count map[string]int64

// parse reads what cachegrind writes: lines with a function's name, each followed by lines with a
// line's number and its instructions, and the sum at the end.
// https://valgrind.org/docs/manual/cg-manual.html#cg-manual.impl-details.file-format
func parse(r io.Reader) (count, error) {
	c := count{}
	var function string
	var sum int64
	in := bufio.NewScanner(r)
	in.Buffer(nil, lineMax)
	for in.Scan() {
		line := in.Bytes()
		if name, ok := bytes.CutPrefix(line, []byte("fn=")); ok {
			function = string(name)
			continue
		}
		if text, ok := bytes.CutPrefix(line, []byte("summary: ")); ok {
			total, err := strconv.ParseInt(string(text), 10, 64)
			if err != nil || total != sum {
				return nil, fmt.Errorf("cachegrind's sum is %q; the functions add up to %d", text, sum)
			}
			return c, nil
		}
		if len(line) == 0 || line[0] < '0' || line[0] > '9' {
			continue // a file's name, or the head
		}
		_, text, _ := bytes.Cut(line, []byte(" "))
		n, err := strconv.ParseInt(string(text), 10, 64)
		if err != nil || function == "" {
			return nil, fmt.Errorf("cachegrind's line %q is not understood", line)
		}
		c[function] += n
		sum += n
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	return nil, errors.New("cachegrind's file has no end")
}

// lineMax is the longest line of cachegrind's file, in bytes: a name of a generic function can be long.
const lineMax = 1 << 20

// total adds everything up.
func (c count) total() int64 {
	var sum int64
	for _, n := range c {
		sum += n
	}
	return sum
}
