package postgres

// ApplicationName is how the client calls itself at present, as far as it has been told.
func (g *guest) ApplicationName() string {
	if g.told == nil {
		return ""
	}
	return firstOf(g.told.get(applicationName))
}
