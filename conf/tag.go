package conf

import (
	"fmt"
	"strings"
)

// Tag is what a backend's tag of a name must be, or must not be. In text: "name=value", "name" for the
// value "true", and "!" before either for what must not be.
type Tag struct {
	Name, Value string
	Not         bool
}

// String returns the form that is read.
func (t Tag) String() string {
	s := t.Name
	if t.Not {
		s = "!" + s
	}
	if t.Value != "true" {
		s += "=" + t.Value
	}
	return s
}

// MarshalText is String.
func (t Tag) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what String writes.
func (t *Tag) UnmarshalText(text []byte) error {
	s, not := strings.CutPrefix(string(text), "!")
	name, value, given := strings.Cut(s, "=")
	if !given {
		value = "true"
	}
	if name == "" || value == "" || strings.ContainsAny(name, "! \t") {
		return fmt.Errorf("%q is not %s", text, t.wants())
	}
	*t = Tag{Name: name, Value: value, Not: not}
	return nil
}

func (*Tag) wants() string { return `a tag such as "name=value", "name", "!name=value" or "!name"` }
