package suite

import (
	"context"
	"path/filepath"

	"sluice/bench/internal/child"
)

func startFloor(ctx context.Context, at station) (running, error) {
	host, port := hostPort(at.listen)
	serverHost, serverPort := hostPort(at.server)
	return startListening(ctx, at.listen, child.Spec{Name: floorName, Dir: at.dir,
		Args: []string{at.program, host, port, serverHost, serverPort}})
}

// buildFloor compiles the relay with the machine's C compiler.
func buildFloor(ctx context.Context, compiler, source, dir string) (string, error) {
	relay := filepath.Join(dir, "relay")
	return relay, child.Run(ctx, child.Spec{Name: "cc", Args: []string{compiler, "-O2", "-o", relay, source}})
}
