package drivers

import (
	"fmt"
	"slices"
	"strings"
)

// Driver is a PostgreSQL driver with a program that runs its common paths.
type Driver struct {
	Name  string
	Paths []string // what its program says something of
	Alone []string // those that want a server connection that nobody else uses; see README

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
// its own features. Three drivers read rows by what they were told of a statement when it was new.
func All() []Driver {
	driver := func(name, more string, build func(w *workshop) (Command, error)) Driver {
		return Driver{Name: name, Paths: strings.Fields(common + more), build: build}
	}
	told := func(d Driver) Driver {
		d.Alone = []string{"schema-change"}
		d.Paths = append(d.Paths, d.Alone...)
		return d
	}
	return []Driver{
		driver("pgx", "tls-require copy-out pipeline pipeline-error schema-change", goProgram("pgx")),
		driver("pq", "tls-require", goProgram("pq")),
		driver("psycopg", "tls-require copy-out pipeline pipeline-error schema-change", python("psycopg_data.py")),
		told(driver("asyncpg", "tls-require copy-out pipeline pipeline-error pool", python("asyncpg_data.py"))),
		driver("node-postgres", "tls-require copy-out pipeline pipeline-error pool", node),
		told(driver("pgjdbc", "tls-require copy-out pipeline pipeline-error autosave", java)),
		told(driver("tokio-postgres", "copy-out pipeline pipeline-error", rust)),
	}
}

// Build makes the driver's program from its source, in the folder source (this one). Out is a folder for
// what is made; what is fetched goes to cache.
func (d Driver) Build(source, cache, out string) (Command, error) {
	return d.build(&workshop{source: source, cache: cache, out: out})
}

// Shared are the paths that go on while other copies of the program use the same server connections.
func (d Driver) Shared() []string {
	return slices.DeleteFunc(slices.Clone(d.Paths), func(p string) bool { return slices.Contains(d.Alone, p) })
}

// Check says what is wrong with the output of a driver's program that was to run paths: one that failed,
// or that nothing is said of.
func Check(output string, paths []string) error {
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
	for _, path := range paths {
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
