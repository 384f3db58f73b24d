// Package router chooses a backend. It is pure: it gets values and returns a choice and the reason for
// it, and has no socket, clock or randomness of its own.
//
// The policy is a table of factors (factor.go), heard in order: a later one decides only between
// backends that all earlier ones grade alike. To change the policy, move a row; to add a reason, add a
// function and a row.
//
// The first factors say whether a backend is fit for a session at all: its role, its state and tags as a discovery
// gives them, how far it is behind. A session leaves a backend that is not fit any more (Fits). The others say
// how it does at the moment, and which of several to take.
//
// Whether a backend is too far behind is judged against the judgement before (Judge): one that was over its
// limit comes back only when it is well within. Who is behind for which listener is remembered by the caller.
//
// # Spreading sessions
//
// What a backend says of itself (Reading) is made into figures (load.go: CPU, memory, what fails). By those, by where it
// stands and by how many sessions it has, a Balancer decides who gives sessions to whom:
//
//	Snapshot ─▶ figures ─▶ grades by factor ─▶ worst to best: the first factor that has something to say ─▶ Order
//	                                                     │ does it come back? has either rested? how fast?
//	                                                     └─▶ no: a note of why
//
// The factors stand in the order of a policy (spread.go), what each says in advice.go and in the file of its figure.
// Where a number is from is said there; TiProxy's, where it has one. A new session goes where nobody would be moved away
// from (route.go), by the same factors.
//
// What becomes of sessions by all this is played in testdata, a file for each case: scenario_test.go tells how to read
// them. churn_test.go plays a day.
//
// Backends that are equal to the end are chosen among by the caller's random number, so that several
// Sluices, or several loops, do not all run to the same one.
package router
