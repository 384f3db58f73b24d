package conf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLoad reads a file and says its name in what is wrong with it.
func TestLoad(t *testing.T) {
	path := write(t, "a.toml", good+`listen = "127.0.0.1:6033"`)
	c, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Listener[0].Listen, "127.0.0.1:6033"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	path = write(t, "b.toml", "[log]\nlevel = 1")
	var problems Errors
	if _, err = Load(path, nil); !errors.As(err, &problems) {
		t.Fatalf("got %v, want Errors", err)
	}
	want := Problem{File: path, Line: 2, Col: 1, Key: "log.level", Text: "wants a string, not 1"}
	if len(problems) != 1 || problems[0] != want {
		t.Errorf("got %+v, want %+v", problems, want)
	}
}

// TestNoFile: only the default file may be missing, and only if variables stand in for it.
func TestNoFile(t *testing.T) {
	t.Chdir(t.TempDir())
	variables := []string{"SLUICE_LOG_LEVEL=warn"}
	tests := []struct {
		name, path string
		env        []string
		ok         bool
	}{
		{"default file, variables", DefaultPath, variables, true},
		{"default file, no variables", DefaultPath, nil, false},
		{"default file, others' variables", DefaultPath, []string{"HOME=x", "SLUICE_CONFIG="}, false},
		{"named file, variables", "other.toml", variables, false},
	}
	for _, tt := range tests {
		_, err := Load(tt.path, tt.env)
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
}

// TestPath: the flag goes before the variable, the variable before the default.
func TestPath(t *testing.T) {
	env := []string{"A=b", "SLUICE_CONFIG=env.toml"}
	for _, tt := range []struct {
		flag string
		env  []string
		want string
	}{
		{"flag.toml", env, "flag.toml"},
		{"", env, "env.toml"},
		{"", []string{"SLUICE_CONFIG="}, DefaultPath},
		{"", nil, DefaultPath},
	} {
		if got := Path(tt.flag, tt.env); got != tt.want {
			t.Errorf("Path(%q, %v): got %q, want %q", tt.flag, tt.env, got, tt.want)
		}
	}
}

// TestRelativePaths: files named in a file are seen from its folder, those of variables from the
// working directory.
func TestRelativePaths(t *testing.T) {
	file := good + "listen = \"127.0.0.1:6033\"\ntls = {mode = \"require\", cert = \"a.crt\", key = \"/abs/a.key\"}"
	c, err := Parse("/etc/sluice/sluice.toml", []byte(file), []string{"SLUICE_LISTENER_0_TLS_CA=b.crt"})
	if err != nil {
		t.Fatal(err)
	}
	want := ClientTLS{Mode: "require", Cert: "/etc/sluice/a.crt", Key: "/abs/a.key", CA: "b.crt", MinVersion: "1.2"}
	if got := c.Listener[0].TLS; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestFileLimit: one byte too many is refused, from memory and from disk; what just fits is read.
func TestFileLimit(t *testing.T) {
	fits := "#" + strings.Repeat("x", fileMax-1)
	if _, err := Parse("f", []byte(fits), nil); err != nil {
		t.Errorf("%d bytes: %v", len(fits), err)
	}
	const want = "is larger than 1MiB"
	if _, err := Parse("f", []byte(fits+"x"), nil); err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%d bytes: got %v, want %s", len(fits)+1, err, want)
	}
	path := write(t, "big.toml", fits+strings.Repeat("x", 1000))
	if _, err := Load(path, nil); err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("from disk: got %v, want %s", err, want)
	}
}

// TestHostileShapes: files that are as deep or as wide as their size allows end in bounded time.
func TestHostileShapes(t *testing.T) {
	shapes := map[string]string{
		"brackets":         "a = " + strings.Repeat("[", fileMax-10),
		"braces":           "a = " + strings.Repeat("{a=", 9000) + "1" + strings.Repeat("}", 9000),
		"dotted key":       strings.Repeat("a.", 50_000) + "a = 1",
		"dotted table":     "[" + strings.Repeat("a.", 50_000) + "a]",
		"many keys":        manyKeys(2_000),
		"many tables":      strings.Repeat("[[listener]]\n", 2_000),
		"one long string":  `a = "` + strings.Repeat("x", fileMax-10) + `"`,
		"nested backends":  "[[cluster]]\nbackends = " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"a long list":      "[[listener]]\nallow = [" + strings.Repeat("1,", 20_000) + "]",
		"long unknown key": strings.Repeat("k", fileMax-10) + "=1",
	}
	for name, file := range shapes {
		began := time.Now()
		if _, err := Parse("f", []byte(file), nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if took := time.Since(began); took > 2*time.Minute { // on a machine that others use as well
			t.Errorf("%s: took %v", name, took)
		} else {
			t.Logf("%s: %v", name, took)
		}
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("k" + strings.Repeat("x", i%7) + string(rune('a'+i%26)))
		for j := i; j > 0; j /= 10 {
			b.WriteByte(byte('0' + j%10))
		}
		b.WriteString(" = 1\n")
	}
	return b.String()
}
