package console

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice/codec"
)

// Console carries out commands.
type Console struct {
	src Source
	now func() time.Time
	averages
}

// New returns a console. For averages it has to be told the time, see Watch.
func New(src Source) *Console {
	c := &Console{src: src, now: time.Now}
	c.sample()
	return c
}

// command is what a text stands for: exactly one of rows and do is set, or err.
type command struct {
	columns []codec.Column
	rows    func(c *Console, who Who) [][]any
	order   bool   // it changes something, so that it takes an admin
	key     string // the setting that it changes; "" = none
	do      func(c *Console, ctx context.Context) codec.Answer
	err     *codec.Error
}

// Run carries out one command. It returns when that is done, or the context ends: with the cause
// codec.ErrCancelled, a PAUSE that still waits is taken back.
func (c *Console) Run(ctx context.Context, who Who, text string) codec.Answer {
	cmd := parse(text)
	switch {
	case cmd.err != nil:
		return codec.Answer{Err: cmd.err}
	case cmd.rows != nil:
		return codec.Answer{Table: &codec.Table{Columns: cmd.columns, Rows: cmd.rows(c, who)}, Tag: "SHOW"}
	case cmd.order && !who.Admin:
		return refuse(codec.CommandDenied, "this command takes an admin user", "")
	case cmd.order:
		c.src.Ordered(who, c.noted(&cmd, text))
	}
	return cmd.do(c, ctx)
}

// noted is what the log has of an order. A value that can't be set may be a secret that somebody tried to.
func (c *Console) noted(cmd *command, text string) string {
	isIt := func(s Setting) bool { return s.Key == cmd.key && s.Changeable }
	if cmd.key != "" && !slices.ContainsFunc(c.src.Settings(), isIt) {
		return "SET " + clip(cmd.key)
	}
	return strings.TrimSpace(text)
}

// Columns returns the columns of what a command shows, or nil if it shows none.
func (c *Console) Columns(text string) []codec.Column { return parse(text).columns }

// Asks tells whether a text only asks, and changes nothing.
func Asks(text string) bool { return !parse(text).order }

// textMax is how much of a command is said back to who gave it, in bytes.
const textMax = 100

// parse finds out what a text stands for.
func parse(text string) command {
	list, ok := words(text)
	if !ok {
		return fault(codec.CommandUnknown, "a quote does not end")
	}
	if len(list) == 0 {
		return command{do: tag("")}
	}
	var cmd command
	var known bool
	if verb, rest := list[0], list[1:]; verb.is("SHOW") {
		cmd, known = parseShow(rest)
	} else if cmd, known = parseOrder(verb, rest); !known {
		cmd, known = parseDriver(list)
	}
	if !known {
		return fault(codec.CommandUnknown, fmt.Sprintf("invalid command %q", clip(strings.TrimSpace(text))))
	}
	return cmd
}

// clip shortens a text that is said back.
func clip(text string) string {
	if len(text) <= textMax {
		return text
	}
	return strings.ToValidUTF8(text[:textMax], "") + "…"
}

// fault is a command that can't be carried out.
func fault(cond codec.Condition, text string) command {
	e := codec.Error{Cond: cond, Text: text}
	if cond == codec.CommandUnknown {
		e.Hint = "SHOW HELP lists the commands."
	}
	return command{err: &e}
}

// refuse is the answer to a command that is not carried out.
func refuse(cond codec.Condition, text, hint string) codec.Answer {
	return codec.Answer{Err: &codec.Error{Cond: cond, Text: text, Hint: hint}}
}

// tag answers with nothing but a tag.
func tag(t string) func(*Console, context.Context) codec.Answer {
	return func(*Console, context.Context) codec.Answer { return codec.Answer{Tag: t} }
}
