package postgres

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
)

// Types of the parameters of prepared statements are told by OID. Those of the server's own have the same ones
// everywhere; the others have names that are the same, and OIDs that need not be.

// firstOwn is firstOwnType as a number.
const firstOwn = 16384

// parseTypes returns the place of the OIDs of parameters in a whole Parse.
func parseTypes(raw []byte) []byte {
	if len(raw) < headerSize {
		return nil
	}
	_, rest, _ := bytes.Cut(raw[headerSize:], []byte{0})
	_, rest, _ = bytes.Cut(rest, []byte{0})
	if len(rest) < 2 {
		return nil
	}
	n := int(binary.BigEndian.Uint16(rest))
	if rest = rest[2:]; len(rest) < 4*n {
		return nil
	}
	return rest[:4*n]
}

// ownTypes are the OIDs of types of the database's own in a whole Parse.
func ownTypes(raw []byte) (list []uint32) {
	for oids := parseTypes(raw); len(oids) > 0; oids = oids[4:] {
		if oid := binary.BigEndian.Uint32(oids); oid >= firstOwn && !slices.Contains(list, oid) {
			list = append(list, oid)
		}
	}
	return list
}

// typeOIDs are the OIDs at one server of types by their names with schemas, in hex. A number stands for itself.
type typeOIDs map[string]uint32

// of returns the OID of a type; 0 if there is no such type.
func (m typeOIDs) of(name string) uint32 {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil && n < firstOwn {
		return uint32(n)
	}
	return m[name]
}

// ownNames are the names of types in a state that have to be looked up.
func (s *sessionState) ownNames() (list []string) {
	seen := typeOIDs{}
	put := func(names []string) {
		for _, n := range names {
			if seen.of(n) == 0 && n != "" {
				seen[n] = firstOwn
				list = append(list, n)
			}
		}
	}
	put(s.types)
	for _, p := range s.statements {
		put(p.types)
	}
	return list
}

// appendLookup appends the question for the OIDs of types: rows with a number and an OID, or NULL.
//
// https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-CATALOG
func appendLookup(dst []byte, names []string) []byte {
	dst = append(dst, "SELECT n.i,pg_catalog.to_regtype(n.t)::pg_catalog.oid FROM(VALUES"...)
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '(')
		dst = strconv.AppendInt(dst, int64(i), 10)
		dst = append(dst, ',')
		raw, _ := hex.DecodeString(name) // it was made by encode()
		dst = append(appendText(dst, string(raw)), ')')
	}
	return append(dst, ")n(i,t)"...)
}

// takeType takes a row of the answer.
func (m typeOIDs) takeType(body []byte, names []string) bool {
	var cols [2][]byte
	if !readRow(body, cols[:]) {
		return false
	}
	i, err := strconv.Atoi(string(cols[0]))
	oid, err2 := strconv.ParseUint(string(cols[1]), 10, 32)
	if err != nil || err2 != nil || i < 0 || i >= len(names) {
		return false
	}
	m[names[i]] = uint32(oid)
	return true
}

// withTypes returns a Parse with the OIDs of own types replaced: those of the list by those of their names.
func withTypes(raw []byte, own []uint32, names []string, m typeOIDs) []byte {
	raw = bytes.Clone(raw)
	for oids := parseTypes(raw); len(oids) > 0; oids = oids[4:] {
		if i := slices.Index(own, binary.BigEndian.Uint32(oids)); i >= 0 {
			binary.BigEndian.PutUint32(oids, m.of(names[i]))
		}
	}
	return raw
}
