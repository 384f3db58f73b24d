package postgres

import "sluice/codec"

// command acts on a Query that is one of the commands that concern what Sluice keeps for the client.
func (g *guest) command(r *request, text []byte, w words) (done bool, need codec.Need, err error) {
	return false, codec.NeedBytes, nil
}

// bound looks at a Bind of a statement whose text names no settings, since they are its parameters.
func (g *guest) bound(r *request, st *stmt, at int) (more int, need codec.Need) {
	return 0, codec.NeedBytes
}
