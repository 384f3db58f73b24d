package tidb

import (
	"sluice/upstream"

	"go.uber.org/zap"
)

// Options say how the TiDB servers of a cluster are found: an upstream.Discovery. They are not changed once given.
type Options struct {
	PD PD
	// ZoneLabel is the label that holds a server's zone; "" = none does.
	ZoneLabel string
	// Keyspaces has the servers of all keyspaces found too.
	Keyspaces bool
	// Register has Sluice listed in PD; nil = it is not.
	Register *Registration
	// Log is told when PD does not answer, and of servers that make no sense; nil = nobody is.
	Log *zap.Logger
}

// Start begins to look for servers.
func (o *Options) Start(c upstream.Finds) upstream.Finder { return start(o, c) }

// same tells whether there is nothing to do for a change from o to p.
func (o *Options) same(p *Options) bool {
	return o.PD.same(&p.PD) && o.ZoneLabel == p.ZoneLabel && o.Keyspaces == p.Keyspaces && o.Register.same(p.Register)
}

func (o *Options) logger() *zap.Logger {
	if o.Log == nil {
		return zap.NewNop()
	}
	return o.Log
}
