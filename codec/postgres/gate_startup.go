package postgres

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"sluice/codec"
)

// begin takes the StartupMessage.
func (g *gate) begin(packet []byte) codec.Op {
	params, ok := parseParams(packet)
	if !ok {
		return g.refuse(codec.Error{Cond: codec.ProtocolError,
			Text: "the startup packet's list of parameters is not well formed"})
	}
	g.in = bytes.Clone(g.in)
	var unknown []string // options of the protocol
	var settings []codec.Param
	for _, p := range params {
		switch {
		case p.Name == "user":
			g.user = p.Value
		case p.Name == "database":
			g.database = p.Value
		case p.Name == "options":
			list, err := parseOptions(p.Value)
			if err != nil {
				return g.refuseAs("42601", codec.Error{Cond: codec.ProtocolError, Text: err.Error()})
			}
			g.settings = list // the last options count, as in the server
		case p.Name == "replication":
			if g.special, ok = replication(p.Value); !ok {
				return g.refuseAs("22023", codec.Error{Cond: codec.ProtocolError,
					Text: fmt.Sprintf("invalid value for parameter \"%s\": \"%s\"", p.Name, shorten(p.Value)),
					Hint: `Valid values are: "false", 0, "true", 1, "database".`})
			}
		case strings.HasPrefix(p.Name, "_pq_."):
			unknown = append(unknown, p.Name)
		default:
			settings = append(settings, p)
		}
	}
	g.settings = append(g.settings, settings...)
	if g.user == "" {
		return g.refuseAs("28000", codec.Error{Cond: codec.ProtocolError,
			Text: "no PostgreSQL user name specified in startup packet"})
	}
	if g.database == "" {
		g.database = g.user
	}
	g.agree(binary.BigEndian.Uint16(packet[6:]), unknown)
	g.stage = gateIdentify
	return g.checkEarly(codec.OpIdentify)
}

// agree settles the protocol's version. A client that asks for a newer one than is spoken here, or
// for options of the protocol, of which none is known here, is told so, once.
//
// https://www.postgresql.org/docs/current/protocol-message-formats.html
func (g *gate) agree(minor uint16, unknown []string) {
	g.minor = min(minor, minorLatest)
	if minor <= minorLatest && len(unknown) == 0 {
		return
	}
	start := len(g.out)
	g.out = append(g.out, msgNegotiate, 0, 0, 0, 0)
	g.out = binary.BigEndian.AppendUint32(g.out, 3<<16|uint32(g.minor))
	g.out = binary.BigEndian.AppendUint32(g.out, uint32(len(unknown)))
	for _, name := range unknown {
		g.out = append(append(g.out, name...), 0)
	}
	binary.BigEndian.PutUint32(g.out[start+1:], uint32(len(g.out)-start-1))
}

// replication reads that parameter: a truth value in the server's many spellings, or "database".
//
// https://www.postgresql.org/docs/current/protocol-replication.html
func replication(value string) (special codec.Param, ok bool) {
	if value == "database" {
		return codec.Param{Name: "replication", Value: value}, true
	}
	yes, ok := truth(value)
	if yes {
		special = codec.Param{Name: "replication", Value: "true"}
	}
	return special, ok
}

// truth reads a boolean as the server does: any beginning of a word that tells it from the others,
// in any case.
//
// https://www.postgresql.org/docs/current/datatype-boolean.html
func truth(value string) (yes, ok bool) {
	v := strings.ToLower(value)
	switch {
	case v == "":
		return false, false
	case strings.HasPrefix("true", v), strings.HasPrefix("yes", v), v == "on", v == "1":
		return true, true
	case strings.HasPrefix("false", v), strings.HasPrefix("no", v), v == "of", v == "off", v == "0":
		return false, true
	}
	return false, false
}
