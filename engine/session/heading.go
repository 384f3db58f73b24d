package session

import (
	"errors"
	"net/netip"
	"time"

	"sluice/codec"
	"sluice/codec/proxyproto"
	"sluice/engine"
)

// Heading says whether clients come through proxies that name them by a PROXY header.
type Heading uint8

const (
	HeadingOff     Heading = iota // what comes is the client's own
	HeadingAccept                 // who is believed may send one
	HeadingRequire                // all clients come from who is believed, with one
)

// heading is what a client has sent that is to be named by a proxy. It stands in front of the login, whose
// time-out covers it.
type heading struct {
	got   []byte // never more than proxyproto.Max and one read
	timer engine.Timer
}

// silence is how long a client that may come with a header is silent until it is taken for one that has none: where
// the server speaks first such a client would wait for ever. Proxies send the header at once.
const silence = time.Second

// errDirect is why a client is refused that has not come through a proxy that is believed.
var errDirect = codec.Error{Cond: codec.HostDenied, Text: "this host is not allowed to connect"}

// believes tells whether a header from that address is believed.
func (set *Settings) believes(addr netip.Addr) bool {
	return set.Heading != HeadingOff && within(set.HeadingFrom, addr)
}

// awaitHeading waits for the header.
func (s *Session) awaitHeading() {
	if s.set.Heading == HeadingAccept {
		h := s.in.heading
		h.timer.Fn = func() {
			if len(h.got) == 0 {
				s.headed(nil)
			}
		}
		s.on.loop.Arm(&h.timer, silence)
	}
}

// headingBytes takes bytes of a client that has yet to be named.
func (s *Session) headingBytes(p []byte) {
	h := s.in.heading
	h.got = append(h.got, p...)
	head, n, err := proxyproto.Parse(h.got)
	switch {
	case errors.Is(err, proxyproto.ErrNone) && s.set.Heading == HeadingAccept:
		s.headed(h.got)
	case err != nil:
		s.end(ClientProtocol, nil, err)
	case n > 0:
		if head.Known() {
			o := s.origin
			o.proxy, o.to, s.from = s.from, head.To, head.From
		}
		s.headed(h.got[n:])
	}
}

// headed begins the login of a client of which is known now who it is. rest has come behind the header.
func (s *Session) headed(rest []byte) {
	in := s.in
	s.on.loop.Disarm(&in.heading.timer)
	in.heading = nil
	if in.refusal == nil {
		in.refusal = s.set.denial(s.from.Addr())
	}
	if in.refusal == nil {
		in.refusal = s.enter(false)
	}
	s.start()
	if len(rest) > 0 && s.stage == stageLogin {
		s.loginBytes(codec.Client, rest)
	}
}

// introduce tells a server that has just been connected to whose the session is, if its cluster is to be told.
func (s *Session) introduce(c *engine.Conn) {
	if !s.cluster.Options().Introduce {
		return
	}
	to := addrPort(s.client.LocalAddr())
	if s.origin != nil && s.origin.to.IsValid() {
		to = s.origin.to
	}
	s.on.buf = proxyproto.Append(s.on.buf[:0], s.from, to)
	c.Write(s.on.buf)
}
