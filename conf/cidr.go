package conf

import (
	"fmt"
	"net/netip"
)

// CIDR is a network: "10.0.0.0/8", "2001:db8::/32", or one address without a length.
type CIDR struct{ netip.Prefix }

// UnmarshalText reads a network. Bits behind the prefix are refused: they are a sign that another
// length was meant.
func (c *CIDR) UnmarshalText(text []byte) error {
	s := string(text)
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		c.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return fmt.Errorf("%q is not %s", text, c.wants())
	}
	if p != p.Masked() {
		return fmt.Errorf("%q has bits behind its prefix: the network is %v, the address alone %v",
			text, p.Masked(), p.Addr())
	}
	c.Prefix = p
	return nil
}

func (*CIDR) wants() string { return `a network such as "10.0.0.0/8", or an address` }
