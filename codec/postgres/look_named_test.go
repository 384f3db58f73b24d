package postgres

import (
	"strings"
	"testing"
)

// TestPlainChange holds which texts are taken at their word: one setting, by name, and nothing besides.
func TestPlainChange(t *testing.T) {
	tests := []struct {
		text, name string
		reset      bool
	}{
		{"SET work_mem = '64MB'", "work_mem", false},
		{"set session Work_Mem to 64 ;; ", "work_mem", false},
		{"/* a */ SET timezone = 'Europe/Berlin' -- b", "TimeZone", false},
		{`SET "DateStyle" TO ISO, DMY`, "DateStyle", false},
		{"set search_path = a, \"b;c\", 'd'", "search_path", false},
		{"set app.tenant = 42", "app.tenant", false},
		{`set "app"."Tenant" = -4.2e1`, "app.tenant", false},
		{"set enable_seqscan=off", "enable_seqscan", false},
		{"RESET statement_timeout", "statement_timeout", true},
		{"reset app.tenant;", "app.tenant", true},

		{"", "", false},
		{"set", "", false},
		{"set work_mem", "", false},
		{"set work_mem =", "", false},
		{"set work_mem = default", "", false},
		{"set work_mem to DEFAULT;", "", false},
		{"set work_mem from current", "", false},
		{"set local work_mem = 1", "", false},
		{"set work_mem = 1; set jit = off", "", false},
		{"set work_mem = 1; select 1", "", false},
		{"select 1", "", false},
		{"set time zone 'UTC'", "", false},
		{"set names 'UTF8'", "", false},
		{"set role me", "", false},
		{"set role = me", "", false},
		{"set session authorization me", "", false},
		{"set session_authorization = me", "", false},
		{"set session characteristics as transaction read only", "", false},
		{"set transaction read only", "", false},
		{"set transaction_isolation = serializable", "", false},
		{"set constraints all deferred", "", false},
		{"set seed = 0.5", "", false},
		{"set sort_mem = 1", "", false},
		{"set work_mem = $1", "", false},
		{`set search_path = 'a\'`, "", false},
		{`set U&"work\005fmem" = 1`, "", false},
		{`set "work""mem" = 1`, "", false},
		{"set größe = 1", "", false},
		{"set a$b = 1", "", false},
		{"set " + strings.Repeat("a", maxName+1) + " = 1", "", false},
		{"reset all", "", true},
		{"reset role", "", true},
		{"reset session authorization", "", true},
		{"reset work_mem = 1", "", true},
		{"reset", "", true},
	}
	for _, tt := range tests {
		if got := plainChange([]byte(tt.text)); got.name != tt.name || got.reset != tt.reset {
			t.Errorf("%q: %+v; want %q, %v", tt.text, got, tt.name, tt.reset)
		}
	}
}

// TestChanges: the last word on a name counts, and there is a limit.
func TestChanges(t *testing.T) {
	var c changes
	for i := range maxChanges {
		if !c.put(namedChange{name: strings.Repeat("a", i+1)}) {
			t.Fatalf("change %d is not taken", i+1)
		}
	}
	if c.put(namedChange{name: "b"}) {
		t.Errorf("more than %d changes are taken", maxChanges)
	}
	if !c.put(namedChange{name: "a", reset: true}) || !c.list[0].reset || len(c.list) != maxChanges {
		t.Errorf("a name twice: %+v", c.list)
	}
	if !c.tell("a") || c.tell("b") || !c.list[0].told {
		t.Errorf("told: %+v", c.list)
	}
	if c.clear(); len(c.list) > 0 || c.rough {
		t.Errorf("cleared: %+v", c)
	}
}

func FuzzPlainChange(f *testing.F) {
	f.Add([]byte("set a.b = 'c'"))
	f.Add([]byte("reset a"))
	f.Fuzz(func(t *testing.T, text []byte) { plainChange(text) })
}

// TestNamedLookText: a look at named settings asks for those and nothing else.
func TestNamedLookText(t *testing.T) {
	got := string(appendLook(nil, wordNamed, &customNames{list: []string{"work_mem", "app.id"}}))
	want := "SELECT " + sqlCustom + "('0',pg_catalog.current_setting('work_mem',true)),('1',pg_catalog.current_setting('app.id',true))" + sqlCustomDone
	if got != want {
		t.Errorf("%s; want %s", got, want)
	}
}

