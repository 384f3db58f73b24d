package main

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// wholeFile stands for the outermost table, which has no name.
const wholeFile = "the file"

// table reads a mapping whose keys are known. Others are noted: patroni_proxy passes over them without a word,
// so that a misspelt one has had no effect.
func (r *proxyReader) table(n *yaml.Node, at string, keys map[string]func(at string, n *yaml.Node)) {
	r.each(at, n, func(key given[string], value *yaml.Node) {
		read, known := keys[key.v]
		if !known {
			r.unknown = append(r.unknown, note{key.line, fmt.Sprintf("%s: patroni_proxy has no key %s: it is left out.", at, quoted(key.v))})
			return
		}
		if at == wholeFile {
			read(key.v, value)
			return
		}
		read(at+": "+key.v, value)
	})
}

// each calls visit for each pair of a mapping, in their order.
func (r *proxyReader) each(at string, n *yaml.Node, visit func(key given[string], value *yaml.Node)) {
	line := n.Line
	if n = meant(n); n.Kind != yaml.MappingNode {
		r.problem(line, "%s: is no table of keys and values", at)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := meant(n.Content[i])
		switch {
		case key.Kind != yaml.ScalarNode:
			r.problem(n.Content[i].Line, "%s: a key is no word", at)
		case seen[key.Value]:
			r.problem(key.Line, "%s: %q is there twice", at, key.Value)
		default:
			seen[key.Value] = true
			visit(given[string]{key.Value, n.Content[i].Line}, n.Content[i+1])
		}
	}
}

// meant follows an alias to what it stands for.
func meant(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return meant(n).Kind == yaml.ScalarNode && meant(n).Tag == "!!null" }

// text reads a string. A number or a switch without quotes is one too, as it was written.
func (r *proxyReader) text(at string, n *yaml.Node) given[string] {
	if meant(n).Kind != yaml.ScalarNode || isNull(n) {
		r.problem(n.Line, "%s: is no string", at)
		return given[string]{line: n.Line}
	}
	return given[string]{meant(n).Value, n.Line}
}

// mayText is text, or "" for null.
func (r *proxyReader) mayText(at string, n *yaml.Node) given[string] {
	if isNull(n) {
		return given[string]{line: n.Line}
	}
	return r.text(at, n)
}

// number reads a whole number that is not negative. A 0 in front makes it octal in YAML 1.1, and no number to
// patroni_proxy.
func (r *proxyReader) number(at string, n *yaml.Node) given[uint64] {
	v := given[uint64]{line: n.Line}
	if m := meant(n); m.Kind != yaml.ScalarNode || m.Tag != "!!int" || isOldOctal(m.Value) || m.Decode(&v.v) != nil {
		r.problem(n.Line, "%s: is no whole number from 0 up", at)
	}
	return v
}

func isOldOctal(s string) bool { return len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9' }

// list reads a sequence of strings.
func (r *proxyReader) list(at string, n *yaml.Node) []given[string] {
	var list []given[string]
	if meant(n).Kind != yaml.SequenceNode {
		r.problem(n.Line, "%s: is no list", at)
		return nil
	}
	for _, item := range meant(n).Content {
		list = append(list, r.text(at, item))
	}
	return list
}
