//go:build race

package mysql

// raceDetector: with it on, sync.Pool throws away at random what it is given.
const raceDetector = true
