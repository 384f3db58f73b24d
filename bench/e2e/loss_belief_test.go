package e2e

import (
	"fmt"
	"io"
	"strings"

	"sluice/bench/e2e/wire"
)

// lossBelief is what a client believes of its work, by what it was told.
type lossBelief struct {
	tx    byte              // the transaction status
	block []string          // marks in the open block
	fate  map[string]string // of each mark: "done", "undone", "unknown"
}

func (b *lossBelief) begin() {
	b.tx, b.block = 'I', nil
	if b.fate == nil {
		b.fate = map[string]string{}
	}
}

// answer reads the answer to a batch. over: the session has ended in its midst.
func (b *lossBelief) answer(texts []string, r io.Reader) (code string, over bool, err error) {
	var alone []string // done outside a block
	for {
		kind, body, err := wire.ReadMsg(r)
		if err != nil || kind == 'E' && errorField(body, 'S') == "FATAL" {
			b.settle("unknown", b.block, alone, marksOf(texts))
			return code, true, nil
		}
		switch kind {
		case 'Z':
			return code, false, b.ends(body[0], code, alone, texts)
		case 'E':
			if code != "" {
				return code, false, fmt.Errorf("an error behind an error: %q", body)
			}
			code = errorField(body, 'C')
		case 'C':
			if len(texts) == 0 || code != "" {
				return code, false, fmt.Errorf("too many answers: %q behind %q", body, code)
			}
			alone = b.done(texts[0], strings.TrimSuffix(string(body), "\x00"), alone)
			texts = texts[1:]
		}
	}
}

// done takes the answer to a statement.
func (b *lossBelief) done(text, tag string, alone []string) []string {
	switch text {
	case "begin":
		if b.tx == 'I' {
			b.tx, b.block, alone = 'T', append(b.block, alone...), nil
		}
	case "commit", "rollback", "commit and chain":
		fate := "done"
		if tag == "ROLLBACK" {
			fate = "undone"
		}
		b.settle(fate, b.block, alone)
		if b.tx, b.block, alone = 'I', nil, nil; text == "commit and chain" {
			b.tx = 'T'
		}
	default:
		if b.tx == 'I' {
			return append(alone, marksOf([]string{text})...)
		}
		b.block = append(b.block, marksOf([]string{text})...)
	}
	return alone
}

// ends takes the end of a batch: texts are the statements that were not answered.
func (b *lossBelief) ends(status byte, code string, alone, texts []string) error {
	switch code {
	case "":
		if len(texts) > 0 {
			return fmt.Errorf("%q were not answered", texts)
		}
		b.settle("done", alone)
	case "40003":
		b.settle("unknown", b.block, alone, marksOf(texts))
		b.block = nil
	default:
		b.settle("undone", b.block, alone, marksOf(texts))
		b.block = nil
	}
	if len(b.block) > 0 && status != 'T' || status == 'T' && code != "" {
		return fmt.Errorf("status %q behind %q with %q in the block", status, code, b.block)
	}
	b.tx = status
	return nil
}

func (b *lossBelief) settle(fate string, lists ...[]string) {
	for _, list := range lists {
		for _, mark := range list {
			b.fate[mark] = fate
		}
	}
}

// compare holds the belief against what is there.
func (b *lossBelief) compare(stored map[string]int) error {
	for mark, fate := range b.fate {
		n := stored[mark]
		if n > 1 || n > 0 && fate == "undone" || n == 0 && fate == "done" {
			return fmt.Errorf("%q is there %d times, and the client takes it for %q", mark, n, fate)
		}
	}
	return nil
}

// marksOf are the marks in statements.
func marksOf(texts []string) (marks []string) {
	for _, text := range texts {
		if strings.HasPrefix(text, "insert") || strings.HasPrefix(text, "call") {
			for i, part := range strings.Split(text, "'") {
				if i%2 == 1 {
					marks = append(marks, part)
				}
			}
		}
	}
	return marks
}

// errorField is a field of an ErrorResponse.
func errorField(body []byte, field byte) string {
	for f := range strings.SplitSeq(string(body), "\x00") {
		if f != "" && f[0] == field {
			return f[1:]
		}
	}
	return ""
}
