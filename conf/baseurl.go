package conf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// BaseURL is where an HTTP server is: a scheme, a host, perhaps a port. It is kept in one form for all its
// spellings: small letters, no slash at the end, and no port that is the scheme's own.
type BaseURL string

// String returns the URL.
func (b BaseURL) String() string { return string(b) }

// UnmarshalText reads a URL. One that holds more than a server's place is refused: the paths that are asked
// for are Sluice's own, and credentials have keys of theirs.
func (b *BaseURL) UnmarshalText(text []byte) error {
	canonical, err := baseURL(string(text))
	if err != nil {
		return err
	}
	*b = BaseURL(canonical)
	return nil
}

func (*BaseURL) wants() string { return `a URL such as "http://10.0.0.1:8008"` }

// https tells whether the server is spoken to by TLS.
func (b BaseURL) https() bool { return strings.HasPrefix(string(b), "https:") }

// ownPorts are the ports that the schemes mean where none is given.
var ownPorts = map[string]string{"http": "80", "https": "443"}

func baseURL(s string) (string, error) {
	scheme, _, _ := strings.Cut(strings.ToLower(s), "://")
	if ownPorts[scheme] == "" {
		return "", fmt.Errorf("%q does not begin with http:// or https://", s)
	}
	u, err := url.Parse(s)
	if err != nil {
		var bad *url.Error
		if errors.As(err, &bad) {
			err = bad.Err // the text around it says what was parsed, which may be a password
		}
		return "", fmt.Errorf("is no URL: %w", err)
	}
	if u.User != nil {
		return "", errors.New("holds credentials: they stand in user and password")
	}
	if u.Hostname() == "" {
		return "", fmt.Errorf("%q has no host", s)
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", fmt.Errorf("%q holds more than scheme, host and port", s)
	}
	host, err := hostOf(u)
	if err != nil {
		return "", err
	}
	return scheme + "://" + host, nil
}

// hostOf returns a URL's host and port, in one form for all spellings.
func hostOf(u *url.URL) (string, error) {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	ip, err := netip.ParseAddr(host)
	switch {
	case err == nil:
		host = strings.Replace(ip.Unmap().String(), "%", "%25", 1) // a zone, https://www.rfc-editor.org/rfc/rfc6874
	case !isHostName(host):
		return "", fmt.Errorf("%q is neither an IP address nor a host name", host)
	}
	if n, err := strconv.Atoi(port); port != "" && (err != nil || n < 1 || n > 65535) {
		return "", fmt.Errorf("port %q is not a number from 1 to 65535", port)
	} else if port != "" {
		port = strconv.Itoa(n)
	}
	if port == "" || port == ownPorts[strings.ToLower(u.Scheme)] {
		if strings.Contains(host, ":") {
			return "[" + host + "]", nil
		}
		return host, nil
	}
	return net.JoinHostPort(host, port), nil
}
