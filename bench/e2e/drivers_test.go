package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/bench/e2e/drivers"
	"sluice/bench/e2e/real"
)

// driverPatience is how long a driver's program may take for all of its paths, under the race detector and
// with copies of itself beside it.
const driverPatience = 15 * time.Minute

// TestDrivers has the drivers of seven languages and libraries do what applications do with them: once with
// the server itself, by which the programs prove themselves, and then with a funnel that three copies of
// the program share. There are more clients than server connections at any time, and more prepared
// statements than a server connection keeps. What wants a server connection of its own is done by one copy.
// Each driver has a Sluice of its own, and some are at work at one time.
func TestDrivers(t *testing.T) {
	pg, binary, out := postgres(t, 0), racy(t), filepath.Join(stage.dir, "drivers")
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, d := range drivers.All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			program := buildDriver(t, d, out)
			addr, one := real.FreeAddr(), real.FreeAddr()
			s := startSluice(t, binary, cluster("pg", "postgres", []string{pg.Addr})+
				funnel("pool", addr, "pg", `on-server-loss = "close"`, "pool-size = 3", "prepared-max = 20", tlsTable("listener", "prefer", stage.cert))+
				funnel("one", one, "pg", `on-server-loss = "close"`, "pool-size = 1", "prepared-max = 20")+users("scram"))
			// The names of what the drivers create have the copy's in them.
			copyOf := func(where string) string { return strings.NewReplacer("-", "_").Replace(d.Name) + "_" + where }
			t.Run("server", func(t *testing.T) { runDriver(t, program, pg.Addr, copyOf("server"), d.Paths, "TARGET_SHARED=0") })
			t.Run("funnel", func(t *testing.T) {
				var copies sync.WaitGroup
				for i := range 3 {
					copies.Go(func() { runDriver(t, program, addr, copyOf(fmt.Sprint("copy", i)), d.Shared(), "TARGET_SHARED=1") })
				}
				copies.Wait()
			})
			if d.Alone != nil {
				t.Run("alone", func(t *testing.T) { runDriver(t, program, one, copyOf("one"), d.Alone, "TARGET_SHARED=1") })
			}
			await(t, s, 0, "sluice_sessions")
		})
	}
}

func buildDriver(t *testing.T, d drivers.Driver, out string) drivers.Command {
	t.Helper()
	source, err := filepath.Abs("drivers")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = stage.dir
	}
	program, err := d.Build(source, filepath.Join(cache, "sluice-drivers"), out)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// runDriver runs some paths of a driver's program against addr. It may be called on any goroutine.
func runDriver(t *testing.T, program drivers.Command, addr, name string, paths []string, shared string) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Error(err)
		return
	}
	output, err := command{path: program.Path, args: program.Args, limit: driverPatience, env: []string{
		"TARGET_HOST=" + host, "TARGET_PORT=" + port, "TARGET_USER=scram", "TARGET_PASSWORD=" + real.Password,
		"TARGET_DATABASE=app", "TARGET_CA=" + stage.ca.CertFile, "TARGET_COPY=" + name, shared, "TARGET_PATHS=" + strings.Join(paths, " "),
		"LC_ALL=C.UTF-8",
	}}.run(t)
	if wrong := drivers.Check(output, paths); wrong != nil {
		t.Errorf("%s:\n%v\n(%v) all that it said:\n%s", name, wrong, err, tail(output, 3000))
	} else if err != nil {
		t.Errorf("%s: %v\n%s", name, err, tail(output, 3000))
	}
}
