package conf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// ErrNoNamespace says that there is no namespace of that name.
var ErrNoNamespace = errors.New("there is no such namespace")

// JSON returns the namespace as an object with the keys of the file.
func (n *Namespace) JSON() (map[string]any, error) {
	text, err := toml.Marshal(n)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	err = toml.Unmarshal(text, &m)
	return m, err
}

// WithNamespace returns the configuration with another namespace, or with another one in place of that of the name.
// It is given as JSON with the keys of the file. A new one comes in front of the one named by before, or last if
// that is "". c is not changed.
func (c *Config) WithNamespace(name, before string, text []byte) (*Config, error) {
	n, err := readNamespace(name, text)
	if err != nil {
		return nil, err
	}
	list := slices.Clone(c.Namespace)
	at := indexOf(list, name)
	if at >= 0 && before == "" {
		list[at] = n
		return c.withNamespaces(list)
	}
	if at >= 0 {
		list = slices.Delete(list, at, at+1)
	}
	to := len(list)
	if before != "" {
		if to = indexOf(list, before); to < 0 {
			return nil, fmt.Errorf("before %q: %w", before, ErrNoNamespace)
		}
	}
	return c.withNamespaces(slices.Insert(list, to, n))
}

// WithoutNamespace returns the configuration without a namespace.
func (c *Config) WithoutNamespace(name string) (*Config, error) {
	at := indexOf(c.Namespace, name)
	if at < 0 {
		return nil, ErrNoNamespace
	}
	return c.withNamespaces(slices.Delete(slices.Clone(c.Namespace), at, at+1))
}

// withNamespaces returns a copy that has been checked. Where namespaces stand in the file is no longer known.
func (c *Config) withNamespaces(list []Namespace) (*Config, error) {
	with := *c
	with.Namespace = list
	with.at = maps.Clone(c.at)
	maps.DeleteFunc(with.at, func(path string, _ position) bool {
		return path == "namespace" || strings.HasPrefix(path, "namespace.")
	})
	if err := with.Check(); err != nil {
		return nil, err
	}
	return &with, nil
}

func indexOf(list []Namespace, name string) int {
	return slices.IndexFunc(list, func(n Namespace) bool { return n.Name == name })
}

// readNamespace reads the JSON of one namespace; the name in it may be left out.
func readNamespace(name string, text []byte) (Namespace, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return Namespace{}, fmt.Errorf("not a JSON object: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Namespace{}, errors.New("there is more behind the JSON object")
	}
	n := Namespace{Name: name}
	r := &reader{at: map[string]position{}, bad: map[string]bool{}}
	r.table("namespace", reflect.ValueOf(&n).Elem(), numbersOf(m).(map[string]any))
	if err := r.problems.sorted(); err != nil {
		return Namespace{}, err
	}
	if n.Name != name {
		return Namespace{}, fmt.Errorf("the name is %q, and it is put as %q", n.Name, name)
	}
	return n, nil
}

// numbersOf has the numbers of JSON as those of TOML.
func numbersOf(x any) any {
	switch x := x.(type) {
	case map[string]any:
		for key := range x {
			x[key] = numbersOf(x[key])
		}
	case []any:
		for i := range x {
			x[i] = numbersOf(x[i])
		}
	case json.Number:
		if n, err := strconv.ParseInt(x.String(), 10, 64); err == nil {
			return n
		}
		f, _ := x.Float64()
		return f
	}
	return x
}
