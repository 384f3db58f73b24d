package console

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"sluice/codec"
)

// driverSettings are parameters of PostgreSQL that drivers ask for or set without being told to, with
// the values that a session with the console has.
var driverSettings = map[string]string{
	"application_name":                    "",
	"bytea_output":                        "hex",
	"client_encoding":                     "UTF8",
	"client_min_messages":                 "notice",
	"datestyle":                           "ISO, MDY",
	"default_transaction_isolation":       "read committed",
	"default_transaction_read_only":       "off",
	"extra_float_digits":                  "1",
	"idle_in_transaction_session_timeout": "0",
	"in_hot_standby":                      "off",
	"integer_datetimes":                   "on",
	"intervalstyle":                       "postgres",
	"is_superuser":                        "off",
	"lock_timeout":                        "0",
	"max_identifier_length":               "63",
	"search_path":                         `"$user", public`,
	"server_encoding":                     "UTF8",
	"server_version":                      "16.0",
	"server_version_num":                  "160000",
	"standard_conforming_strings":         "on",
	"statement_timeout":                   "0",
	"synchronize_seqscans":                "on",
	"timezone":                            "UTC",
	"transaction_isolation":               "read committed",
	"transaction_read_only":               "off",
}

func driverSetting(name string) bool {
	_, ok := driverSettings[strings.ToLower(name)]
	return ok
}

// driverIgnores are statements that drivers and their pools send and that change nothing here, by their
// words; the answer is the tag.
var driverIgnores = map[string]string{
	"RESET ALL":      "RESET",
	"DISCARD ALL":    "DISCARD ALL",
	"DEALLOCATE ALL": "DEALLOCATE ALL",
	"CLOSE ALL":      "CLOSE CURSOR ALL",
	"UNLISTEN *":     "UNLISTEN",
}

// driverSelects are what is selected to see whether, and with what, one is connected.
var driverSelects = map[string]struct {
	column codec.Column
	value  func(c *Console, who Who) any
}{
	"VERSION ( )": {codec.Column{Name: "version"},
		func(c *Console, _ Who) any { return "PostgreSQL 16.0 (Sluice " + c.src.Version() + ", admin console)" }},
	"CURRENT_DATABASE ( )": {codec.Column{Name: "current_database"}, func(*Console, Who) any { return adminNames[0] }},
	"CURRENT_USER":         {codec.Column{Name: "current_user"}, func(_ *Console, who Who) any { return who.User }},
	"SESSION_USER":         {codec.Column{Name: "session_user"}, func(_ *Console, who Who) any { return who.User }},
	"CURRENT_SCHEMA ( )":   {codec.Column{Name: "current_schema"}, func(*Console, Who) any { return nil }},
	"PG_IS_IN_RECOVERY ( )": {codec.Column{Name: "pg_is_in_recovery"},
		func(*Console, Who) any { return "f" }},
	"PG_ADVISORY_UNLOCK_ALL ( )": {codec.Column{Name: "pg_advisory_unlock_all"}, func(*Console, Who) any { return "" }},
}

// parseDriver knows what drivers send by themselves.
func parseDriver(list []word) (cmd command, known bool) {
	switch text := joined(list); {
	case list[0].quoted:
		return command{}, false
	case driverIgnores[text] != "":
		return command{do: tag(driverIgnores[text])}, true
	case list[0].is("SET"):
		return parseDriverSet(list[1:])
	case list[0].is("RESET") && len(list) == 2 && driverSetting(list[1].text):
		return command{do: tag("RESET")}, true
	case list[0].is("SELECT"):
		return parseSelect(list[1:])
	}
	return command{}, false
}

// joined is a command's keywords, in capitals, with one space between; quoted words are left as they are
// with their quotes, so that they equal no keyword.
func joined(list []word) string {
	texts := make([]string, len(list))
	for i, w := range list {
		if texts[i] = strings.ToUpper(w.text); w.quoted {
			texts[i] = strconv.Quote(w.text)
		}
	}
	return strings.Join(texts, " ")
}

// parseDriverSet ignores SET [SESSION|LOCAL] parameter and SET SESSION CHARACTERISTICS.
func parseDriverSet(rest []word) (cmd command, known bool) {
	if len(rest) > 1 && (rest[0].is("SESSION") || rest[0].is("LOCAL")) {
		rest = rest[1:]
	}
	switch {
	case len(rest) > 2 && rest[0].is("CHARACTERISTICS"), len(rest) > 1 && rest[0].is("TRANSACTION"):
	case len(rest) > 2 && driverSetting(rest[0].text) && (rest[1].is("=") || rest[1].is("TO")):
	case len(rest) == 3 && rest[0].is("TIME") && rest[1].is("ZONE"):
	default:
		return command{}, false
	}
	return command{do: func(*Console, context.Context) codec.Answer {
		return codec.Answer{Tag: "SET", Note: &codec.Note{Text: "SET ignored", Detail: "The admin console has no such setting."}}
	}}, true
}

// parseDriverShow shows a parameter of PostgreSQL.
func parseDriverShow(list []word) (cmd command, known bool) {
	name := ""
	switch text := joined(list); {
	case text == "TRANSACTION ISOLATION LEVEL":
		name = "transaction_isolation"
	case text == "TIME ZONE":
		name = "timezone"
	case len(list) == 1 && driverSetting(list[0].text):
		name = strings.ToLower(list[0].text)
	default:
		return command{}, false
	}
	return one(codec.Column{Name: name}, func(*Console, Who) any { return driverSettings[name] }), true
}

// parseSelect answers a number, and what driverSelects has.
func parseSelect(rest []word) (cmd command, known bool) {
	if s, ok := driverSelects[strings.TrimPrefix(joined(rest), "PG_CATALOG.")]; ok {
		return one(s.column, s.value), true
	}
	if len(rest) == 1 {
		if n, err := strconv.ParseInt(rest[0].text, 10, 32); err == nil && !rest[0].quoted {
			return one(codec.Column{Name: "?column?", Type: codec.ColumnInt}, func(*Console, Who) any { return n }), true
		}
	}
	return fault(codec.CommandRefused, fmt.Sprintf("the admin console has no tables: SELECT %s", clip(joined(rest)))), true
}

// one is a table of one value.
func one(column codec.Column, value func(*Console, Who) any) command {
	return command{columns: []codec.Column{column},
		rows: func(c *Console, who Who) [][]any { return [][]any{{value(c, who)}} }}
}
