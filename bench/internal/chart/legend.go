package chart

// legendEntry is a mark and what it stands for.
type legendEntry struct {
	text   string
	mark   mark
	colour string
	bold   bool
}

const legendSpace = 22.0 // height of one line of a legend, pixels

// legend writes entries side by side from the left, in as many lines as they take, the first around
// y. It returns the height of all lines.
func (c *canvas) legend(entries []legendEntry, y float64) float64 {
	places, height := legendPlaces(entries)
	for i, e := range entries {
		at := places[i]
		c.mark(e.mark, at.x+4, y+at.y, e.colour)
		c.text(at.x+14, y+at.y+4, lettering{bold: e.bold}, e.text)
	}
	return height
}

type place struct{ x, y float64 }

// legendPlaces lays out a legend. y counts from its first line.
func legendPlaces(entries []legendEntry) (places []place, height float64) {
	x, y := margin, 0.0
	for _, e := range entries {
		space := 14 + textWidth(e.text, textSize) + 14
		if x > margin && x+space > width-margin {
			x, y = margin, y+legendSpace
		}
		places = append(places, place{x, y})
		x += space
	}
	if len(entries) == 0 {
		return nil, 0
	}
	return places, y + legendSpace
}
