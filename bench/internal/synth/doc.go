// Package synth is a backend and clients of both protocols that do so little that only what stands
// between them is measured.
package synth
