package suite

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
)

// version is the first two numbers of a program's version; the zero value stands for none.
type version struct{ major, minor int }

// String writes it with a dot.
func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// before reports whether v is older than w.
func (v version) before(w version) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

var versionNumbers = regexp.MustCompile(`(\d{1,6})\.(\d{1,6})`)

// parseVersion finds the version in what a program says of itself.
func parseVersion(text string) (v version, ok bool) {
	m := versionNumbers.FindStringSubmatch(text)
	if m == nil {
		return v, false
	}
	v.major, _ = strconv.Atoi(m[1]) // at most six digits
	v.minor, _ = strconv.Atoi(m[2])
	return v, true
}

// known is a contender with what its program tells of its version: one that is too old for prepared
// statements in a funnel takes no part there, and the report says so.
func (r *run) known(ctx context.Context, c Contender, program string) Contender {
	if c.preparedFrom == (version{}) {
		return c
	}
	text := versionOf(ctx, program, "--version")
	if v, ok := parseVersion(text); ok && !v.before(c.preparedFrom) {
		return c
	}
	c.unprepared = true
	for _, x := range r.cells() {
		if x.Pool > 0 && x.Prepared {
			r.report.note(fmt.Sprintf("%s knows no prepared statements over shared server connections (%v does), so it takes no part in loads of a funnel that use them: "+
				"there Sluice is to be compared with its own figures for the other protocols.", text, c.preparedFrom))
			break
		}
	}
	return c
}
