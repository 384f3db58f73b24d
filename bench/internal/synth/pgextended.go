package synth

// The extended query of PostgreSQL's protocol.
//
// https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY

// statementsMax is how many statements one client may have prepared.
const statementsMax = 1024

// find returns a prepared statement, nil if there is none of that name.
func (p *pgServer) find(name []byte) *statement {
	if len(name) == 0 {
		return p.unnamed
	}
	return p.named[string(name)]
}

func (p *pgServer) parse(c *cursor, r *reply) error {
	name, text := c.text(), c.text()
	c.take(4 * c.uint16()) // types of parameters: all of them are taken as text
	if c.bad {
		return nil
	}
	s := prepared(text)
	switch {
	case s.verb == verbUnknown:
		return errSelect
	case len(name) == 0:
		p.unnamed = s
	case len(p.named) >= statementsMax:
		return errStatement
	case p.named == nil:
		p.named = map[string]*statement{}
		fallthrough
	default:
		p.named[string(name)] = s
	}
	r.out = append(r.out, '1', 0, 0, 0, 4)
	return nil
}

func (p *pgServer) bind(c *cursor, r *reply) error {
	portal, name := c.text(), c.text()
	c.take(2 * c.uint16()) // formats of parameters: of a text they are all the same
	n := c.uint16()
	var values [2][]byte
	for i := range n {
		v := c.take(int(int32(c.uint32())))
		if i < len(values) {
			values[i] = v
		}
		if c.bad {
			return nil
		}
	}
	c.take(2 * c.uint16()) // formats of the result, of which the same is true
	s := p.find(name)
	switch {
	case c.bad:
		return nil
	case len(portal) > 0:
		return errPortal
	case s == nil:
		return errStatement
	case n != s.params:
		return errParameter
	}
	if err := p.portal.set(s, values[0], values[1]); err != nil {
		return err
	}
	r.out = append(r.out, '2', 0, 0, 0, 4)
	return nil
}

func (p *pgServer) describe(c *cursor, r *reply) error {
	kind, name := c.byte(), c.text()
	s := p.portal.statement
	if kind == 'S' {
		s = p.find(name)
	} else if len(name) > 0 {
		return errPortal
	}
	switch {
	case c.bad:
		return nil
	case s == nil:
		return errStatement
	}
	if kind == 'S' {
		r.out = append(r.out, 't', 0, 0, 0, byte(4+2+4*s.params), 0, byte(s.params))
		for range s.params {
			r.out = append(r.out, 0, 0, 0, pgTextOID)
		}
	}
	if s.verb == verbSelect {
		r.out = append(r.out, pgColumn...)
	} else {
		r.out = append(r.out, 'n', 0, 0, 0, 4)
	}
	return nil
}

func (p *pgServer) execute(c *cursor, r *reply) error {
	name, rowLimit := c.text(), c.uint32()
	o := &p.portal
	switch {
	case c.bad:
		return nil
	case len(name) > 0 || rowLimit > 0:
		return errPortal
	case o.statement == nil:
		return errStatement
	case o.statement.verb == verbSelect:
		p.extended = true
		p.result(r, o.number[:o.digits], o.size)
	default:
		p.done(r, &o.statement.question)
	}
	return nil
}

// forget closes a statement or portal; one that does not exist is closed, too.
func (p *pgServer) forget(c *cursor, r *reply) error {
	kind, name := c.byte(), c.text()
	switch {
	case c.bad:
		return nil
	case kind == 'P':
		p.portal = portal{}
	case len(name) == 0:
		p.unnamed = nil
	default:
		delete(p.named, string(name))
	}
	r.out = append(r.out, '3', 0, 0, 0, 4)
	return nil
}
