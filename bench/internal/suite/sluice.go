package suite

import (
	"context"
	"fmt"

	"sluice/bench/internal/child"
)

// startSluice runs Sluice as it is shipped: what the configuration does not say is the default.
func startSluice(ctx context.Context, at station) (running, error) {
	admin, err := child.FreeAddress()
	if err != nil {
		return running{}, err
	}
	config, err := at.write("sluice.toml", sluiceConfig(at, admin))
	if err != nil {
		return running{}, err
	}
	r, err := startListening(ctx, at.listen, child.Spec{Name: sluiceName, Dir: at.dir, Env: at.env,
		Args: []string{at.program, "run", "--config", config}})
	r.admin = admin
	return r, err
}

func sluiceConfig(at station, admin string) string {
	text := fmt.Sprintf(`[engine]
loops = %d
[admin]
listen = "%s"
[log]
level = "warn"
[[cluster]]
name = "bench"
protocol = "%s"
discovery = "static"
backends = [{ addr = "%s" }]
`, at.threads, admin, at.database, at.server)
	if at.sides == tlsBothSides {
		text += "[cluster.tls]\nmode = \"require\"\n"
	}
	text += fmt.Sprintf(`[[listener]]
name = "bench"
listen = "%s"
cluster = "bench"
mode = "proxy"
`, at.listen)
	if at.sides != tlsNone {
		text += fmt.Sprintf("[listener.tls]\nmode = \"require\"\ncert = \"%s\"\nkey = \"%s\"\n", at.certs.cert, at.certs.key)
	}
	return text
}
