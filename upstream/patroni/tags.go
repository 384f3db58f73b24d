package patroni

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits of a member's tags.
const (
	tagsMax  = 64  // tags
	tagBytes = 256 // of a name or a value
)

// flags are the tags by which Patroni itself is steered, and that are on or off
// (https://patroni.readthedocs.io/en/latest/yaml_configuration.html#tags).
var flags = []string{"clonefrom", "nofailover", "noloadbalance", "nostream", "nosync"}

// noLoadBalance keeps a member from sessions that do not have to be there.
const noLoadBalance = "noloadbalance"

// parseTags reads a member's tags. Values come as the JSON of what an operator has written in YAML: flags
// become "true" or "false", however they are spelled; of others a string is taken as it is, and anything
// else as JSON spells it. A tag with null in it is none.
func parseTags(raw json.RawMessage) (tags map[string]string, odd string) {
	if absent(raw) {
		return nil, ""
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, "its tags are passed over: they are no object"
	}
	if len(fields) > tagsMax {
		return nil, fmt.Sprintf("its tags are passed over: there are more than %d", tagsMax)
	}
	for name, value := range fields {
		if absent(value) {
			continue
		}
		text := spell(value)
		if slices.Contains(flags, name) {
			text = strconv.FormatBool(isTrue(value))
		}
		if len(name) > tagBytes || len(text) > tagBytes {
			odd = fmt.Sprintf("its tags longer than %d bytes are passed over", tagBytes)
			continue
		}
		if tags == nil {
			tags = map[string]string{}
		}
		tags[name] = text
	}
	return tags, odd
}

// spell returns a string as it is, and any other value in JSON without spaces.
func spell(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}

// isTrue reads a flag. Patroni's words for it are on, true, yes and 1, in any case; where it only asks
// whether there is something in the tag, other values are true to it too, so they are here.
func isTrue(raw json.RawMessage) bool {
	if absent(raw) {
		return false
	}
	switch strings.ToLower(strings.TrimSpace(spell(raw))) {
	case "", "off", "false", "no", "0", "0.0", "n", "f", "[]", "{}":
		return false
	}
	return true
}
