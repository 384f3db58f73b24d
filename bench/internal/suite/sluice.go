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

// startSluiceTwo runs it with two loops, or with as many threads as all others have if that is more.
func startSluiceTwo(ctx context.Context, at station) (running, error) {
	at.threads = max(at.threads, 2)
	return startSluice(ctx, at)
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
	mode := "proxy"
	if at.pool > 0 {
		mode = "funnel"
	}
	text += fmt.Sprintf(`[[listener]]
name = "bench"
listen = "%s"
cluster = "bench"
mode = "%s"
`, at.listen, mode)
	if at.pool > 0 {
		text += fmt.Sprintf("pool-size = %d\n[[listener.rule]]\nfrom = [\"127.0.0.0/8\"]\nmethod = \"trust\"\n", at.pool)
	}
	if at.sides != tlsNone {
		text += fmt.Sprintf("[listener.tls]\nmode = \"require\"\ncert = \"%s\"\nkey = \"%s\"\n", at.certs.cert, at.certs.key)
	}
	if at.pool > 0 {
		text += fmt.Sprintf("[[user]]\nname = \"%s\"\n", pgUser)
	}
	return text
}
