package upstream

// Metering is how the figures of a cluster's backends become known: what is configured for it.
type Metering interface {
	// Start begins to read figures and adds them to c's backends. It does not block.
	Start(c *Cluster) Meter
}

// Meter is a Metering at work. Its methods may be called from any goroutine.
type Meter interface {
	// Update goes on by another configuration, if it is of the same kind; false: it can't.
	Update(m Metering) bool
	// Close ends it. No figure is added behind it.
	Close()
}

// meterBy has m at work; nil: nothing. Only Update and Close call it, one at a time.
func (c *Cluster) meterBy(m Metering) {
	if c.meter != nil && m != nil && c.meter.Update(m) {
		return
	}
	if c.meter != nil {
		c.meter.Close()
		c.meter = nil
	}
	if m != nil {
		c.meter = m.Start(c)
	}
}
