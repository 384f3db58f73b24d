package conf

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// env sets what the variables say, in the order of their paths so that indexes grow one by one.
func (r *reader) env(env []string, c *Config) {
	vars := ourVars(env)
	slices.SortStableFunc(vars, func(a, b variable) int { return comparePaths(a.path, b.path) })
	for _, v := range vars {
		if v.path == nil {
			r.problems = append(r.problems, Problem{
				File: v.name,
				Text: "unknown variable" + didYouMean(v.name, variables(v.name)),
			})
			continue
		}
		r.variable(c, v)
	}
}

// variable sets one key, making the next item of an array of tables where the path asks for it.
func (r *reader) variable(c *Config, v variable) {
	path, target := "", valueOf(c)
	for _, part := range v.path {
		path = join(path, part)
		if target.Kind() == reflect.Slice {
			n, _ := strconv.Atoi(part)
			if n > target.Len() {
				r.at[path] = position{file: v.name}
				r.problem(path, fmt.Sprintf("number %d comes first: numbers begin at 0 and leave none out", target.Len()))
				return
			}
			if n == target.Len() {
				r.at[path] = position{file: v.name}
				appendItem(target)
			}
			target = target.Index(n)
			continue
		}
		f, _ := fieldOf(target.Type(), part)
		target = target.Field(f.index)
	}
	r.at[path] = position{file: v.name}
	if err := setVariable(target, v.value); err != nil {
		r.problem(path, err.Error())
	}
}

// setVariable reads a variable's value: as setText, and lists with commas in between.
func setVariable(v reflect.Value, s string) error {
	if v.Kind() != reflect.Slice {
		return setText(v, s)
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	if strings.TrimSpace(s) == "" {
		return nil
	}
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		item := appendItem(v)
		if b, ok := item.Addr().Interface().(*Backend); ok {
			if err := b.setShort(part); err != nil {
				return err
			}
		} else if err := setText(item, part); err != nil {
			return err
		}
	}
	return nil
}

var backendsType = reflect.TypeFor[[]Backend]()

// setShort reads a backend in the form "addr[/role[/zone]]".
func (b *Backend) setShort(s string) error {
	parts := strings.Split(s, "/")
	if len(parts) > 3 {
		return fmt.Errorf("%q is not of the form addr/role/zone", s)
	}
	b.Addr = parts[0]
	if len(parts) > 1 && parts[1] != "" {
		b.Role = parts[1]
	}
	if len(parts) > 2 {
		b.Zone = parts[2]
	}
	return nil
}

// comparePaths orders paths so that numbers count as numbers.
func comparePaths(a, b []string) int {
	return slices.CompareFunc(a, b, func(x, y string) int {
		n, errX := strconv.Atoi(x)
		m, errY := strconv.Atoi(y)
		if errX == nil && errY == nil {
			return cmp.Compare(n, m)
		}
		return cmp.Compare(x, y)
	})
}
