package chart

// rows is what Bars and Dots share: named rows in groups above a common axis.
type rows struct {
	title, below string
	subject      string // the row whose name is bold
	groups       []rowGroup
	legend       []legendEntry
}

type rowGroup struct {
	name  string
	note  string // a line of its own below the name; "" = none
	names []string
}

// Heights in pixels.
const (
	groupSpace = 26.0 // a group's name
	noteSpace  = 15.0
	rowSpace   = 19.0
	axisSpace  = 40.0
)

// nameSpaceMax bounds the column of the names: what is longer is cut by the edge of the chart.
const nameSpaceMax = 200.0

func (r rows) height() float64 {
	h := r.top() + axisSpace
	for _, g := range r.groups {
		h += g.headSpace() + rowSpace*float64(len(g.names))
	}
	return h
}

// headSpace is the height of what stands above a group's rows.
func (g rowGroup) headSpace() float64 {
	if g.note != "" {
		return groupSpace + noteSpace
	}
	return groupSpace
}

// top is where the first group begins.
func (r rows) top() float64 {
	if len(r.legend) > 0 {
		return headSpace + legendSpace
	}
	return headSpace
}

// left is where figures begin: right of all names.
func (r rows) left() float64 {
	space := 0.0
	for _, g := range r.groups {
		for _, name := range g.names {
			space = max(space, textWidth(name, textSize))
		}
	}
	return margin + min(space, nameSpaceMax) + 8
}

// names are those of all rows, in order, with repetitions.
func (r rows) names() []string {
	var all []string
	for _, g := range r.groups {
		all = append(all, g.names...)
	}
	return all
}

// draw writes all but the figures, and calls row for each with the middle of its height.
func (r rows) draw(c *canvas, x scale, row func(group, index int, y float64)) {
	c.head(r.title, r.below)
	c.legend(r.legend, headSpace+6)
	y := r.top()
	bottom := r.height() - axisSpace + 6
	for _, tick := range x.ticks {
		c.line(x.at(tick), y, x.at(tick), bottom, grid, 1)
		c.text(x.at(tick), bottom+15, lettering{size: smallSize, colour: faint, anchor: "middle"}, tickText(tick))
	}
	for g, group := range r.groups {
		c.text(margin, y+groupSpace-9, lettering{bold: true}, group.name)
		if group.note != "" {
			c.text(margin, y+groupSpace+noteSpace-10, lettering{size: smallSize, colour: faint}, group.note)
		}
		y += group.headSpace()
		for i, name := range group.names {
			c.text(x.start-8, y+rowSpace/2+4, lettering{anchor: "end", bold: name == r.subject}, name)
			row(g, i, y+rowSpace/2)
			y += rowSpace
		}
	}
}
