package mysql

import "fmt"

// carrier is one way to carry a session's state from one server to another. The move machine does the
// talking: it asks the old server, gives the answers to the carrier, puts what comes of them in place at
// the new one, and gives it those answers, too. An error of any method ends the move in vain; a
// codec.PinError says that the session is bound to its server.
type carrier interface {
	// ask returns the statements by which the old server tells the state, in the order in which they are
	// sent, all at once. It is called anew for each move.
	ask(m *move) []string
	// answered takes the answer to statement i. more are further statements for the old server; they count
	// on from the last.
	answered(i int, r *answer) (more []string, err error)
	// put returns the commands that put the state in place at the new server: payloads, which are sent
	// in one go. It is called behind the last answer; with codec.MoveConfig.Lost behind none, for what
	// is Known.
	put() [][]byte
	// placed takes the answer to command i of put. more are further commands; they count on.
	placed(i int, r *answer) (more [][]byte, err error)
	// apply tells the follower what is different at the new server.
	apply(f *Follower)
}

// answer is what a server said to one command of a carrier's. Its parts share no memory with the stream.
type answer struct {
	rows     [][]field   // of the first result set, as text
	defs     [][]byte    // its column definitions, as they came
	affected uint64      // numbers of the last OK
	insertID uint64      //
	status   uint16      // status flags of the last OK or EOF
	stmt     uint32      // id in a PREPARE_OK
	columns  uint16      // in a result set, or in a PREPARE_OK
	params   uint16      // in a PREPARE_OK
	err      *serverFail // the ERR that ended the answer; nil if none did
}

// field is one value of a row; nil is NULL, the empty string is not nil.
type field []byte

// serverFail is an ERR of a server.
type serverFail struct {
	no   errNumber
	text string
}

// Error returns the server's words with its numbers.
func (e *serverFail) Error() string { return fmt.Sprintf("%d (%s) %s", e.no.code, e.no.state, e.text) }

// one returns the values of the only row of a result with n columns.
func (r *answer) one(n int) (row []field, ok bool) {
	if r.err != nil || len(r.rows) != 1 || len(r.rows[0]) != n {
		return nil, false
	}
	return r.rows[0], true
}
