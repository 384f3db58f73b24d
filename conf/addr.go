package conf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// addr is a host:port taken apart.
type addr struct {
	host string
	ip   netip.Addr // of host, if it is an address; "localhost" counts as 127.0.0.1
	port int
}

// hostMax is the longest name that DNS knows, see https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4.
const hostMax = 253

// parseAddr reads an address to listen on, or to dial: that one needs a host and a port.
func parseAddr(s string, dial bool) (addr, error) {
	if s == "" {
		return addr{}, errors.New("is missing")
	}
	host, port, err := splitHostPort(s)
	if err != nil {
		return addr{}, err
	}
	a := addr{host: host}
	least := 0
	if dial {
		least = 1
	}
	if a.port, err = strconv.Atoi(port); err != nil || a.port < least || a.port > 65535 || port != strconv.Itoa(a.port) {
		return addr{}, fmt.Errorf("%q: port %q is not a number from %d to 65535", s, port, least)
	}
	if host == "" && dial {
		return addr{}, fmt.Errorf("%q has no host", s)
	}
	if a.ip, err = netip.ParseAddr(host); err == nil {
		a.ip = a.ip.Unmap()
		return a, nil
	}
	if host == "localhost" {
		a.ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		return a, nil
	}
	if host != "" && !dial {
		return addr{}, fmt.Errorf("%q: %q is not an IP address, nor localhost, nor empty for all addresses", s, host)
	}
	if !isHostName(host) && dial {
		return addr{}, fmt.Errorf("%q: %q is neither an IP address nor a host name", s, host)
	}
	return a, nil
}

func splitHostPort(s string) (host, port string, err error) {
	if host, port, err = net.SplitHostPort(s); err == nil {
		return host, port, nil
	}
	if strings.Count(s, ":") > 1 && !strings.HasPrefix(s, "[") {
		return "", "", fmt.Errorf(`%q: an IPv6 address stands in brackets, as in "[::1]:3306"`, s)
	}
	if !strings.Contains(s, ":") || strings.HasSuffix(s, "]") {
		return "", "", fmt.Errorf("%q has no port", s)
	}
	return "", "", fmt.Errorf("%q is not of the form host:port", s)
}

// isHostName tells whether s can be a name in DNS or in a hosts file. Underscores are common there,
// although no standard has them.
func isHostName(s string) bool {
	if s == "" || len(s) > hostMax {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || checkName(label, true) != nil {
			return false
		}
	}
	return true
}

// String returns the address in one form for all its spellings.
func (a addr) String() string {
	host := strings.ToLower(a.host)
	if a.ip.IsValid() {
		host = a.ip.String()
	}
	return net.JoinHostPort(host, strconv.Itoa(a.port))
}

// loopback tells whether a listening address can be reached from this machine alone.
func (a addr) loopback() bool { return a.ip.IsValid() && a.ip.IsLoopback() }

// conflicts tells whether two listening sockets can't be open at one time.
func (a addr) conflicts(b addr, aV6Only, bV6Only bool) bool {
	if a.port == 0 || a.port != b.port {
		return false
	}
	a4, a6 := a.families(aV6Only)
	b4, b6 := b.families(bV6Only)
	if !(a4 && b4) && !(a6 && b6) {
		return false
	}
	return a.isAll() || b.isAll() || a.ip == b.ip
}

// isAll tells whether the address means every address of the machine.
func (a addr) isAll() bool { return a.host == "" || a.ip.IsUnspecified() }

// families tells which families of clients the address takes.
func (a addr) families(v6Only bool) (v4, v6 bool) {
	switch {
	case a.host == "" || a.ip == netip.IPv6Unspecified():
		return !v6Only, true
	case a.ip.Is4():
		return true, false
	}
	return false, true
}
