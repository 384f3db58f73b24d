package conf

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/pelletier/go-toml/v2"
)

// TOML returns the whole configuration, defaults included, as a file. Passwords are stars.
func (c *Config) TOML() ([]byte, error) { return toml.Marshal(c.masked()) }

// JSON returns what TOML does as one JSON object, with the same keys and forms.
func (c *Config) JSON() ([]byte, error) {
	text, err := c.TOML()
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if err := toml.Unmarshal(text, &m); err != nil {
		return nil, err
	}
	return json.MarshalIndent(m, "", "  ")
}

// masked returns a copy of c with stars for the secrets, down to each table that holds one: for the
// encoder a Secret is a plain string.
func (c *Config) masked() *Config {
	m := *c
	m.Cluster = slices.Clone(c.Cluster)
	m.User = slices.Clone(c.User)
	m.Listener = slices.Clone(c.Listener)
	for i := range m.Listener {
		m.Listener[i].Database = slices.Clone(m.Listener[i].Database)
	}
	walk("", valueOf(&m), func(_ string, _ field, v reflect.Value) {
		if s, ok := v.Interface().(Secret); ok {
			v.SetString(s.String())
		}
	})
	return &m
}
