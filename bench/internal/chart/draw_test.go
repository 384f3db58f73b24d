package chart

import (
	"math"
	"strconv"
	"testing"
)

// number reads a measure of an element.
func number(t *testing.T, e element, attr string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(e.attrs[attr], 64)
	if err != nil {
		t.Fatalf("%s of %v: %v", attr, e, err)
	}
	return v
}

// TestBarsAreInProportion: a bar twice as long stands for twice the figure, in every group.
func TestBarsAreInProportion(t *testing.T) {
	svg := Bars{Groups: []Group{
		{"one", "", []Bar{{"floor", Figure{Value: 10}}, {"sluice", Figure{Value: 20}}}},
		{"two", "", []Bar{{"sluice", Figure{Value: 5}}}},
	}}.SVG()
	var lengths []float64
	for _, e := range elements(t, svg) {
		if e.name == "rect" && e.attrs["fill"] != ground {
			lengths = append(lengths, number(t, e, "width"))
		}
	}
	if len(lengths) != 3 || math.Abs(lengths[1]-2*lengths[0]) > 0.3 || math.Abs(lengths[1]-4*lengths[2]) > 0.5 {
		t.Errorf("bars of 10, 20 and 5 are %v long", lengths)
	}
}

// TestEverythingIsInside: whatever the figures are, nothing is drawn beyond the chart's edges.
func TestEverythingIsInside(t *testing.T) {
	for name, draw := range charts {
		var height float64
		for _, e := range elements(t, draw()) {
			if e.name == "svg" {
				height = number(t, e, "height")
			}
			for attr, most := range map[string]float64{"x": width, "cx": width, "x1": width, "x2": width, "y": height, "cy": height, "y1": height, "y2": height} {
				if _, ok := e.attrs[attr]; !ok {
					continue
				}
				if v := number(t, e, attr); v < 0 || v > most {
					t.Errorf("%s: %s of %v is outside of 0 to %v", name, attr, e, most)
				}
			}
		}
	}
}

// TestLegendWraps: more entries than a line holds go on in the next.
func TestLegendWraps(t *testing.T) {
	entries := make([]legendEntry, 20)
	for i := range entries {
		entries[i].text = "contender " + strconv.Itoa(i)
	}
	places, height := legendPlaces(entries)
	for i, p := range places {
		if right := p.x + 14 + textWidth(entries[i].text, textSize); right > width-margin {
			t.Errorf("%s ends at %v", entries[i].text, right)
		}
	}
	if height < 3*legendSpace || places[19].y != height-legendSpace {
		t.Errorf("%v high, the last at %v", height, places[19].y)
	}
}

// TestLooks: each contender has colours of its own that show on the ground, in whatever chart it is.
func TestLooks(t *testing.T) {
	colours := map[string]string{}
	for name, l := range looks {
		if other, ok := colours[l.colour]; ok {
			t.Errorf("%s and %s have the same colour", name, other)
		}
		colours[l.colour] = name
		if c := contrast(t, l.colour); c < 3 {
			t.Errorf("%s: contrast %.1f to the ground; want 3", name, c)
		}
	}
	for _, l := range spareLooks {
		if other, ok := colours[l.colour]; ok {
			t.Errorf("the spare colour %s is that of %s", l.colour, other)
		}
		if c := contrast(t, l.colour); c < 3 {
			t.Errorf("spare %s: contrast %.1f to the ground; want 3", l.colour, c)
		}
	}
	given := looksOf([]string{"one", "sluice", "one", "two"})
	if given["sluice"] != looks["sluice"] || given["one"] != spareLooks[0] || given["two"] != spareLooks[1] {
		t.Errorf("got %v", given)
	}
}

// contrast is a colour's to white: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
func contrast(t *testing.T, colour string) float64 {
	t.Helper()
	rgb, err := strconv.ParseUint(colour[1:], 16, 24)
	if err != nil {
		t.Fatal(err)
	}
	channel := func(shift uint) float64 {
		v := float64(rgb>>shift&0xff) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 1.05 / (0.2126*channel(16) + 0.7152*channel(8) + 0.0722*channel(0) + 0.05)
}

// TestLegendOfDots names the marks that occur, and no other.
func TestLegendOfDots(t *testing.T) {
	svg := Dots{Marks: []string{"p50", "p99", "p99.9"}, Groups: []DotGroup{{Name: "one", Rows: []DotRow{
		{"haproxy", []Figure{{Value: 1}, {}, {}}}, {"sluice", []Figure{{Value: 1}, {Value: 2}}}}}}}.SVG()
	seen := map[string]bool{}
	for _, e := range elements(t, svg) {
		if e.name == "text" {
			seen[e.text] = true
		}
	}
	if !seen["p50"] || !seen["p99"] || seen["p99.9"] {
		t.Errorf("the chart says %v", seen)
	}
}
