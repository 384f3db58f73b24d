// Package chart draws figures as SVG: bars with their spread, lines over a count, and dots on a
// logarithmic axis. It takes plain data and returns the text of a file. It reads and writes no file,
// and the same data always give the same bytes.
//
// A chart stands on a light ground of its own, so that it reads alike on a light and on a dark page.
// It names no font but the generic one, and leaves room for wide ones. Its title and a description
// that holds every figure are there for those who can't see it. A contender has the same colour and
// mark in every chart (contender.go).
//
//	Bars, Dots: one row per contender, in groups      Lines: panels side by side
//
//	group                                             panel          panel
//	  name ▇▇▇▇▇▇▇├─┤                                 ▲   ╱          ▲╲
//	  name ▇▇▇▇├──┤                                   │ ╱ ╱          │ ╲__
//	       0    10    20  unit                        └──────▶ count └──────▶ count
//
// The elements are those of https://www.w3.org/TR/SVG11/ that every browser draws in an image that may
// run no script and load nothing.
package chart
