package postgres

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
)

// Types of the parameters of prepared statements are told by OID. Those of the server's own have the same ones
// everywhere; the others have names that are the same, and OIDs that need not be.

// firstOwn is the first OID of what has been made in a database.
//
// https://www.postgresql.org/docs/current/system-catalog-initial-data.html#SYSTEM-CATALOG-OID-ASSIGNMENT
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

// typeOIDs are the OIDs at the new server of types of the database's own, by their names with schemas.
type typeOIDs map[string]uint32

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
		dst = append(appendText(dst, name), ')')
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

// withTypes returns a Parse with the OIDs of the database's own types replaced. ok is false if one of them is not to be
// had at the new server.
func (s *sessionState) withTypes(raw []byte, types typeOIDs) (there []byte, ok bool) {
	there = bytes.Clone(raw)
	for oids := parseTypes(there); len(oids) > 0; oids = oids[4:] {
		oid := binary.BigEndian.Uint32(oids)
		if oid < firstOwn {
			continue
		}
		if oid = types[s.names[oid]]; oid == 0 {
			return nil, false
		}
		binary.BigEndian.PutUint32(oids, oid)
	}
	return there, true
}

// typesKnown tells whether the names of all types in a Parse are known.
func (s *sessionState) typesKnown(raw []byte) bool {
	for _, oid := range ownTypes(raw) {
		if s.names[oid] == "" {
			return false
		}
	}
	return true
}
