package postgres

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"sluice/codec"
)

// set makes a set of names and values in turn.
func set(pairs ...string) *settings {
	var list []setting
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, setting{pairs[i], pairs[i+1]})
	}
	return newSettings(list)
}

func TestSettings(t *testing.T) {
	a := set("TimeZone", "UTC", "search_path", "a, b", "TimeZone", "Asia/Tokyo")
	if want := []setting{{"TimeZone", "Asia/Tokyo"}, {"search_path", "a, b"}}; !reflect.DeepEqual(a.all(), want) {
		t.Errorf("%v", a.all())
	}
	if v, ok := a.get("search_path"); v != "a, b" || !ok {
		t.Errorf("search_path is %q, %v", v, ok)
	}
	if _, ok := a.get("lc_time"); ok {
		t.Error("lc_time is there")
	}
	b := set("search_path", "a, b", "TimeZone", "Asia/Tokyo")
	if !sameSettings(a, b) || a.sum() != b.sum() || a.prints() != b.prints() {
		t.Error("order makes a difference")
	}
	if set() != nil || !sameSettings(nil, set()) || sameSettings(nil, a) || sameSettings(a, nil) {
		t.Error("the empty set is not nil, or equal to another one")
	}
	if set("a", "bc").sum() == set("ab", "c").sum() {
		t.Error("name and value run into each other")
	}
}

// TestSettingsFingerprint: what does not change a statement's meaning does not keep clients from
// sharing it, and what does, does.
func TestSettingsFingerprint(t *testing.T) {
	base := set("TimeZone", "UTC")
	for _, name := range []string{"application_name", "statement_timeout", "lock_timeout", "transaction_timeout",
		"idle_session_timeout", "idle_in_transaction_session_timeout", "client_min_messages", "log_statement",
		"tcp_keepalives_idle"} {
		s := set("TimeZone", "UTC", name, "1")
		if s.prints() != base.prints() || s.sum() == base.sum() {
			t.Errorf("%s matters, or is overlooked", name)
		}
		if set(name, "1").prints() != (digest{}) {
			t.Errorf("%s alone matters", name)
		}
	}
	for _, name := range []string{"search_path", "DateStyle", "client_encoding", "app.user", "work_mem"} {
		if set("TimeZone", "UTC", name, "1").prints() == base.prints() {
			t.Errorf("%s does not matter", name)
		}
	}
}

func TestSettingsOver(t *testing.T) {
	base := set("a", "1", "b", "2")
	for _, c := range []struct{ s, base, want *settings }{
		{nil, nil, nil},
		{nil, base, base},
		{base, nil, base},
		{set("b", "3"), base, set("a", "1", "b", "3")},
		{set("a", "5", "b", "6", "c", "7"), base, set("a", "5", "b", "6", "c", "7")},
		{set("c", "7"), base, set("a", "1", "b", "2", "c", "7")},
	} {
		if got := c.s.over(c.base); !reflect.DeepEqual(got.all(), c.want.all()) {
			t.Errorf("%v over %v: %v", c.s.all(), c.base.all(), got.all())
		}
	}
	if !reflect.DeepEqual(base.all(), set("a", "1", "b", "2").all()) {
		t.Error("base is changed")
	}
}

func TestSettingsAlways(t *testing.T) {
	for path, want := range map[string]words{
		"": 0, "public, temp": 0, "pg_temp": wordTemp, `public, "pg_temp"`: wordTemp, "PG_TEMP_3": wordTemp,
	} {
		if got := set("search_path", path).always(); got != want {
			t.Errorf("%s: %b", path, got)
		}
	}
	if (*settings)(nil).always() != 0 {
		t.Error("no settings at all")
	}
}

func TestSwitch(t *testing.T) {
	for _, c := range []struct {
		from, to *settings
		want     string
	}{
		{nil, nil, ""},
		{set("a", "1"), set("a", "1"), ""},
		{nil, set("a", "1"), "SELECT pg_catalog.set_config('a','1',false)"},
		{set("a", "1"), nil, "SELECT pg_catalog.set_config('a',NULL,false)"},
		{set("a", "1", "b", "2", "c", "3"), set("b", "2", "c", "4", "d", ""),
			"SELECT pg_catalog.set_config('a',NULL,false),pg_catalog.set_config('c','4',false)," +
				"pg_catalog.set_config('d','',false)"},
		{nil, set("a.b", `it's`), "SELECT pg_catalog.set_config('a.b',pg_catalog.convert_from(" +
			"pg_catalog.decode('69742773','hex'),pg_catalog.getdatabaseencoding()),false)"},
	} {
		if got := string(appendSwitch(nil, c.from, c.to)); got != c.want {
			t.Errorf("%v to %v: %s", c.from.all(), c.to.all(), got)
		}
	}
}

