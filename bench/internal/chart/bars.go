package chart

import (
	"slices"
	"strings"
)

// Bars is a chart of horizontal bars that begin at 0. A spread is drawn as a whisker from the least to
// the most.
type Bars struct {
	Title   string
	Unit    string // what the numbers are, in words
	Subject string // name of the bar that the chart is about; it stands out
	Groups  []Group
}

// Group is the bars that are compared with each other.
type Group struct {
	Name string
	Note string // what is to be known of them; "" = nothing
	Bars []Bar
}

// Bar is one contender's figure.
type Bar struct {
	Name string
	Figure
}

// SVG draws the chart. Bars that are not known, and groups without any other, are left out.
func (b Bars) SVG() []byte {
	groups := b.known()
	r := rows{title: b.Title, below: b.Unit, subject: b.Subject}
	most, spread := 0.0, false
	for _, g := range groups {
		row := rowGroup{name: g.Name, note: g.Note}
		for _, bar := range g.Bars {
			row.names = append(row.names, bar.Name)
			most, spread = max(most, bar.most()), spread || bar.spread()
		}
		r.groups = append(r.groups, row)
	}
	if spread {
		r.below += ". Bar: median; whisker: least to most."
	}
	c := newCanvas(r.height(), b.Title, b.words(groups))
	x := scale{start: r.left(), end: width - margin}
	if most > 0 {
		const valueSpace = 56 // the number behind the longest bar
		x = linear(most, 8, r.left(), width-margin-valueSpace)
	}
	given := looksOf(r.names())
	r.draw(c, x, func(g, i int, y float64) {
		bar := groups[g].Bars[i]
		c.bar(bar, x, y, given[bar.Name].colour, bar.Name == b.Subject)
	})
	return c.done()
}

// bar draws one bar around y, its whisker and its value.
func (c *canvas) bar(b Bar, x scale, y float64, colour string, bold bool) {
	const thick, cap = 13.0, 7.0
	c.add(`<rect x="%s" y="%s" width="%s" height="%s" fill="%s"/>`, px(x.start), px(y-thick/2), px(x.at(b.Value)-x.start), px(thick), colour)
	if b.spread() {
		c.whisker(x.at(b.Min), x.at(b.Max), y, cap)
	}
	c.text(x.at(b.most())+6, y+4, lettering{size: smallSize, bold: bold}, short(b.Value))
}

// whisker draws a range along y: dark on a light rim, so that it shows on any bar and on the ground.
func (c *canvas) whisker(from, to, y, cap float64) {
	for _, stroke := range []struct {
		colour string
		thick  float64
	}{{ground, 3}, {ink, 1}} {
		c.add(`<path d="M%[1]s,%[3]sV%[4]sM%[1]s,%[5]sH%[2]sM%[2]s,%[3]sV%[4]s" fill="none" stroke="%[6]s" stroke-width="%[7]s"/>`,
			px(from), px(to), px(y-cap/2), px(y+cap/2), px(y), stroke.colour, px(stroke.thick))
	}
}

func (b Bars) known() []Group {
	var groups []Group
	for _, g := range b.Groups {
		g.Bars = slices.DeleteFunc(slices.Clone(g.Bars), func(bar Bar) bool { return !bar.known() })
		if len(g.Bars) > 0 {
			groups = append(groups, g)
		}
	}
	return groups
}

// words tells every figure.
func (b Bars) words(groups []Group) string {
	var w strings.Builder
	w.WriteString(b.Unit + ".")
	for _, g := range groups {
		var each []string
		for _, bar := range g.Bars {
			each = append(each, bar.Name+" "+bar.words())
		}
		w.WriteString(" " + g.Name + ": " + strings.Join(each, ", ") + "." + spaced(g.Note))
	}
	return w.String()
}

// spaced sets a text off from what stands before it.
func spaced(text string) string {
	if text == "" {
		return ""
	}
	return " " + text
}
