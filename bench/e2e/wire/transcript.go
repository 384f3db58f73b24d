package wire

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// Transcript is what one client saw, message by message, in order. What differs between any two
// connections (salts, connection ids, secrets) is masked before it is written down; all else is kept
// to the byte, long messages as length and hash.
type Transcript struct {
	lines []string
	fault error
}

// quoteMax is the length in bytes up to which a message is written out in a transcript.
const quoteMax = 400

func (t *Transcript) add(kind string, p []byte) {
	if len(p) <= quoteMax {
		t.lines = append(t.lines, fmt.Sprintf("%s %q", kind, p))
		return
	}
	t.lines = append(t.lines, fmt.Sprintf("%s %d bytes, sha256 %x", kind, len(p), sha256.Sum256(p)))
}

// Note writes a line of the script's own into the transcript: something that it saw and that no
// message holds.
func (t *Transcript) Note(format string, args ...any) {
	t.lines = append(t.lines, "# "+fmt.Sprintf(format, args...))
}

// Fail notes that the script can't go on: a time-out, or an answer that makes the rest meaningless.
func (t *Transcript) Fail(err error) {
	if t.fault == nil {
		t.fault = err
		t.lines = append(t.lines, "! "+err.Error())
	}
}

// Fault is the first failure of the script, or nil.
func (t *Transcript) Fault() error { return t.fault }

// Len is the number of lines.
func (t *Transcript) Len() int { return len(t.lines) }

// Since returns the lines from number n on.
func (t *Transcript) Since(n int) string { return strings.Join(t.lines[min(n, len(t.lines)):], "\n") }

// Drop removes the lines that contain s.
func (t *Transcript) Drop(s string) {
	t.lines = slices.DeleteFunc(t.lines, func(line string) bool { return strings.Contains(line, s) })
}

// Contains tells whether a line contains s.
func (t *Transcript) Contains(s string) bool { return strings.Contains(t.String(), s) }

// String returns the transcript, one message per line.
func (t *Transcript) String() string { return strings.Join(t.lines, "\n") }

// Diff describes the first place where got differs from want, with what came before; "" if they are
// the same.
func Diff(want, got *Transcript) string {
	for i := range max(len(want.lines), len(got.lines)) {
		w, g := at(want.lines, i), at(got.lines, i)
		if w == g {
			continue
		}
		before := strings.Join(want.lines[max(0, i-5):min(i, len(want.lines))], "\n    ")
		return fmt.Sprintf("at message %d, behind\n    %s\n  want %s\n  got  %s", i+1, before, w, g)
	}
	return ""
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}
