package postgres

import "sluice/codec"

// expose has the server know those statements of the client's by the client's own names that a text
// speaks of: one that is passed on as it is, because there is more in it than one command. From then on
// they are not shared.
func (g *guest) expose(text []byte, r *request) (v survey, err error) {
	if len(g.names) == 0 || g.host.tx == codec.TxFailed {
		return surveyText(text, nil), nil
	}
	v = surveyText(text, func(name []byte) {
		if n := g.find(name); n != nil && err == nil {
			err = g.exposeOne(n, r)
		}
	})
	return v, err
}

// exposeOne has the server know one statement by the client's name for it.
func (g *guest) exposeOne(n *named, r *request) error {
	h, t := g.host, r.s.t
	if n.st.sql > 0 && g.group {
		return nil // a Query would end the group; the server says that it does not know the name
	}
	r.s.cut(r.at)
	delete(g.names, n.name)
	own := &named{name: n.name, apart: true}
	g.setApart(own)
	g.executed(n.st)
	g.apart.words |= g.suspect & (wordLook | wordUnsure)
	h.parses++
	d := debt{Act: codec.OwedSwallow, Code: oweParse, Ref: owing{named: own, st: n.st}, Flag: flagInstead}
	defer g.shelf.release(n.st)
	if n.st.sql > 0 {
		d.Code = oweQuery
		t.Server.End(appendQuery(t.Server.Begin(), n.st.prepareAs(quoted(n.name))))
		return h.ask(d)
	}
	t.Server.End(appendParse(t.Server.Begin(), n.name, n.st.tail))
	if err := h.ask(d); err != nil || g.group {
		return err
	}
	t.Server.AppendString(syncMessage)
	return h.ask(debt{Act: codec.OwedSwallow, Code: oweSync})
}

// unexpose takes exposeOne back: the server did not do it.
func (g *guest) unexpose(d *debt) {
	name := d.Ref.named.name
	g.dropApart(name)
	if g.find([]byte(name)) == nil {
		g.shelf.use(d.Ref.st)
		g.name(&named{name: name, st: d.Ref.st})
	}
}

// quoted is a name in double quotes.
func quoted(name string) string {
	b := make([]byte, 0, len(name)+2)
	b = append(b, '"')
	for i := range len(name) {
		if name[i] == '"' {
			b = append(b, '"')
		}
		b = append(b, name[i])
	}
	return string(append(b, '"'))
}
