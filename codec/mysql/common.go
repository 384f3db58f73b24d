package mysql

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"sluice/codec"
)

var _ codec.Greeter = Protocol{}

// Common returns a greeting with what servers with those greetings have in common: the flags of all, the oldest
// version, and the plugin if it is the same. Id and salt are zeros.
func (Protocol) Common(greetings [][]byte) []byte {
	var c greeting
	var version, oldest []byte
	for _, b := range greetings {
		g, ok := parseGreeting(b)
		if !ok {
			continue
		}
		version = b[1 : g.at-1]
		if c.b == nil {
			c, oldest = g, version
			continue
		}
		either := (c.caps | g.caps) & capLongPassword // one of them has no extended flags
		c.caps, c.ext = c.caps&g.caps|either, c.ext&g.ext
		if c.plugin != g.plugin {
			c.plugin = nativePlugin
		}
		if older(version, oldest) {
			oldest, c.b, c.at = version, g.b, g.at
		}
	}
	if c.b == nil {
		return nil
	}
	return c.compose(oldest)
}

// compose builds a greeting without id and salt, with the flags that can be followed.
func (g *greeting) compose(version []byte) []byte {
	caps, ext := g.caps&knownCaps|capPluginAuth, g.ext&knownExts
	if caps&capLongPassword != 0 {
		ext = 0
	}
	b := append(append([]byte{10}, version...), 0)
	b = append(b, make([]byte, 4+8+1)...)
	b = binary.LittleEndian.AppendUint16(b, uint16(caps))
	b = append(b, g.b[g.at+greetingCollation], statusAutocommit, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(caps>>16))
	b = append(b, saltLen+1, 0, 0, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, ext)
	b = append(b, make([]byte, saltLen-8+1)...)
	return append(append(b, g.plugin...), 0)
}

// greetingCollation is where it stands behind greeting.at.
const greetingCollation = 15 // [1 byte]

// setSalt puts a salt into a greeting that has place for one of the usual length.
func (g *greeting) setSalt(salt [saltLen]byte) {
	f := g.b[g.at:]
	copy(f[greetingSalt:], salt[:8])
	copy(f[greetingSalt2:], salt[8:])
	g.salt = bytes.Clone(salt[:])
}

// replicationHack stands in front of a MariaDB's version, as old replicas want it.
//
// https://mariadb.com/kb/en/version/
const replicationHack = "5.5.5-"

// older tells whether one version is older than another, by their numbers.
func older(a, b []byte) bool {
	x, y := numbers(a), numbers(b)
	if c := slices.Compare(x, y); c != 0 {
		return c < 0
	}
	return cmp.Compare(string(a), string(b)) < 0
}

// numbers are those with which a version begins.
func numbers(version []byte) (list []int) {
	for part := range strings.SplitSeq(strings.TrimPrefix(string(version), replicationHack), ".") {
		end := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(part)
		}
		n, err := strconv.Atoi(part[:end])
		if err != nil {
			return list
		}
		if list = append(list, n); end < len(part) {
			return list
		}
	}
	return list
}

// Greeting is the server's, without id and salt, so that it is the same as long as the server is.
func (p *probe) Greeting() []byte { return p.greeting }

// hear keeps a greeting.
func (p *probe) hear(g greeting) {
	g.b = bytes.Clone(g.b)
	g.setID(0)
	if len(g.salt) == saltLen {
		g.setSalt([saltLen]byte{})
	}
	p.greeting = g.b
}

var _ codec.Greeted = (*probe)(nil)
