//go:build !race

package postgres

// raceDetector: with it on, tests that have one goroutine, and nothing to race with, do less of the same.
const raceDetector = false
