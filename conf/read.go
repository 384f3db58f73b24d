package conf

import (
	"encoding"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
)

// reader fills a Config and gathers what is wrong on the way.
type reader struct {
	dir      string              // the folder of the file
	at       map[string]position // where each value came from
	bad      map[string]bool     // paths that have a problem already
	problems Errors
}

func (r *reader) problem(path, text string) {
	r.problems = append(r.problems, problemAt(r.at, path, text))
	r.bad[path] = true
}

// table reads the keys of m into the struct v.
func (r *reader) table(path string, v reflect.Value, m map[string]any) {
	for _, f := range fieldsOf(v.Type()) {
		x, given := m[f.key]
		if !given {
			continue
		}
		if err := r.value(join(path, f.key), v.Field(f.index), x); err != nil {
			r.problem(join(path, f.key), err.Error())
		} else if f.tag.Get("file") != "" {
			inFolder(v.Field(f.index), r.dir)
		}
	}
	known := keysOf(v.Type())
	for key := range m {
		if slices.Contains(known, key) {
			continue
		}
		r.problem(join(path, key), "unknown key"+didYouMean(key, known))
	}
}

// inFolder makes a relative path one that is seen from dir.
func inFolder(v reflect.Value, dir string) {
	if s := v.String(); s != "" && !filepath.IsAbs(s) {
		v.SetString(filepath.Join(dir, s))
	}
}

// value reads x, as the TOML decoder gives it, into v.
func (r *reader) value(path string, v reflect.Value, x any) error {
	switch x := x.(type) {
	case map[string]any:
		if isTable(v.Type()) {
			r.table(path, v, x)
			return nil
		}
	case []any:
		if v.Kind() == reflect.Slice {
			r.array(path, v, x)
			return nil
		}
	case string:
		if takesText(v) {
			return setText(v, x)
		}
	case bool:
		if v.Kind() == reflect.Bool {
			v.SetBool(x)
			return nil
		}
	case float64:
		if s, ok := v.Addr().Interface().(interface{ setFloat(float64) error }); ok {
			return s.setFloat(x)
		}
	case int64:
		if s, ok := v.Addr().Interface().(interface{ setInt(int64) error }); ok {
			return s.setInt(x)
		}
		if v.Kind() == reflect.Int {
			v.SetInt(x)
			return nil
		}
	}
	if _, secret := v.Interface().(Secret); secret {
		return errors.New("wants a string in quotes") // a password of digits is one all the same: it is not said back
	}
	return fmt.Errorf("wants %s, not %s", wantsOf(v), describe(x))
}

// array reads the elements of x into the slice v, each table on top of its defaults.
func (r *reader) array(path string, v reflect.Value, x []any) {
	v.Set(reflect.MakeSlice(v.Type(), 0, len(x)))
	for i, element := range x {
		item := appendItem(v)
		itemPath := join(path, strconv.Itoa(i))
		if err := r.value(itemPath, item, element); err != nil {
			r.problem(itemPath, err.Error())
		}
	}
}

// appendItem makes the slice v one default item longer and returns that item.
func appendItem(v reflect.Value) reflect.Value {
	item := reflect.New(v.Type().Elem()).Elem()
	switch p := item.Addr().Interface().(type) {
	case *Cluster:
		*p = DefaultCluster()
	case *Backend:
		*p = DefaultBackend()
	case *Listener:
		*p = DefaultListener()
	case *Rule:
		*p = DefaultRule()
	case *Database:
		*p = DefaultDatabase()
	case *User:
		*p = DefaultUser()
	}
	v.Set(reflect.Append(v, item))
	return v.Index(v.Len() - 1)
}

// takesText tells whether a TOML string may be the value of v.
func takesText(v reflect.Value) bool {
	_, reads := v.Addr().Interface().(encoding.TextUnmarshaler)
	return reads || v.Kind() == reflect.String
}

// setText reads s into v, whatever v is: the form in which environment variables come.
func setText(v reflect.Value, s string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(s))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
		return nil
	case reflect.Bool:
		if s == "true" || s == "false" {
			v.SetBool(s == "true")
			return nil
		}
	case reflect.Int:
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			v.SetInt(n)
			return nil
		}
	}
	return fmt.Errorf("wants %s, not %q", wantsOf(v), s)
}

// wantsOf describes what v can hold.
func wantsOf(v reflect.Value) string {
	if w, ok := v.Addr().Interface().(interface{ wants() string }); ok {
		return w.wants()
	}
	switch v.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.String:
		return "a string"
	case reflect.Struct:
		return "a table"
	}
	if isTables(v.Type()) && v.Type() != backendsType {
		return "tables in double brackets, as there can be several"
	}
	return "an array"
}

// describe names a TOML value that was given in place of another.
func describe(x any) string {
	switch x := x.(type) {
	case map[string]any:
		return "a table"
	case []any:
		return "an array"
	case string:
		return fmt.Sprintf("the string %q", x)
	case bool, int64:
		return fmt.Sprintf("%v", x)
	case float64:
		return fmt.Sprintf("the fraction %v", x)
	}
	return "a date or time"
}
