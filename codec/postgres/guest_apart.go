package postgres

import (
	"bytes"

	"sluice/codec"
)

// apartStmts are the client's statements that are not shared: they are too long, or none are shared. A server
// knows them by the client's own names, so that the session is bound to its host while there are any.
type apartStmts struct {
	names map[string]struct{} // their keys
	words words               // of the texts of all that there have been
}

// keySize is the number of bytes of a statement's name that count. A server finds statements by a key
// of NAMEDATALEN bytes, the last of which is a NUL:
// https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS.
const keySize = 63

// key is what of a statement's name counts.
func key(name []byte) []byte { return name[:min(len(name), keySize)] }

// find returns the client's statement of that name, or nil.
func (g *guest) find(name []byte) *named { return g.names[string(key(name))] }

// isApart tells whether the client has a statement of that name that is not shared.
func (g *guest) isApart(name []byte) bool {
	_, ok := g.apart.names[string(key(name))]
	return ok
}

// setApart enters a statement that is not shared.
func (g *guest) setApart(n *named) {
	if g.apart.names == nil {
		g.apart.names = make(map[string]struct{})
	}
	g.apart.names[n.name] = struct{}{}
	g.pins |= pinAlone
}

// dropApart takes a statement that is not shared off. Behind the last one nothing of the kind binds the
// session.
func (g *guest) dropApart(name string) {
	delete(g.apart.names, name)
	if len(g.apart.names) == 0 {
		g.forgetApart()
	}
}

// forgetApart takes all of them off.
func (g *guest) forgetApart() {
	g.apart = apartStmts{}
	g.pins &^= pinAlone
}

// parseAlone passes a Parse on that is not shared.
func (g *guest) parseAlone(r *request, name []byte, next int) (codec.Need, error) {
	if bytes.HasPrefix(name, []byte(namePrefix)) {
		return codec.NeedBytes, codec.Error{Cond: codec.LimitOfClient, Text: `names of prepared statements that begin with "` + namePrefix + `" are reserved here`}
	}
	d := debt{Code: oweParse}
	if len(name) > 0 {
		if old := g.find(name); old != nil {
			return g.parseAgain(r, old, name, next)
		}
		if !g.host.sure(g.closed) {
			return g.wait(g.closed), nil
		}
		if !g.isApart(name) { // else the server says so
			d.Ref.named = &named{name: string(key(name)), apart: true}
			g.setApart(d.Ref.named)
		}
	} else {
		g.forgetUnnamed()
		g.large = true
	}
	g.enterGroup(statement('P', r.m[headerSize:]))
	g.scanner.start(g.words)
	g.scanner.feed(r.m[next:])
	if g.scan, g.later = !r.whole(), !r.whole(); !g.scan {
		g.scannedApart()
	}
	return codec.NeedBytes, g.host.ask(d)
}

// scannedApart takes what the text of a statement says that is not shared. It counts at each Bind.
func (g *guest) scannedApart() {
	g.apart.words |= g.scanned() & (wordLook | wordUnsure)
}

// boundApart is called when a statement that is not shared may be run.
func (g *guest) boundApart() { g.suspect |= g.apart.words }

// closeApart acts on a Close, or DEALLOCATE, of a statement that is not shared. It returns what the
// server owes for it.
func (g *guest) closeApart(name []byte, code byte) debt {
	n := &named{name: string(key(name)), apart: true}
	delete(g.apart.names, n.name)
	if len(g.apart.names) == 0 {
		g.pins &^= pinAlone
	}
	g.closed = g.host.sent
	return debt{Code: code, Ref: owing{named: n}}
}