// TestNamedLook: how settings are followed that a client changes by name.
func TestNamedLook(t *testing.T) {
	t.Run("asked for by name, and no more", func(t *testing.T) {
		plays(t, `
			c: Q(set work_mem = '5MB') Q(select 1)
			s? Q(set work_mem = '5MB') Q(select 1)
			s: C(SET) Z(I) T D C(SELECT 1) Z(I)
			c? C(SET) Z(I) T D C(SELECT 1) Z(I)
			s~ SELECT 'C'::pg_catalog.text
			s: T D(C;0;5MB) C(SELECT 1) Z(I)
			free
			detach
			host 2
			c: Q(select 1)
			s~ pg_catalog.set_config('work_mem','5MB',false)
			need=Turn`)
	})
	t.Run("a RESET is known to leave nothing", func(t *testing.T) {
		plays(t, `
			c: Q(set work_mem = '5MB')
			s? Q(set work_mem = '5MB')
			s: C(SET) Z(I)
			c? C(SET) Z(I)
			s~ current_setting('work_mem',true)
			s: T D(C;0;5MB) C(SELECT 1) Z(I)
			c: Q(reset work_mem)
			s? Q(reset work_mem)
			s: C(RESET) Z(I)
			c? C(RESET) Z(I)
			s?
			free
			detach
			host 2
			c: Q(select 1)
			s? Q(select 1)`)
	})
	t.Run("what the server reports is not asked for", func(t *testing.T) {
		plays(t, `
			c: P(;set timezone = 'Asia/Tokyo') B E S
			s? P(;set timezone = 'Asia/Tokyo') B E S
			s: 1 2 C(SET) S(TimeZone;Asia/Tokyo) Z(I)
			c? 1 2 C(SET) S(TimeZone;Asia/Tokyo) Z(I)
			s?
			free
			detach
			host 2
			c: Q(select 1)
			s~ pg_catalog.set_config('TimeZone','Asia/Tokyo',false)
			need=Turn`)
	})
	t.Run("by the extended protocol", func(t *testing.T) {
		plays(t, `
			c: P(;set app.id = 7) B E S
			s? P(;set app.id = 7) B E S
			s: 1 2 C(SET) Z(I)
			c? 1 2 C(SET) Z(I)
			s~ SELECT 'C'::pg_catalog.text
			s: T D(C;0;7) C(SELECT 1) Z(I)
			free`)
	})
	t.Run("an empty one of the client's own is looked at closer", func(t *testing.T) {
		plays(t, `
			c: Q(set app.id = '')
			s? Q(set app.id = '')
			s: C(SET) Z(I)
			c? C(SET) Z(I)
			s~ SELECT 'C'::pg_catalog.text
			s: T C(SELECT 0) Z(I)
			s~ pg_settings`)
	})
	for _, end := range []string{"rollback", "rollback to a"} {
		t.Run("not behind "+end, func(t *testing.T) {
			plays(t, `
				c: Q(begin)
				s? Q(begin)
				s: C(BEGIN) Z(T)
				c? C(BEGIN) Z(T)
				c: Q(set work_mem = 1) Q(`+end+`) Q(commit)
				s? Q(set work_mem = 1) Q(`+end+`) Q(commit)
				s: C(SET) Z(T) C(ROLLBACK) Z(T) C(COMMIT) Z(I)
				c? C(SET) Z(T) C(ROLLBACK) Z(T) C(COMMIT) Z(I)
				s~ pg_settings`)
		})
	}
	t.Run("not behind an error", func(t *testing.T) {
		plays(t, `
			c: P(;set work_mem = 1) B E P(;select 1/0) B E S
			s? P(;set work_mem = 1) B E P(;select 1/0) B E S
			s: 1 2 C(SET) 1 2 E(22012;division by zero) Z(I)
			c? 1 2 C(SET) 1 2 E(22012;division by zero) Z(I)
			s~ pg_settings`)
	})
	t.Run("not with a SET that names several, or none", func(t *testing.T) {
		plays(t, `
			c: Q(set work_mem = 1) Q(set role you)
			s? Q(set work_mem = 1) Q(set role you)
			s: C(SET) Z(I) C(SET) Z(I)
			c? C(SET) Z(I) C(SET) Z(I)
			s~ pg_settings`)
	})
	t.Run("a portal that another one has replaced", func(t *testing.T) {
		plays(t, `
			c: P(;set work_mem = 1) B P(;set role you) B E S
			s? P(;set work_mem = 1) B P(;set role you) B E S
			s: 1 2 1 2 C(SET) Z(I)
			c? 1 2 1 2 C(SET) Z(I)
			s~ pg_settings`)
	})
}
