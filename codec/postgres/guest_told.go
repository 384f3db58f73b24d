package postgres

// ApplicationName is how the client calls itself at present, as far as it has been told.
func (g *guest) ApplicationName() string {
	if g.told == nil {
		return ""
	}
	return firstOf(g.told.get(applicationName))
}

// Counts is the number of Parse and Bind messages that the client has sent and that were acted on.
func (g *guest) Counts() (parses, binds uint64) { return g.parses, g.binds }
