package upstream

import (
	"bytes"

	"sluice/codec"
	"sluice/codec/proxyproto"
)

// localHeading says that a connection is Sluice's own.
var localHeading = proxyproto.AppendLocal(nil)

// Introduction is what comes first on a connection of Sluice's own to a backend, so that nobody takes it for a
// client's; nil if backends are not told whose a connection is.
func (o *Options) Introduction() []byte {
	if !o.Introduce {
		return nil
	}
	return localHeading
}

// hear keeps the greeting that a check has heard.
func (b *Backend) hear(p codec.Probe) {
	g, ok := p.(codec.Greeted)
	if !ok {
		return
	}
	now := g.Greeting()
	if old := b.greeting.Load(); now != nil && (old == nil || !bytes.Equal(*old, now)) {
		b.greeting.Store(&now)
	}
}

// Greeting is the greeting of the backend's server that its checks have heard last, in the form that
// codec.Greeter wants; nil if none was.
func (b *Backend) Greeting() []byte {
	if g := b.greeting.Load(); g != nil {
		return *g
	}
	return nil
}
