package drivers

import (
	"fmt"
	"strings"
)

// Driver is a PostgreSQL driver with a program that runs its common paths.
type Driver struct {
	Name  string
	Paths []string // what its program says something of

	build func(w *workshop) (Command, error)
}

// Command is how a program is run.
type Command struct {
	Path string
	Args []string
}

// common are the paths that all drivers have.
const common = "connect tls-verify-full startup simple parameters prepared many-statements close-statement " +
	"transaction copy-in copy-error cancel cursor settings listen types large reconnect "

// All returns the drivers. Lib/pq has no COPY out and no pipeline; the paths that only one driver has are
// its own features.
func All() []Driver {
	driver := func(name, more string, build func(w *workshop) (Command, error)) Driver {
		return Driver{Name: name, Paths: strings.Fields(common + more), build: build}
	}
	return []Driver{
		driver("pgx", "tls-require copy-out pipeline pipeline-error schema-change", goProgram("pgx")),
		driver("pq", "tls-require", goProgram("pq")),
		driver("psycopg", "tls-require copy-out pipeline pipeline-error", python("psycopg_data.py")),
		driver("asyncpg", "tls-require copy-out pipeline pipeline-error schema-change pool", python("asyncpg_data.py")),
		driver("node-postgres", "tls-require copy-out pipeline pipeline-error pool", node),
		driver("pgjdbc", "tls-require copy-out pipeline pipeline-error schema-change autosave", java),
		driver("tokio-postgres", "copy-out pipeline pipeline-error schema-change", rust),
	}
}

// Build makes the driver's program from its source, in the folder source (this one). Out is a folder for
// what is made; what is fetched goes to cache.
func (d Driver) Build(source, cache, out string) (Command, error) {
	return d.build(&workshop{source: source, cache: cache, out: out})
}

// Check says what is wrong with the output of the driver's program: a path that failed, or that nothing is
// said of.
func (d Driver) Check(output string) error {
	said := map[string]string{}
	for line := range strings.Lines(output) {
		words := strings.Fields(line)
		if len(words) < 2 || (words[0] != "ok" && words[0] != "FAIL") {
			continue
		}
		if said[words[1]] != "" {
			return fmt.Errorf("the path %s was run twice", words[1])
		}
		said[words[1]] = strings.TrimSpace(line)
	}
	var wrong []string
	for _, path := range d.Paths {
		switch line := said[path]; {
		case line == "":
			wrong = append(wrong, "nothing was said of "+path)
		case !strings.HasPrefix(line, "ok "):
			wrong = append(wrong, line)
		}
		delete(said, path)
	}
	for path := range said {
		wrong = append(wrong, "nobody knows the path "+path)
	}
	if wrong != nil {
		return fmt.Errorf("%s", strings.Join(wrong, "\n"))
	}
	return nil
}
