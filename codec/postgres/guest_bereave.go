package postgres

import "sluice/codec"

// Bereave parts the guest from its host, which is lost.
func (g *guest) Bereave(*codec.Turn) (again []byte, ok bool) { return nil, false }

// Withheld tells that the guest's client was not told what Ending says.
func (h *host) Withheld() bool { return false }
