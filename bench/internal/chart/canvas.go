package chart

import (
	"encoding/xml"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Sizes that all charts share, in pixels.
const (
	width     = 840.0
	margin    = 18.0
	headSpace = 62.0 // title and the line below it
	titleSize = 16
	textSize  = 12
	smallSize = 11
)

// Colours of everything that is not a figure.
const (
	ground = "#ffffff"
	border = "#d0d7de"
	grid   = "#e4e8ec"
	ink    = "#1f2328"
	faint  = "#57606a"
)

// canvas collects the elements of one chart.
type canvas struct {
	strings.Builder
}

// newCanvas begins a chart. title and description are for those who can't see it.
func newCanvas(height float64, title, description string) *canvas {
	c := &canvas{}
	c.add(`<svg xmlns="http://www.w3.org/2000/svg" width="%[1]s" height="%[2]s" viewBox="0 0 %[1]s %[2]s" role="img" aria-labelledby="title description" font-family="sans-serif">`,
		px(width), px(height))
	c.add(`<title id="title">%s</title>`, escaped(title))
	c.add(`<desc id="description">%s</desc>`, escaped(description))
	c.add(`<rect x="0.5" y="0.5" width="%s" height="%s" rx="6" fill="%s" stroke="%s"/>`, px(width-1), px(height-1), ground, border)
	return c
}

// head writes what stands above the figures.
func (c *canvas) head(title, below string) {
	c.text(margin, margin+titleSize, lettering{size: titleSize, bold: true}, title)
	c.text(margin, margin+titleSize+19, lettering{colour: faint}, below)
}

// done ends the chart and returns its text.
func (c *canvas) done() []byte {
	c.add(`</svg>`)
	return []byte(c.String())
}

// add writes one element, a line of the file.
func (c *canvas) add(format string, args ...any) {
	fmt.Fprintf(c, format+"\n", args...)
}

// lettering is how a text looks. Its zero value is plain text that begins at the given point.
type lettering struct {
	size   int    // 0 = textSize
	colour string // "" = ink
	anchor string // "middle" or "end"
	bold   bool
}

func (c *canvas) text(x, y float64, l lettering, text string) {
	size, colour, more := l.size, l.colour, ""
	if size == 0 {
		size = textSize
	}
	if colour == "" {
		colour = ink
	}
	if l.anchor != "" {
		more += ` text-anchor="` + l.anchor + `"`
	}
	if l.bold {
		more += ` font-weight="bold"`
	}
	c.add(`<text x="%s" y="%s" font-size="%d" fill="%s"%s>%s</text>`, px(x), px(y), size, colour, more, escaped(text))
}

func (c *canvas) line(x1, y1, x2, y2 float64, colour string, thick float64) {
	c.add(`<line x1="%s" y1="%s" x2="%s" y2="%s" stroke="%s" stroke-width="%s"/>`, px(x1), px(y1), px(x2), px(y2), colour, px(thick))
}

// escaped makes text safe inside of an element.
func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}

// px writes a length. A tenth of a pixel is as fine as the eye sees, and keeps files small.
func px(v float64) string { return trimmed(v, 1) }

// textWidth is room enough for a text in any usual font.
func textWidth(text string, size int) float64 {
	const widest = 0.64 // of the size, per letter on average; DejaVu Sans Bold needs about that
	return widest * float64(size) * float64(utf8.RuneCountInString(text))
}
