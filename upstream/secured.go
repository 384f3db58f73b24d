package upstream

import (
	"bytes"
	"crypto/tls"
	"slices"
)

// TLSChanges counts how often the TLS towards the backends has changed: connections from before are to be
// replaced. Files that were read again and hold the same are no change.
func (c *Cluster) TLSChanges() uint64 { return c.tlsChanges.Load() }

// noteTLS compares the TLS of new options with that in force. The caller has the lock.
func (c *Cluster) noteTLS(opt *Options) {
	if old := c.opt.Load(); old != nil && (old.TLSMode != opt.TLSMode || !sameTLS(old.TLS, opt.TLS)) {
		c.tlsChanges.Add(1)
	}
}

// sameTLS tells whether two configurations for connections to backends show and trust the same.
func sameTLS(a, b *tls.Config) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.ServerName == b.ServerName && a.RootCAs.Equal(b.RootCAs) &&
		slices.EqualFunc(a.Certificates, b.Certificates, func(x, y tls.Certificate) bool {
			return slices.EqualFunc(x.Certificate, y.Certificate, bytes.Equal)
		})
}
