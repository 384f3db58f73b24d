package conf

import "fmt"

// RequestLog says which requests get a line in the log: none, all, or those that took at least some
// time. In text: "off", "all", or a duration.
type RequestLog struct {
	On      bool
	AtLeast Duration // with On: the least time that counts; 0 = all
}

// String returns the form that is read.
func (l RequestLog) String() string {
	switch {
	case !l.On:
		return "off"
	case l.AtLeast == 0:
		return "all"
	}
	return l.AtLeast.String()
}

// MarshalText is String.
func (l RequestLog) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what String writes.
func (l *RequestLog) UnmarshalText(text []byte) error {
	switch string(text) {
	case "off":
		*l = RequestLog{}
		return nil
	case "all":
		*l = RequestLog{On: true}
		return nil
	}
	var d Duration
	if err := d.UnmarshalText(text); err != nil {
		return fmt.Errorf("%q is not %s", text, l.wants())
	}
	*l = RequestLog{On: true, AtLeast: d}
	return nil
}

func (*RequestLog) wants() string { return `"off", "all" or a duration such as "250ms"` }
