package conf

import (
	"errors"
	"reflect"
	"slices"
	"strings"
)

// Errors of With.
var (
	ErrUnknownKey = errors.New("there is no such key")
	ErrFixedKey   = errors.New("the key can not be changed by itself while the process runs")
)

// settable are the sections whose keys With changes. Those of [admin] hold secrets, and clusters and
// listeners are best changed in the file, where one sees them whole.
var settable = []string{"engine", "log"}

// Settable tells whether With can change a key.
func Settable(key string) bool {
	section, _, _ := strings.Cut(key, ".")
	return slices.Contains(settable, section) && !slices.Contains(fixed, key)
}

// With returns the configuration with another value of one key ("log.level"), given as in an environment
// variable. c is not changed.
func (c *Config) With(key, text string) (*Config, error) {
	section, name, _ := strings.Cut(key, ".")
	s, ok := fieldOf(reflect.TypeFor[Config](), section)
	if !ok {
		return nil, ErrUnknownKey
	}
	if !slices.Contains(settable, section) {
		return nil, ErrFixedKey
	}
	f, ok := fieldOf(s.typ, name)
	if !ok {
		return nil, ErrUnknownKey
	}
	if slices.Contains(fixed, key) {
		return nil, ErrFixedKey
	}
	with := *c
	if err := setVariable(valueOf(&with).Field(s.index).Field(f.index), text); err != nil {
		return nil, err
	}
	if err := with.Check(); err != nil {
		return nil, err
	}
	return &with, nil
}
