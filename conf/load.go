package conf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"
)

// DefaultPath is the file that is read where none is named.
const DefaultPath = "conf/sluice.toml"

// fileMax is the most bytes a configuration may have: far above any that a person writes, and far
// below what would be felt in memory.
const fileMax = 1 << 20

// Path says which file to read: the one named by a flag, or by SLUICE_CONFIG, or DefaultPath.
func Path(flag string, env []string) string {
	if flag != "" {
		return flag
	}
	if p := lookup(env, reservedVar); p != "" {
		return p
	}
	return DefaultPath
}

// Load reads and checks the file at path, overridden by the SLUICE_ variables among env (in the form
// of os.Environ). If path is DefaultPath and there is no such file, the variables alone may be the
// configuration. Problems with the content are returned as Errors.
func Load(path string, env []string) (*Config, error) {
	data, err := readFile(path)
	switch {
	case err == nil:
	case path == DefaultPath && errors.Is(err, os.ErrNotExist) && len(ourVars(env)) > 0:
	default:
		return nil, err
	}
	return Parse(path, data, env)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, fileMax+1)) // Parse refuses the byte too many
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return data, nil
}

// Parse is Load for a file that is already in memory; name is its path.
func Parse(name string, data []byte, env []string) (*Config, error) {
	c := Default()
	r := &reader{dir: filepath.Dir(name), at: map[string]position{}, bad: map[string]bool{}}
	if err := r.file(name, data, c); err != nil {
		return nil, err
	}
	r.env(env, c)
	c.at = r.at
	if err := append(r.problems, c.problems(r.bad)...).sorted(); err != nil {
		return nil, err
	}
	return c, nil
}

// file reads the TOML text into c. An error means that it is not TOML at all.
func (r *reader) file(name string, data []byte, c *Config) error {
	if len(data) > fileMax {
		return Errors{{File: name, Text: fmt.Sprintf("is larger than %v", Size(fileMax))}}
	}
	var m map[string]any
	if err := toml.Unmarshal(data, &m); err != nil {
		p := Problem{File: name, Text: err.Error()}
		var bad *toml.DecodeError
		if errors.As(err, &bad) {
			p.Line, p.Col = bad.Position()
		}
		return Errors{p}
	}
	positions(name, data, r.at)
	r.table("", valueOf(c), m)
	return nil
}
