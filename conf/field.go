package conf

import (
	"reflect"
	"strings"
)

// field is one key of a table, as its struct field describes it.
type field struct {
	key   string // as in the file: "max-connections"
	index int    // in the struct
	tag   reflect.StructTag
	typ   reflect.Type
}

// fieldsOf lists the keys of a table, in the order of the struct.
func fieldsOf(t reflect.Type) []field {
	fields := make([]field, 0, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		if key := f.Tag.Get("toml"); key != "" {
			fields = append(fields, field{key: key, index: i, tag: f.Tag, typ: f.Type})
		}
	}
	return fields
}

func fieldOf(t reflect.Type, key string) (field, bool) {
	for _, f := range fieldsOf(t) {
		if f.key == key {
			return f, true
		}
	}
	return field{}, false
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		keys = append(keys, f.key)
	}
	return keys
}

// isTable tells whether values of type t are tables with keys of their own.
func isTable(t reflect.Type) bool { return t.Kind() == reflect.Struct && len(fieldsOf(t)) > 0 }

// isTables tells whether values of type t are arrays of tables.
func isTables(t reflect.Type) bool { return t.Kind() == reflect.Slice && isTable(t.Elem()) }

// variable is the part of an environment variable's name that stands for the key.
func (f field) variable() string {
	return strings.ToUpper(strings.ReplaceAll(f.key, "-", "_"))
}

// valueOf returns c for reading and writing by reflection.
func valueOf(c *Config) reflect.Value { return reflect.ValueOf(c).Elem() }
