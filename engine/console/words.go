package console

import (
	"strings"
	"unicode"
)

// word is one word of a command.
type word struct {
	text   string
	quoted bool // by ' or ": then it is a name or a value and never a keyword
}

// is tells whether the word is that keyword, which is given in capitals.
func (w word) is(keyword string) bool { return !w.quoted && strings.EqualFold(w.text, keyword) }

// marks are characters that are words by themselves.
const marks = "=(),*;"

// words takes a command apart; ok is false if a quote does not end. Semicolons around it are dropped, and
// so are comments: the rest of a line behind --.
func words(text string) (list []word, ok bool) {
	for {
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
		switch {
		case text == "":
			return trimmed(list), true
		case strings.HasPrefix(text, "--"):
			_, text, _ = strings.Cut(text, "\n")
		case text[0] == '\'' || text[0] == '"':
			w, rest, ended := unquote(text)
			if !ended {
				return nil, false
			}
			list, text = append(list, word{w, true}), rest
		case strings.IndexByte(marks, text[0]) >= 0:
			list, text = append(list, word{text: text[:1]}), text[1:]
		default:
			n := strings.IndexFunc(text, func(r rune) bool {
				return unicode.IsSpace(r) || strings.ContainsRune(marks+`'"`, r)
			})
			if n < 0 {
				n = len(text)
			}
			list, text = append(list, word{text: text[:n]}), text[n:]
		}
	}
}

// trimmed is the list without semicolons at its ends. One between words stays, as a word that no command
// has.
func trimmed(list []word) []word {
	for len(list) > 0 && list[0].is(";") {
		list = list[1:]
	}
	for len(list) > 0 && list[len(list)-1].is(";") {
		list = list[:len(list)-1]
	}
	return list
}

// unquote takes the quoted word off that text begins with; a doubled quote in it stands for one.
func unquote(text string) (w, rest string, ended bool) {
	q := text[0]
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] != q:
			b.WriteByte(text[i])
		case i+1 < len(text) && text[i+1] == q:
			b.WriteByte(q)
			i++
		default:
			return b.String(), text[i+1:], true
		}
	}
	return "", "", false
}
