package conf

import (
	"strings"
	"testing"
)

// TestProblemsTellNoSecret: what is wrong with a secret, or near one, is told without it.
func TestProblemsTellNoSecret(t *testing.T) {
	for _, text := range []string{
		"[[user]]\nname = \"app\"\npassword = 46368",
		"[[user]]\nname = \"app\"\npassword = 46368.5",
		"[[user]]\nname = \"app\"\npassword = [\"46368\"]",
		"[[user]]\nname = \"app\"\npassword = \"46368",
		"[[user]]\nname = \"app\"\npassword = 46368x",
		"[[user]]\nname = \"app\"\npassword = '46368' '46368'",
		"[[user]]\nname = \"app\"\npassword = \"46368\\q\"",
		"[[user]]\nname = \"app\"\npassword = \"46368\\u0000\"",
		"[[user]]\nname = \"app\"\npassword = \"46368\"\npassword = \"46368\"",
		"[[user]]\nname = \"app\"\nverifier = \"SCRAM-SHA-256$46368\"",
		"[[user]]\nname = \"app\"\nverifier = 46368",
		"[[user]]\nname = \"app\"\npasswort = \"46368\"",
		"[[user]]\nname = \"app\"\nverifier = \"md546368\"\npassword = \"46368\"",
		"[admin]\npassword = 46368",
		"[admin]\npassword = \"46368\"",
	} {
		_, err := Parse("file.toml", []byte(text), nil)
		if err == nil {
			t.Errorf("%q: no problem", text)
		} else if strings.Contains(err.Error(), "46368") {
			t.Errorf("%q: %v", text, err)
		}
	}
	_, err := Parse("file.toml", nil, []string{"SLUICE_ADMIN_PASSWORD=46368", "SLUICE_ADMIN_PASSWROD=46368"})
	if err == nil || strings.Contains(err.Error(), "46368") {
		t.Errorf("by environment: %v", err)
	}
}
