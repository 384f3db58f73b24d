package conf

import (
	"fmt"
	"strconv"
	"strings"
)

// PortRange is some TCP ports: "6000-6010", or one of them. The zero value is none.
type PortRange struct{ First, Last int }

// String returns the form that is read.
func (p PortRange) String() string {
	switch {
	case p == PortRange{}:
		return ""
	case p.First == p.Last:
		return strconv.Itoa(p.First)
	}
	return strconv.Itoa(p.First) + "-" + strconv.Itoa(p.Last)
}

// Has tells whether a port is among them.
func (p PortRange) Has(port int) bool { return p.Len() > 0 && p.First <= port && port <= p.Last }

// Len is their number.
func (p PortRange) Len() int {
	if p == (PortRange{}) {
		return 0
	}
	return p.Last - p.First + 1
}

// overlaps tells whether two ranges have a port in common.
func (p PortRange) overlaps(q PortRange) bool {
	return p.Len() > 0 && q.Len() > 0 && p.First <= q.Last && q.First <= p.Last
}

// MarshalText is String.
func (p PortRange) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what String writes.
func (p *PortRange) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*p = PortRange{}
		return nil
	}
	low, high, two := strings.Cut(string(text), "-")
	if !two {
		high = low
	}
	first, ok1 := port(low)
	last, ok2 := port(high)
	if !ok1 || !ok2 || first > last {
		return fmt.Errorf("%q is not %s", text, p.wants())
	}
	*p = PortRange{first, last}
	return nil
}

// setInt reads one port that is written as a number.
func (p *PortRange) setInt(n int64) error { return p.UnmarshalText([]byte(strconv.FormatInt(n, 10))) }

func port(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 1 && n <= 65535 && strconv.Itoa(n) == s
}

func (*PortRange) wants() string { return `ports such as "6000-6010", or one port` }
