package conf

// Secret is a password. It prints and marshals as stars, so that it does not get into a log or an
// answer by accident; string(s) is the password itself.
type Secret string

const stars = "********"

// String returns stars, or "" where no secret is set.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return stars
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText is String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
