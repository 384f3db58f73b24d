package synth

import "errors"

// statement is one that has been prepared.
type statement struct {
	question
	text  []byte  // its own copy; the question shares memory with it
	types [2]byte // of the parameters, as MySQL's clients told last
}

func prepared(text []byte) *statement {
	own := append([]byte(nil), text...)
	return &statement{question: readQuestion(own), text: own}
}

// portal is a statement with its parameters.
type portal struct {
	statement *statement
	number    [argMax]byte
	digits    int // of number
	size      int
}

// set takes the parameters, as many as the statement has.
func (p *portal) set(s *statement, number, size []byte) error {
	*p = portal{statement: s, size: s.size}
	if s.params == 0 {
		p.digits = copy(p.number[:], s.question.number)
	}
	if s.params >= 1 {
		if !isNumber(number) {
			return errParameter
		}
		p.digits = copy(p.number[:], number)
	}
	if s.params == 2 {
		n, ok := readSize(size)
		if !ok {
			return errParameter
		}
		p.size = n
	}
	return nil
}

var (
	errParameter = errors.New("a parameter is no number or out of range")
	errSelect    = errors.New("this synthetic server selects a number and how many bytes come with it, nothing else")
	errMalformed = errors.New("malformed message")
	errMessage   = errors.New("this synthetic server does not know this message")
	errStatement = errors.New("no such prepared statement")
	errPortal    = errors.New("this synthetic server has one portal, the unnamed one, and fetches all rows")
)
