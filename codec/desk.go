package codec

import "errors"

// Desker is a Protocol that can serve the admin console.
type Desker interface {
	// NewDesk returns the desk for a client whose login has come to OpWelcome.
	NewDesk(cfg *DeskConfig) Desk
}

// DeskConfig is what a Desk has to know. It is shared by many desks and not changed by them.
type DeskConfig struct {
	Version string // Sluice's own
	// Columns returns the columns of what a text would be answered with, or nil if that is no table.
	// It does not block and changes nothing: clients ask for it ahead of a command.
	Columns func(text string) []Column
}

// Desk is the protocol's side of a session with the admin console, behind its login: it takes
// commands from the client's stream and frames their answers. It is not safe for concurrent use.
//
// One command is carried out at a time. While one is, the caller should not read from the client; what
// comes all the same is kept, to a limit.
//
//	Client ──▶ query ──▶ carried out elsewhere ──▶ Answer ─┬──▶ Client(nil), for what is left
//	                                                 More ◀┘ as long as there is more
type Desk interface {
	// Introduction is what the client is told of its session at the end of its login.
	Introduction() Introduction
	// Client takes bytes of the client; any cut is fine. ok: query is a command to be carried out, and
	// nothing further is taken up before Answer. end: the client has said goodbye. An error ends the
	// session; it is an Error that the client can be told.
	Client(p []byte, t *Turn) (query string, ok, end bool, err error)
	// Answer tells the client what came of its command. more: it does not fit in one turn.
	Answer(a Answer, t *Turn) (more bool)
	// More goes on with the answer, a part at a time, when the client has taken in the one before.
	More(t *Turn) (more bool)
	// AppendError appends e as a message that ends the session, for the client.
	AppendError(dst []byte, e Error) []byte
}

// ColumnType is the type of a column's values.
type ColumnType uint8

const (
	ColumnText ColumnType = iota // string
	ColumnInt                    // int64 that fits in 32 bits
	ColumnBig                    // int64
)

// Column is one column of a Table.
type Column struct {
	Name string
	Type ColumnType
}

// Table is what a command shows. A value is a string, an int64 or nil, as its column's type says; nil
// is NULL.
type Table struct {
	Columns []Column
	Rows    [][]any
}

// Note is a word to the client that is neither a table nor an error.
type Note struct{ Text, Detail string }

// Answer is what came of a command: an error, or a tag that names what was done, with a table if the
// command shows one.
type Answer struct {
	Table *Table
	Tag   string // "SHOW", "PAUSE", …; "" if the command had no words
	Note  *Note
	Err   *Error
}

// ErrCancelled is the cause with which the context of a command ends when its user cancels it, as
// opposed to a client that has gone.
var ErrCancelled = errors.New("the command was cancelled by its user")
