package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sluice/conf"
	"sluice/engine/console"
)

// Settings are the configuration in force, a row for each key, with stars for secrets. Those in a list of
// tables have the table's name, or its address or number, in their key: "listener.pg-pool.pool-size".
func (s consoleSource) Settings() []console.Setting {
	cfg := s.p.cfg.Load()
	now, usual := flatten(cfg), map[string]string{}
	for _, v := range flatten(usualConfig()) {
		usual[v.kind] = v.text
	}
	list := []console.Setting{
		// What monitors of PgBouncer look for. Users have limits of their own, and no common one.
		{Key: "max_client_conn", Value: fmt.Sprint(cfg.Engine.MaxConnections), Default: "0"},
		{Key: "max_user_connections", Value: "0", Default: "0"},
	}
	for _, key := range slices.Sorted(maps.Keys(now)) {
		list = append(list, console.Setting{Key: key, Value: now[key].text, Default: usual[now[key].kind],
			Changeable: conf.Settable(key)})
	}
	return list
}

// usualConfig has one of each kind of table, with the default of each key.
func usualConfig() *conf.Config {
	c := *conf.Default()
	c.Cluster, c.Listener = []conf.Cluster{conf.DefaultCluster()}, []conf.Listener{conf.DefaultListener()}
	return &c
}

// flatValue is one value of a configuration as text, and its key without the names of tables in lists.
type flatValue struct{ text, kind string }

// flatten returns the values of a configuration by their keys.
func flatten(c *conf.Config) map[string]flatValue {
	out := map[string]flatValue{}
	text, err := c.JSON()
	if err != nil {
		return out // it was read from such a text
	}
	var tree map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&tree) == nil {
		flattenTable(out, "", "", tree)
	}
	return out
}

// flattenTable adds the values of a table.
func flattenTable(out map[string]flatValue, key, kind string, table map[string]any) {
	for name, value := range table {
		key, kind := joinKey(key, name), joinKey(kind, name)
		switch v := value.(type) {
		case map[string]any:
			flattenTable(out, key, kind, v)
		case []any:
			flattenList(out, key, kind, v)
		default:
			out[key] = flatValue{fmt.Sprint(v), kind}
		}
	}
}

// flattenList adds a list: of tables, one by one; of plain values, as one value with commas.
func flattenList(out map[string]flatValue, key, kind string, list []any) {
	var plain []string
	for i, item := range list {
		table, ok := item.(map[string]any)
		if !ok {
			plain = append(plain, fmt.Sprint(item))
			continue
		}
		flattenTable(out, joinKey(key, tableName(table, i)), kind, table)
	}
	if len(plain) > 0 || len(list) == 0 {
		out[key] = flatValue{strings.Join(plain, ","), kind}
	}
}

// tableName names a table in a list.
func tableName(table map[string]any, i int) string {
	for _, key := range []string{"name", "addr"} {
		if name, ok := table[key].(string); ok && name != "" {
			return name
		}
	}
	return fmt.Sprint(i)
}

func joinKey(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
