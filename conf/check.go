package conf

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Check returns all that is wrong with c, as Errors, or nil. It fills in the defaults that depend on
// other keys, the roles of a listener, and has words whose case is ignored in small letters. Load and Parse have done it already.
func (c *Config) Check() error {
	return c.problems(map[string]bool{}).sorted()
}

// problems checks c; paths in bad have been found wrong before and get no second word.
func (c *Config) problems(bad map[string]bool) Errors {
	k := &checker{at: c.at, bad: bad}
	walk("", valueOf(c), k.tags)
	k.rules(c)
	return k.found
}

// checker gathers what is wrong with values that could be read.
type checker struct {
	at    map[string]position
	bad   map[string]bool
	found Errors
}

func (k *checker) problem(path, format string, args ...any) {
	if !k.isBad(path) {
		k.bad[path] = true
		k.found = append(k.found, problemAt(k.at, path, fmt.Sprintf(format, args...)))
	}
}

// isBad tells whether a problem of the value at path, or of a table it is in, has been told.
func (k *checker) isBad(path string) bool {
	for part := path; part != ""; part = part[:max(strings.LastIndexByte(part, '.'), 0)] {
		if k.bad[part] {
			return true
		}
	}
	return false
}

// walk calls visit for each value that is no table, with its path and its field.
func walk(path string, v reflect.Value, visit func(path string, f field, v reflect.Value)) {
	for _, f := range fieldsOf(v.Type()) {
		at, x := join(path, f.key), v.Field(f.index)
		switch {
		case isTable(f.typ):
			walk(at, x, visit)
		case isTables(f.typ):
			for i := range x.Len() {
				walk(join(at, strconv.Itoa(i)), x.Index(i), visit)
			}
		case f.typ.Kind() == reflect.Slice:
			for i := range x.Len() {
				visit(join(at, strconv.Itoa(i)), f, x.Index(i))
			}
		default:
			visit(at, f, x)
		}
	}
}

// tags checks one value against the rules of its field.
func (k *checker) tags(path string, f field, v reflect.Value) {
	if v.Kind() == reflect.String && strings.ContainsRune(v.String(), 0) {
		k.problem(path, "holds a zero byte")
		return
	}
	if f.tag.Get("case") == "ignored" {
		v.SetString(strings.ToLower(v.String()))
	}
	var err error
	if rule := f.tag.Get("range"); rule != "" {
		err = checkRange(v, rule)
	}
	if words := f.tag.Get("oneof"); words != "" {
		err = checkOneOf(v.String(), f, strings.Fields(words))
	}
	if use := f.tag.Get("addr"); use != "" && (v.String() != "" || use == "dial") {
		_, err = parseAddr(v.String(), use != "listen")
	}
	if use := f.tag.Get("name"); use != "" {
		err = checkName(v.String(), use == "need")
	}
	if err != nil {
		k.problem(path, "%s", err)
	}
}

// checkRange checks a number, size or duration against "least..greatest" or "0|least..greatest".
func checkRange(v reflect.Value, rule string) error {
	bounds, zeroToo := strings.CutPrefix(rule, "0|")
	low, high, _ := strings.Cut(bounds, "..")
	if zeroToo && v.Int() == 0 {
		return nil
	}
	if v.Int() >= bound(v.Type(), low) && v.Int() <= bound(v.Type(), high) {
		return nil
	}
	or := ""
	if zeroToo {
		or = "0 or "
	}
	return fmt.Errorf("%v is not %sin %s to %s", v.Interface(), or, low, high)
}

// bound reads one end of a range, in the type that it bounds.
func bound(t reflect.Type, s string) int64 {
	v := reflect.New(t).Elem()
	if err := setText(v, s); err != nil {
		panic("conf: a range tag holds " + strconv.Quote(s))
	}
	return v.Int()
}

func checkOneOf(s string, f field, words []string) error {
	if slices.Contains(words, s) {
		return nil
	}
	if s == "" {
		return fmt.Errorf("is missing: one of %s", strings.Join(words, ", "))
	}
	return fmt.Errorf("%q is not one of %s%s", s, strings.Join(words, ", "), didYouMean(s, words))
}

// nameMax bounds names, as they stand in metrics and log lines.
const nameMax = 64

func checkName(s string, need bool) error {
	if s == "" && !need {
		return nil
	}
	if s == "" {
		return errors.New("is missing")
	}
	if len(s) > nameMax {
		return fmt.Errorf("has %d bytes, more than %d", len(s), nameMax)
	}
	for _, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("._-", rune(c)) {
			return fmt.Errorf("%q holds more than letters, digits, '.', '_' and '-'", s)
		}
	}
	return nil
}
