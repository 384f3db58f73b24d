package chart

import (
	"math"
	"slices"
	"strings"
)

// Dots is a chart with several figures of one contender in a row, on a logarithmic axis: percentiles
// of a latency, say. A spread is drawn as a pale band.
type Dots struct {
	Title   string
	Unit    string
	Subject string
	Marks   []string // what the figures of a row are, in order: at most one per shape, which is 5
	Groups  []DotGroup
}

// DotGroup is the rows that are compared with each other.
type DotGroup struct {
	Name string
	Note string // what is to be known of them; "" = nothing
	Rows []DotRow
}

// DotRow is one contender. Its figures stand in the order of Dots.Marks.
type DotRow struct {
	Name    string
	Figures []Figure
}

// dotMarks are the shapes in the order of Dots.Marks.
var dotMarks = []mark{circle, diamond, triangle, square, wedge}

// SVG draws the chart. Figures that are not known, rows without any other and groups without rows are
// left out.
func (d Dots) SVG() []byte {
	groups := d.known()
	r := rows{title: d.Title, below: d.Unit, subject: d.Subject}
	least, most, spread := math.Inf(1), 0.0, false
	for _, g := range groups {
		row := rowGroup{name: g.Name, note: g.Note}
		for _, dots := range g.Rows {
			row.names = append(row.names, dots.Name)
			for _, f := range dots.Figures {
				if f.known() {
					least, most, spread = min(least, f.least()), max(most, f.most()), spread || f.spread()
				}
			}
		}
		r.groups = append(r.groups, row)
	}
	if spread {
		r.below += ". Mark: median; band: least to most. The axis is logarithmic."
	}
	for i, text := range d.Marks[:min(len(d.Marks), len(dotMarks))] {
		if occurs(i, groups) {
			r.legend = append(r.legend, legendEntry{text: text, mark: dotMarks[i], colour: faint})
		}
	}
	c := newCanvas(r.height(), d.Title, d.words(groups))
	x := scale{start: r.left(), end: width - margin}
	if most > 0 {
		x = logarithmic(least, most, r.left(), width-margin-10)
	}
	given := looksOf(r.names())
	r.draw(c, x, func(g, i int, y float64) {
		row := groups[g].Rows[i]
		c.dots(row.Figures, x, y, given[row.Name].colour)
	})
	return c.done()
}

// occurs reports whether any row has the mark with this index.
func occurs(mark int, groups []DotGroup) bool {
	return slices.ContainsFunc(groups, func(g DotGroup) bool {
		return slices.ContainsFunc(g.Rows, func(r DotRow) bool {
			return mark < len(r.Figures) && r.Figures[mark].known()
		})
	})
}

// dots draws one row: bands first, then the line through the medians, then the marks.
func (c *canvas) dots(figures []Figure, x scale, y float64, colour string) {
	const thick = 9.0
	first, last := math.Inf(1), math.Inf(-1)
	for _, f := range figures {
		if !f.known() {
			continue
		}
		first, last = min(first, x.at(f.Value)), max(last, x.at(f.Value))
		if f.spread() {
			c.add(`<rect x="%s" y="%s" width="%s" height="%s" rx="2" fill="%s" fill-opacity="0.18"/>`,
				px(x.at(f.Min)), px(y-thick/2), px(x.at(f.Max)-x.at(f.Min)), px(thick), colour)
		}
	}
	if first < last {
		c.line(first, y, last, y, colour, 1)
	}
	for i, f := range figures[:min(len(figures), len(dotMarks))] {
		if f.known() {
			c.mark(dotMarks[i], x.at(f.Value), y, colour)
		}
	}
}

func (d Dots) known() []DotGroup {
	var groups []DotGroup
	for _, g := range d.Groups {
		g.Rows = slices.DeleteFunc(slices.Clone(g.Rows), func(r DotRow) bool {
			return !slices.ContainsFunc(r.Figures, Figure.known)
		})
		if len(g.Rows) > 0 {
			groups = append(groups, g)
		}
	}
	return groups
}

// words tells every figure.
func (d Dots) words(groups []DotGroup) string {
	var w strings.Builder
	w.WriteString(d.Unit + ".")
	for _, g := range groups {
		var each []string
		for _, row := range g.Rows {
			text := row.Name
			for i, f := range row.Figures[:min(len(row.Figures), len(d.Marks))] {
				if f.known() {
					text += " " + d.Marks[i] + " " + f.words()
				}
			}
			each = append(each, text)
		}
		w.WriteString(" " + g.Name + ": " + strings.Join(each, ", ") + "." + spaced(g.Note))
	}
	return w.String()
}
