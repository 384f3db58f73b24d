package mysql

import (
	"errors"
	"slices"
)

// question is one for a session's state, and what takes the answer: it may return further questions.
type question struct {
	text string
	take func(s *state, r *answer) (more []string, err error)
	// counts tells that it is for the server's counters.
	counts bool
}

// errLearntNot says that a server has to be asked in full.
var errLearntNot = errors.New("the server's variables are not those of the last")

// texts are those of questions.
func texts(list []question) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = list[i].text
	}
	return out
}

// questions are those for the state of a session, without those for the values of its user variables.
func (c *replayCarrier) questions() []question {
	if c.k.m.kind == kindMySQL {
		return c.k.mysqlQuestions()
	}
	if c.k.called {
		return append(mariadbQuestions[:len(mariadbQuestions):len(mariadbQuestions)], mariadbRoutines)
	}
	return mariadbQuestions
}

// ready makes up the questions; short tells that variables may be asked for by the names that are known.
func (c *replayCarrier) ready(short bool) {
	c.asked, c.short = c.questions(), nil
	if !short || c.k.m.kind != kindMariaDB {
		return
	}
	if c.short = learntNow(); c.short != nil {
		c.asked = slices.Clone(c.asked)
		c.asked[0] = question{text: c.short.text}
	}
}

// common are the variables that every user may set, in the order in which they have to be: a character
// set brings a collation with it.
func (c *replayCarrier) common() []string {
	if c.k.m.kind == kindMySQL {
		return semanticMySQL
	}
	return semantic
}

// took takes the answer to a question into a state.
func (c *replayCarrier) took(s *state, i int, r *answer) (more []string, err error) {
	switch {
	case i == 0 && c.short != nil:
		if !c.short.take(s, r) {
			return nil, errLearntNot
		}
		return nil, nil
	case r.err != nil:
		return nil, r.err
	case i >= len(c.asked):
		return nil, s.takeValues((i-len(c.asked))*userChunk, r)
	}
	return c.asked[i].take(s, r)
}
