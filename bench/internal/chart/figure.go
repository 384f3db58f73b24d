package chart

import (
	"math"
	"strconv"
	"strings"
)

// Figure is a median with the least and the most beside it. Without a spread Min and Max are 0. A
// figure whose Value is no number between figureMin and figureMax is not known: it is left out of a
// chart.
type Figure struct {
	Value, Min, Max float64
}

// Figures that a chart can show. What is beyond them is a slip, and an axis that reached there would
// have no end of ticks.
const (
	figureMin = 1e-9
	figureMax = 1e15
)

func known(v float64) bool { return v >= figureMin && v <= figureMax }

func (f Figure) known() bool { return known(f.Value) }

// spread reports whether there is a range to draw.
func (f Figure) spread() bool { return known(f.Min) && known(f.Max) && f.Min < f.Max }

// least and most are the ends of what is drawn of a known figure.
func (f Figure) least() float64 {
	if f.spread() {
		return min(f.Value, f.Min)
	}
	return f.Value
}

func (f Figure) most() float64 {
	if f.spread() {
		return max(f.Value, f.Max)
	}
	return f.Value
}

// words is the figure for those who hear a chart.
func (f Figure) words() string {
	if !f.spread() {
		return short(f.Value)
	}
	return short(f.Value) + " (" + short(f.Min) + " to " + short(f.Max) + ")"
}

// short writes a positive number: three digits of it, or all of those before the point below 10,000.
func short(v float64) string { return inUnit(v, fixed) }

// inUnit writes v or, where that is long, its thousands or millions.
func inUnit(v float64, write func(v float64, decimals int) string) string {
	switch {
	case v >= 9_999_500:
		return write(v/1e6, digits(v/1e6)) + "M"
	case v >= 9999.5:
		return write(v/1e3, digits(v/1e3)) + "k"
	}
	return write(v, digits(v))
}

// digits is how many decimals three digits of v leave.
func digits(v float64) int {
	switch {
	case v >= 99.95:
		return 0
	case v >= 9.995:
		return 1
	case v >= 0.9995:
		return 2
	}
	return 2 - int(math.Floor(math.Log10(v)))
}

func fixed(v float64, decimals int) string { return strconv.FormatFloat(v, 'f', decimals, 64) }

// trimmed writes v without zeros at its end.
func trimmed(v float64, decimals int) string {
	text := fixed(v, decimals)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}