// TestSwitchIsSafe holds that no name or value can end its constant, by any rule of quoting.
func TestSwitchIsSafe(t *testing.T) {
	for c := range 256 {
		s := "x" + string([]byte{byte(c)}) + "y"
		got := string(appendSwitch(nil, nil, set(s, s)))
		switch {
		case strings.Count(got, "'") == 4 && strings.Count(got, s) == 2 && c >= ' ' && c < 0x7f && c != '\'' && c != '\\':
		case strings.Count(got, "'") == 8 && strings.Count(got, "convert_from") == 2:
		default:
			t.Errorf("byte %#x: %s", c, got)
		}
	}
}

// TestSwitchMany stays below the number of columns that a server allows.
func TestSwitchMany(t *testing.T) {
	var pairs []string
	for i := range 2*switchMax + 1 {
		pairs = append(pairs, fmt.Sprintf("app.x%04d", i), "1")
	}
	statements := strings.Split(string(appendSwitch(nil, nil, set(pairs...))), ";")
	if len(statements) != 3 {
		t.Fatalf("%d statements", len(statements))
	}
	total := 0
	for _, s := range statements {
		n := strings.Count(s, "set_config")
		if n > switchMax || !strings.HasPrefix(s, "SELECT pg_catalog.set_config(") || !strings.HasSuffix(s, ",false)") {
			t.Errorf("%d in %.60s", n, s)
		}
		total += n
	}
	if total != 2*switchMax+1 {
		t.Errorf("%d settings", total)
	}
}

func TestCanonicalName(t *testing.T) {
	long := strings.Repeat("x", 62)
	for _, c := range []struct {
		name     string
		major    int
		encoding string
		want     string
		ok       bool
	}{
		{"psql", 15, "UTF8", "psql", true},
		{"", 15, "UTF8", "", true},
		{"é\t", 15, "UTF8", "???", true},
		{"é\t", 16, "UTF8", `\xc3\xa9\x09`, true},
		{"a\x7f", 18, "UTF8", `a\x7f`, true},
		{long + "yz", 15, "EUC_JP", long + "y", true},
		{long + "éz", 15, "UTF8", long, true},
		{long + "éz", 15, "LATIN1", long + "?", true},
		{long + "éz", 16, "SQL_ASCII", long + `\xc3`, true},
		{long + "éz", 15, "EUC_JP", "", false},
		{long + "\xff\xff", 15, "UTF8", "", false},
	} {
		got, ok := canonicalName(c.name, c.major, c.encoding)
		if got != c.want || ok != c.ok {
			t.Errorf("%q on %d in %s: %q, %v", c.name, c.major, c.encoding, got, ok)
		}
	}
}

// TestLongNameIsGivenRaw: what a server wrote with four characters per byte goes back as those bytes.
func TestLongNameIsGivenRaw(t *testing.T) {
	raw := strings.Repeat("é", 31)
	canonical, _ := canonicalName(raw, 16, "UTF8")
	for value, want := range map[string]string{
		canonical:                            raw,
		`\xc3\xa9`:                           `\xc3\xa9`,
		`\xc3` + strings.Repeat("x", 60):     `\xc3` + strings.Repeat("x", 60), // not UTF-8
		`\xzz\x41` + strings.Repeat("x", 60): `\xzz\x41` + strings.Repeat("x", 60),
	} {
		if got := giveable(setting{"application_name", value}); got != want {
			t.Errorf("%s: %q", value, got)
		}
	}
	if got := giveable(setting{"search_path", canonical}); got != canonical {
		t.Errorf("another setting: %q", got)
	}
}

func TestStartupSettings(t *testing.T) {
	got := startupSettings([]codec.Param{
		{Name: "user", Value: "me"}, {Name: "database", Value: "d"}, {Name: "replication", Value: "false"},
		{Name: "options", Value: "-c a=b"}, {Name: "_pq_.x", Value: "1"},
		{Name: "datestyle", Value: "ISO"}, {Name: "TIMEZONE", Value: "UTC"}, {Name: "IntervalStyle", Value: "iso_8601"},
		{Name: "application_name", Value: "é"}, {Name: "DateStyle", Value: "German"}, {Name: "App.User", Value: "1"},
	}, 15, "UTF8")
	want := []setting{{"DateStyle", "German"}, {"IntervalStyle", "iso_8601"}, {"TimeZone", "UTC"},
		{"app.user", "1"}, {"application_name", "??"}}
	if !reflect.DeepEqual(got.all(), want) {
		t.Errorf("%v", got.all())
	}
	if startupSettings([]codec.Param{{Name: "user", Value: "me"}}, 15, "UTF8") != nil {
		t.Error("settings of nothing")
	}
}

func TestMajorVersion(t *testing.T) {
	for s, want := range map[string]int{
		"15.3 (Debian 15.3-1)": 15, "17beta1": 17, "9.6.24": 9, "": 0, "x": 0, "99999999999999999999": 9999,
	} {
		if got := majorVersion(s); got != want {
			t.Errorf("%q: %d", s, got)
		}
	}
}
