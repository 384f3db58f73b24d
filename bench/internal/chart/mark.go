package chart

import "fmt"

// mark is the shape of a point.
type mark uint8

const (
	circle mark = iota
	square
	diamond
	triangle
	wedge // a triangle that points down
)

// mark draws a point. All shapes have about the same area.
func (c *canvas) mark(m mark, x, y float64, colour string) {
	const r = 4.0
	if m == circle {
		c.add(`<circle cx="%s" cy="%s" r="%s" fill="%s"/>`, px(x), px(y), px(r), colour)
		return
	}
	c.add(`<path d="%s" fill="%s"/>`, outline(m, x, y, r), colour)
}

// outline is the path around a shape that is not round.
func outline(m mark, x, y, r float64) string {
	at := func(dx, dy float64) string { return px(x+dx*r) + "," + px(y+dy*r) }
	switch m {
	case square:
		return fmt.Sprintf("M%sL%sL%sL%sZ", at(-0.9, -0.9), at(0.9, -0.9), at(0.9, 0.9), at(-0.9, 0.9))
	case diamond:
		return fmt.Sprintf("M%sL%sL%sL%sZ", at(0, -1.3), at(1.3, 0), at(0, 1.3), at(-1.3, 0))
	case triangle:
		return fmt.Sprintf("M%sL%sL%sZ", at(0, -1.2), at(1.2, 0.9), at(-1.2, 0.9))
	case wedge:
		return fmt.Sprintf("M%sL%sL%sZ", at(0, 1.2), at(1.2, -0.9), at(-1.2, -0.9))
	}
	panic(fmt.Sprintf("chart: mark %d has no outline", m))
}
