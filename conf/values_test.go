package conf

import (
	"encoding"
	"testing"
	"time"
)

// TestValues reads each kind of value from text, and writes it back in its shortest form.
func TestValues(t *testing.T) {
	tests := []struct {
		into interface {
			encoding.TextUnmarshaler
			String() string
		}
		text, want string // want "" = refused
	}{
		{new(Duration), "3s", "3s"},
		{new(Duration), "90s", "1m30s"},
		{new(Duration), "60m", "1h"},
		{new(Duration), "3600.5s", "1h0m0.5s"},
		{new(Duration), "10m", "10m"},
		{new(Duration), "0", "0s"},
		{new(Duration), "3", ""},
		{new(Duration), "-1ns", ""},
		{new(Duration), "", ""},
		{new(Duration), "9999999h", ""},

		{new(Size), "0", "0"},
		{new(Size), "65536", "64KiB"},
		{new(Size), "64KiB", "64KiB"},
		{new(Size), "64 kib", "64KiB"},
		{new(Size), "64KB", "64KB"},
		{new(Size), "1000MB", "1GB"},
		{new(Size), "1500B", "1500"},
		{new(Size), "2TiB", "2TiB"},
		{new(Size), "9223372036854775807", "9223372036854775807"},
		{new(Size), "9223372036854775808", ""},
		{new(Size), "8388608TiB", ""},
		{new(Size), "8388607TiB", "8388607TiB"},
		{new(Size), "1.5GiB", ""},
		{new(Size), "-1", ""},
		{new(Size), "+1", ""},
		{new(Size), "KiB", ""},
		{new(Size), "64K", ""},
		{new(Size), "", ""},

		{new(RequestLog), "off", "off"},
		{new(RequestLog), "all", "all"},
		{new(RequestLog), "0s", "all"},
		{new(RequestLog), "250ms", "250ms"},
		{new(RequestLog), "-1s", ""},
		{new(RequestLog), "on", ""},

		{new(Tag), "dc=one", "dc=one"},
		{new(Tag), "dc=a=b c", "dc=a=b c"},
		{new(Tag), "fast", "fast"},
		{new(Tag), "fast=true", "fast"},
		{new(Tag), "!fast", "!fast"},
		{new(Tag), "!dc=one", "!dc=one"},
		{new(Tag), "!!fast", ""},
		{new(Tag), "=one", ""},
		{new(Tag), "dc=", ""},
		{new(Tag), "a b=c", ""},
		{new(Tag), "!", ""},
		{new(Tag), "", ""},

		{new(BaseURL), "http://10.0.0.1:8008", "http://10.0.0.1:8008"},
		{new(BaseURL), "HTTP://Node-1.Example.:8008//", "http://node-1.example.:8008"},
		{new(BaseURL), "https://a", "https://a"},
		{new(BaseURL), "http://[FE80::1%25lo]:8008", "http://[fe80::1%25lo]:8008"},
		{new(BaseURL), "https://a:443/", "https://a"},
		{new(BaseURL), "http://a:443", "http://a:443"},
		{new(BaseURL), "http://a:080", "http://a"},
		{new(BaseURL), "http://[FD00:0::1]:8008", "http://[fd00::1]:8008"},
		{new(BaseURL), "http://[::1]", "http://[::1]"},
		{new(BaseURL), "http://[::ffff:10.0.0.1]:1", "http://10.0.0.1:1"},
		{new(BaseURL), "10.0.0.1:8008", ""},
		{new(BaseURL), "ftp://a", ""},
		{new(BaseURL), "http:a", ""},
		{new(BaseURL), "http://", ""},
		{new(BaseURL), "http://:8008", ""},
		{new(BaseURL), "http://a:0", ""},
		{new(BaseURL), "http://a:65536", ""},
		{new(BaseURL), "http://a:http", ""},
		{new(BaseURL), "http://a b", ""},
		{new(BaseURL), "http://-", "http://-"}, // what DNS knows is not for here to judge
		{new(BaseURL), "http://a/cluster", ""},
		{new(BaseURL), "http://a?x", ""},
		{new(BaseURL), "http://a/?", ""},
		{new(BaseURL), "http://a#x", ""},
		{new(BaseURL), "http://u:p@a", ""},
		{new(BaseURL), "", ""},

		{new(CIDR), "10.0.0.0/8", "10.0.0.0/8"},
		{new(CIDR), "10.1.2.3", "10.1.2.3/32"},
		{new(CIDR), "::1", "::1/128"},
		{new(CIDR), "2001:DB8::/32", "2001:db8::/32"},
		{new(CIDR), "::ffff:10.0.0.1", "10.0.0.1/32"},
		{new(CIDR), "0.0.0.0/0", "0.0.0.0/0"},
		{new(CIDR), "::ffff:10.0.0.0/104", ""},
		{new(CIDR), "fe80::1%eth0", ""},
		{new(CIDR), "10.0.0.0/33", ""},
		{new(CIDR), "10.0.0.1/8", ""},
		{new(CIDR), "10.0.0.0", "10.0.0.0/32"},
		{new(CIDR), "", ""},
	}
	for _, tt := range tests {
		err := tt.into.UnmarshalText([]byte(tt.text))
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("%T %q: got %v, want it refused", tt.into, tt.text, tt.into)
		case tt.want != "" && err != nil:
			t.Errorf("%T %q: %v", tt.into, tt.text, err)
		case tt.want != "" && tt.into.String() != tt.want:
			t.Errorf("%T %q: got %v, want %v", tt.into, tt.text, tt.into, tt.want)
		}
	}
	if got := Duration(3 * time.Second).Std(); got != 3*time.Second {
		t.Errorf("Std: got %v", got)
	}
}

// TestDidYouMean: a slip finds its word, a stranger finds none.
func TestDidYouMean(t *testing.T) {
	known := []string{"listen", "cluster", "max-connections", "tls"}
	for unknown, want := range map[string]string{
		"lisen":          "listen",
		"litsen":         "listen",
		"Listen":         "listen",
		"maxconnections": "max-connections",
		"tsl":            "tls",
		"clutser":        "cluster",
		"colour":         "",
		"":               "",
		"x":              "",
	} {
		if want != "" {
			want = ", did you mean " + want + "?"
		}
		if got := didYouMean(unknown, known); got != want {
			t.Errorf("%q: got %q, want %q", unknown, got, want)
		}
	}
}
