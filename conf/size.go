package conf

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, never negative. In text it is a whole number, or one with a unit.
type Size int64

// sizeUnits are the units of a Size, the largest first so that String finds the shortest form.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"TB", 1e12},
	{"GiB", 1 << 30}, {"GB", 1e9},
	{"MiB", 1 << 20}, {"MB", 1e6},
	{"KiB", 1 << 10}, {"KB", 1e3},
	{"B", 1},
}

// String returns s with the largest unit that needs no fraction.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if u.bytes > 1 && s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText is String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads "65536", "64KiB", "64 KiB" or "64KB"; units may be in small letters.
func (s *Size) UnmarshalText(text []byte) error {
	number, unit := string(text), int64(1)
	for _, u := range sizeUnits {
		if n := len(number) - len(u.name); n > 0 && strings.EqualFold(number[n:], u.name) {
			number, unit = strings.TrimRight(number[:n], " "), u.bytes
			break
		}
	}
	if number == "" || strings.Trim(number, "0123456789") != "" {
		return fmt.Errorf("%q is not %s", text, s.wants())
	}
	v, err := strconv.ParseInt(number, 10, 64)
	if err != nil || v > math.MaxInt64/unit {
		return fmt.Errorf("%q is too large", text)
	}
	*s = Size(v * unit)
	return nil
}

func (s *Size) setInt(v int64) error {
	if v < 0 {
		return fmt.Errorf("%d is negative", v)
	}
	*s = Size(v)
	return nil
}

func (*Size) wants() string { return `a size such as "64KiB", "16MB" or a number of bytes` }
