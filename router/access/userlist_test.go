package access

import (
	"strings"
	"testing"

	"sluice/codec"
)

// TestUserlist reads a file with every kind of line.
func TestUserlist(t *testing.T) {
	const scram = "SCRAM-SHA-256$4096:c2FsdA==$AAAA=:BBBB="
	const md5 = "md50123456789ABCDEF0123456789abcdef"
	users, err := ParseUserlist("; a comment\n# another\n\n \t\r\n" +
		`"app" "geheim"` + "\r\n" +
		`   "say ""so""" 	"a""b"   and what follows` + "\n" +
		`"scram" "` + scram + "\"\n" +
		`"md5" "` + md5 + "\" \"third column\"\n" +
		`"short" "md5012"` + "\n" +
		`"app" "" ; the last counts`)
	if err != nil {
		t.Fatal(err)
	}
	want := []User{
		{Name: "app", Secret: codec.Secret{Password: "geheim"}},
		{Name: `say "so"`, Secret: codec.Secret{Password: `a"b`}},
		{Name: "scram", Secret: codec.Secret{Verifier: scram}},
		{Name: "md5", Secret: codec.Secret{Verifier: md5}},
		{Name: "short", Secret: codec.Secret{Password: "md5012"}},
		{Name: "app"},
	}
	if len(users) != len(want) {
		t.Fatalf("got %d users, want %d", len(users), len(want))
	}
	for i := range want {
		if got := users[i]; got.Name != want[i].Name || got.Secret.Password != want[i].Secret.Password || got.Secret.Verifier != want[i].Secret.Verifier {
			t.Errorf("user %d: got %+v, want %+v", i, got, want[i])
		}
	}
	if u, _ := New(Options{Users: users}).User("app"); !u.Secret.Zero() {
		t.Errorf("of two lines the first counted: %+v", u)
	}
}

// TestUserlistProblems: a line that is not understood is an error that names it and shows no secret.
func TestUserlistProblems(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"app geheim", "line 1: the name does not stand in double quotes"},
		{"\n\n\"app\" geheim", "line 3: the secret does not stand in double quotes"},
		{`"app""secret"`, "line 1: the secret does not stand in double quotes"},
		{`"app"`, "line 1: the secret does not stand in double quotes"},
		{`"app`, "line 1: the name has no double quote at its end"},
		{`"app""`, "line 1: the name has no double quote at its end"},
		{`"app" "geheim`, "line 1: the secret has no double quote at its end"},
		{`"app" "geheim""`, "line 1: the secret has no double quote at its end"},
		{`"" "geheim"`, "line 1: the name is empty"},
		{"\"app\" \"ge\x00heim\"", "line 1: holds a zero byte"},
		{`"` + strings.Repeat("a", nameMax+1) + `" "x"`, "line 1: the name has more than 255 bytes"},
		{`"a" "` + strings.Repeat("x", secretMax+1) + `"`, "line 1: the secret has more than 2047 bytes"},
		{strings.Repeat("\n", UserlistMax+1), "has more than 16777216 bytes"},
	} {
		_, err := ParseUserlist(tt.text)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%.40q: got %v, want %s", tt.text, err, tt.want)
		}
	}
	fits := `"` + strings.Repeat("a", nameMax) + `" "` + strings.Repeat("x", secretMax) + `"`
	if users, err := ParseUserlist(fits); err != nil || len(users) != 1 {
		t.Errorf("what just fits: %v", err)
	}
}

// FuzzUserlist: whatever a file holds, reading it ends, and users have names.
func FuzzUserlist(f *testing.F) {
	f.Add("\"a\" \"b\"\n;c\n\"d\"\"\" \"\"")
	f.Add("\"")
	f.Fuzz(func(t *testing.T, text string) {
		users, err := ParseUserlist(text)
		if err != nil && users != nil {
			t.Error("users beside an error")
		}
		for _, u := range users {
			if u.Name == "" || len(u.Name) > nameMax {
				t.Errorf("a user named %q", u.Name)
			}
		}
	})
}
