package chart

import (
	"slices"
	"strings"
)

// Lines is a chart of figures over a count, such as a number of clients, in panels. The count has a
// logarithmic axis, figures one that begins at 0.
type Lines struct {
	Title   string
	Count   string // what is counted
	Subject string
	Panels  []Panel
}

// Panel is one figure of all contenders.
type Panel struct {
	Name  string // what the figure is, with its unit
	Lines []Line
}

// Line is one contender.
type Line struct {
	Name   string
	Points []Point // in ascending order of Count
}

// Point is a figure at one count.
type Point struct {
	Count float64
	Figure
}

// Measures of a panel in pixels.
const (
	panelHead  = 30.0 // its name
	panelPlot  = 190.0
	panelFoot  = 44.0 // counts and what they are
	panelScale = 44.0 // numbers left of the plot
)

// SVG draws the chart. Points that are not known, lines without any other and panels without lines are
// left out.
func (l Lines) SVG() []byte {
	panels := l.known()
	names := namesOf(panels)
	given := looksOf(names)
	var legend []legendEntry
	for _, name := range names {
		legend = append(legend, legendEntry{text: name, mark: given[name].mark, colour: given[name].colour, bold: name == l.Subject})
	}
	_, legendHeight := legendPlaces(legend)
	across := min(2, max(1, len(panels)))
	down := (len(panels) + across - 1) / across
	top := headSpace + legendHeight
	c := newCanvas(top+float64(down)*(panelHead+panelPlot+panelFoot), l.Title, l.words(panels))
	below := "Over " + l.Count
	if spread(panels) {
		below += ". Mark: median; whisker: least to most."
	}
	c.head(l.Title, below)
	c.legend(legend, headSpace+6)
	broad := (width - margin*float64(across+1)) / float64(across)
	for i, p := range panels {
		left := margin + float64(i%across)*(broad+margin)
		c.panel(p, l.Count, given, left, left+broad, top+float64(i/across)*(panelHead+panelPlot+panelFoot))
	}
	return c.done()
}

// panel draws one panel below y.
func (c *canvas) panel(p Panel, count string, given map[string]look, left, right, y float64) {
	var at []float64
	most := 0.0
	for _, line := range p.Lines {
		for _, point := range line.Points {
			at, most = append(at, point.Count), max(most, point.most())
		}
	}
	top, bottom := y+panelHead, y+panelHead+panelPlot
	const inset = 16 // between the plot's edges and its first and last count
	horizontal := counts(at, left+panelScale+inset, right-inset)
	vertical := linear(most, 6, bottom, top)
	c.text(left, y+17, lettering{bold: true}, p.Name)
	for _, tick := range vertical.ticks {
		c.line(left+panelScale, vertical.at(tick), right, vertical.at(tick), grid, 1)
		c.text(left+panelScale-6, vertical.at(tick)+4, lettering{size: smallSize, colour: faint, anchor: "end"}, tickText(tick))
	}
	for _, tick := range horizontal.ticks {
		c.line(horizontal.at(tick), bottom, horizontal.at(tick), bottom+4, faint, 1)
		c.text(horizontal.at(tick), bottom+16, lettering{size: smallSize, colour: faint, anchor: "middle"}, tickText(tick))
	}
	c.text((left+panelScale+right)/2, bottom+32, lettering{size: smallSize, colour: faint, anchor: "middle"}, count)
	for i, line := range p.Lines {
		// Side by side, so that whiskers at one count do not hide each other.
		const step = 2.5
		shift := (float64(i) - float64(len(p.Lines)-1)/2) * step
		c.series(line, given[line.Name], horizontal, vertical, shift)
	}
}

// series draws one contender's line.
func (c *canvas) series(l Line, as look, horizontal, vertical scale, shift float64) {
	var path strings.Builder
	for i, p := range l.Points {
		x, y := horizontal.at(p.Count)+shift, vertical.at(p.Value)
		if p.spread() {
			c.line(x, vertical.at(p.Min), x, vertical.at(p.Max), as.colour, 1)
		}
		if i == 0 {
			path.WriteString("M")
		} else {
			path.WriteString("L")
		}
		path.WriteString(px(x) + "," + px(y))
	}
	c.add(`<path d="%s" fill="none" stroke="%s" stroke-width="1.6" stroke-linejoin="round"/>`, path.String(), as.colour)
	for _, p := range l.Points {
		c.mark(as.mark, horizontal.at(p.Count)+shift, vertical.at(p.Value), as.colour)
	}
}

func (l Lines) known() []Panel {
	var panels []Panel
	for _, p := range l.Panels {
		var lines []Line
		for _, line := range p.Lines {
			line.Points = slices.DeleteFunc(slices.Clone(line.Points), func(p Point) bool { return !p.known() || !known(p.Count) })
			if len(line.Points) > 0 {
				lines = append(lines, line)
			}
		}
		if len(lines) > 0 {
			panels = append(panels, Panel{p.Name, lines})
		}
	}
	return panels
}

// namesOf are the contenders of all panels, each once, in order of appearance.
func namesOf(panels []Panel) []string {
	var names []string
	for _, p := range panels {
		for _, line := range p.Lines {
			if !slices.Contains(names, line.Name) {
				names = append(names, line.Name)
			}
		}
	}
	return names
}

func spread(panels []Panel) bool {
	for _, p := range panels {
		for _, line := range p.Lines {
			if slices.ContainsFunc(line.Points, func(p Point) bool { return p.spread() }) {
				return true
			}
		}
	}
	return false
}

// words tells every figure.
func (l Lines) words(panels []Panel) string {
	var w strings.Builder
	w.WriteString("Over " + l.Count + ".")
	for _, p := range panels {
		var each []string
		for _, line := range p.Lines {
			text := line.Name
			for i, point := range line.Points {
				if i > 0 {
					text += ";"
				}
				text += " at " + tickText(point.Count) + ": " + point.words()
			}
			each = append(each, text)
		}
		w.WriteString(" " + p.Name + ": " + strings.Join(each, ", ") + ".")
	}
	return w.String()
}
