// Package router chooses a backend. It is pure: it gets values and returns a choice and the reason for
// it, and has no socket, clock or randomness of its own.
//
// The policy is a table of factors (factor.go), heard in order: a later one decides only between
// backends that all earlier ones grade alike. To change the policy, move a row; to add a reason, add a
// function and a row.
//
// Backends that are equal to the end are chosen among by the caller's random number, so that several
// Sluices, or several loops, do not all run to the same one.
package router
