package conf

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Rate is a number that may have a fraction: a ratio, or how many per second. It is not negative.
type Rate float64

// String returns the form that is read.
func (r Rate) String() string { return strconv.FormatFloat(float64(r), 'g', -1, 64) }

// UnmarshalText reads what String writes.
func (r *Rate) UnmarshalText(text []byte) error {
	if s := string(text); strings.Trim(s, "0123456789.") != "" {
		return fmt.Errorf("%q is not %s", s, r.wants())
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return fmt.Errorf("%q is not %s", text, r.wants())
	}
	return r.setFloat(v)
}

func (r *Rate) setInt(n int64) error { return r.setFloat(float64(n)) }

func (r *Rate) setFloat(v float64) error {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return fmt.Errorf("%v is not %s", v, r.wants())
	case v < 0:
		return errors.New("is negative")
	}
	*r = Rate(v)
	return nil
}

func (*Rate) wants() string { return `a number such as 1.2` }
