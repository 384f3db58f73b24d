package postgres

import (
	"errors"
	"fmt"
	"strings"

	"sluice/codec"
)

// parseOptions reads the startup parameter "options", the server's command line: settings in the
// forms -c name=value, -cname=value and --name=value. Other switches change how a server process
// works, and a shared one does not change for a client.
//
// https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS
func parseOptions(options string) (settings []codec.Param, err error) {
	words := splitOptions(options)
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		var text string
		switch {
		case word == "-c" && len(words) == 0:
			return nil, errors.New("option requires an argument -- 'c'")
		case word == "-c":
			text, words = words[0], words[1:]
		case strings.HasPrefix(word, "-c"):
			text = word[2:]
		case strings.HasPrefix(word, "--") && len(word) > 2:
			text = word[2:]
		default:
			return nil, fmt.Errorf("%q in the options of a connection is not supported: only -c and -- are",
				shorten(word))
		}
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q in the options of a connection requires a name and a value",
				shorten(word+" "+text))
		}
		// As on the server's command line, a dash may stand for an underscore.
		name = strings.ReplaceAll(name, "-", "_")
		settings = append(settings, codec.Param{Name: name, Value: value})
	}
	return settings, nil
}

// splitOptions cuts at white space. A backslash takes away the meaning of what follows; quotes have
// none.
func splitOptions(options string) (words []string) {
	var word strings.Builder
	var open, escaped bool // a word is open; a backslash stands before this byte
	for i := range len(options) {
		b := options[i]
		switch {
		case !escaped && b == '\\':
			open, escaped = true, true
			continue
		case !escaped && isOptionSpace(b):
			if open {
				words = append(words, word.String())
				word.Reset()
			}
			open = false
			continue
		}
		word.WriteByte(b)
		open, escaped = true, false
	}
	if open {
		words = append(words, word.String())
	}
	return words
}

// isOptionSpace is C's isspace.
func isOptionSpace(b byte) bool { return b == ' ' || '\t' <= b && b <= '\r' }

// shorten cuts what a client sent to a length that fits an error.
func shorten(s string) string { return cutText([]byte(s), 60) }
