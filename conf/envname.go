package conf

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

const (
	varPrefix   = "SLUICE_"
	reservedVar = "SLUICE_CONFIG" // names the file, see Path
)

// variable is an environment variable that sets a key.
type variable struct {
	name, value string
	path        []string // of the key: "listener", "0", "tls", "mode"
}

// ourVars returns the variables that start with the prefix, without those that other programs set.
func ourVars(env []string) []variable {
	var ours []variable
	for _, s := range env {
		name, value, _ := strings.Cut(s, "=")
		if !strings.HasPrefix(name, varPrefix) || name == reservedVar {
			continue
		}
		path := resolve(reflect.TypeFor[Config](), name[len(varPrefix):])
		if path == nil && isServiceLink(name, value) {
			continue
		}
		ours = append(ours, variable{name, value, path})
	}
	return ours
}

// serviceLink matches the variables that Kubernetes gives every container for a service whose name
// begins with "sluice".
//
// https://kubernetes.io/docs/concepts/containers/container-environment/#cluster-information
var serviceLink = regexp.MustCompile(
	`^SLUICE_(\w+_)??(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?|(PORT))$`)

func isServiceLink(name, value string) bool {
	m := serviceLink.FindStringSubmatch(name)
	if m == nil {
		return false
	}
	return m[len(m)-1] == "" || strings.Contains(value, "://") // a bare …_PORT is a URL
}

func lookup(env []string, name string) string {
	for _, s := range env {
		if value, ok := strings.CutPrefix(s, name+"="); ok {
			return value
		}
	}
	return ""
}

// resolve finds the key that a variable's name stands for, without the prefix; nil if there is none.
// A name is read from the left: at each table the keys are compared whole, so that "TLS_MODE" is mode
// in tls, and a key with a dash of its own is found as well.
func resolve(t reflect.Type, name string) []string {
	for _, f := range fieldsOf(t) {
		if name == f.variable() && !isTable(f.typ) && (!isTables(f.typ) || f.typ == backendsType) {
			return []string{f.key}
		}
		rest, ok := strings.CutPrefix(name, f.variable()+"_")
		if !ok {
			continue
		}
		path, in := []string{f.key}, f.typ
		if isTables(f.typ) {
			index, after, _ := strings.Cut(rest, "_")
			if n, err := strconv.Atoi(index); err != nil || strconv.Itoa(n) != index || n < 0 {
				continue
			}
			path, rest, in = append(path, index), after, f.typ.Elem()
		}
		if !isTable(in) {
			continue
		}
		if tail := resolve(in, rest); tail != nil {
			return append(path, tail...)
		}
	}
	return nil
}

// variables lists all names that are known, with the numbers that unknown has in it.
func variables(unknown string) []string {
	numbers := []string{}
	for part := range strings.SplitSeq(unknown, "_") {
		if _, err := strconv.Atoi(part); err == nil {
			numbers = append(numbers, part)
		}
	}
	return appendVariables(nil, varPrefix, reflect.TypeFor[Config](), numbers)
}

func appendVariables(names []string, prefix string, t reflect.Type, numbers []string) []string {
	for _, f := range fieldsOf(t) {
		name := prefix + f.variable()
		if isTable(f.typ) {
			names = appendVariables(names, name+"_", f.typ, numbers)
			continue
		}
		if f.typ == backendsType || !isTables(f.typ) {
			names = append(names, name)
		}
		if isTables(f.typ) {
			number, rest := "0", numbers
			if len(numbers) > 0 {
				number, rest = numbers[0], numbers[1:]
			}
			names = appendVariables(names, name+"_"+number+"_", f.typ.Elem(), rest)
		}
	}
	return names
}
