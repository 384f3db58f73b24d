package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
)

// print prints an answer of the console: its table, or the words for it.
func (c *ctl) print(a *consoleAnswer) error {
	switch {
	case c.json && a.Columns != nil:
		return c.printJSON(a.objects())
	case c.json:
		return c.printJSON(a)
	case a.Columns != nil:
		return c.printTable(a)
	case a.Notice != "":
		_, err := fmt.Fprintln(c.out, a.Notice)
		return err
	}
	_, err := fmt.Fprintln(c.out, a.Tag)
	return err
}

// printJSON prints one value.
func (c *ctl) printJSON(v any) error {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printTable prints aligned columns. What has no value is empty.
func (c *ctl) printTable(a *consoleAnswer) error {
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	names := make([]string, len(a.Columns))
	for i, column := range a.Columns {
		names[i] = column.Name
	}
	fmt.Fprintln(w, strings.Join(names, "\t"))
	for _, row := range a.Rows {
		for i, v := range row {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			if v != nil {
				fmt.Fprint(w, printable.Replace(fmt.Sprint(v)))
			}
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// printable keeps a value on its line and in its column: names are the clients' own words, which must
// not move the cursor of an operator's terminal.
var printable = func() *strings.Replacer {
	var pairs []string
	for c := range rune(0x20) {
		pairs = append(pairs, string(c), "?")
	}
	for c := rune(0x7f); c < 0xa0; c++ {
		pairs = append(pairs, string(c), "?")
	}
	return strings.NewReplacer(pairs...)
}()
