package postgres

import "sluice/codec"

// movable is the follower of a session that can be moved: a codec.Mover.
type movable struct {
	follower
	tracker
}

var _ codec.Mover = (*movable)(nil)

// Pin says what binds the session to its server, as far as that is known without a question.
func (m *movable) Pin() codec.Pin { return m.tracker.pin() }

// Askable tells that the session is at a safe point. Nothing that was held back could bring one about.
func (m *movable) Askable([]byte) bool { return m.Busy() == "" && !m.ending }

// Known tells whether the session's state is known without a question.
func (m *movable) Known() bool { return m.isKnown() }

// Marks grows with each command that may have changed what the session keeps.
func (m *movable) Marks() uint32 { return m.marks }
