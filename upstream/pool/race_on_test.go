//go:build race

package pool

// raceDetector: with it on simulations are shorter, for they have one goroutine, and nothing to race with.
const raceDetector = true
