package suite

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"sluice/bench/internal/child"
)

func startProxySQL(ctx context.Context, at station) (running, error) {
	admin, err := child.FreeAddress()
	if err != nil {
		return running{}, err
	}
	config, err := at.write("proxysql.cnf", proxysqlConfig(at, admin))
	if err != nil {
		return running{}, err
	}
	return startListening(ctx, at.listen, child.Spec{Name: "proxysql", Dir: at.dir,
		Args: []string{at.program, "--foreground", "--initial", "--config", config}})
}

// proxysqlConfig: https://proxysql.com/documentation/configuring-proxysql/. All queries go to one
// hostgroup; the monitor, which wants an account of its own at the server, is off.
func proxysqlConfig(at station, admin string) string {
	serverHost, serverPort := hostPort(at.server)
	return fmt.Sprintf(`datadir="%s"
admin_variables=
{
	admin_credentials="admin:admin"
	mysql_ifaces="%s"
}
mysql_variables=
{
	threads=%d
	max_connections=%d
	interfaces="%s"
	monitor_enabled=false
}
mysql_servers=
(
	{ address="%s", port=%s, hostgroup=0, max_connections=%d }
)
mysql_users=
(
	{ username="%s", password="%s", default_hostgroup=0, default_schema="%s" }
)
`, at.dir, admin, at.threads, at.clients, at.listen, serverHost, serverPort, at.clients, mariaUser, mariaPassword, mariaDatabase)
}

// startTiProxy runs TiProxy without PD. Its only namespace is given over HTTP, as it keeps none in a
// file; the number of its threads is that of Go's.
func startTiProxy(ctx context.Context, at station) (running, error) {
	admin, err := child.FreeAddress()
	if err != nil {
		return running{}, err
	}
	config, err := at.write("tiproxy.toml", tiproxyConfig(at, admin))
	if err != nil {
		return running{}, err
	}
	r, err := startListening(ctx, at.listen, child.Spec{Name: "tiproxy", Dir: at.dir,
		Env: []string{fmt.Sprintf("GOMAXPROCS=%d", at.threads)}, Args: []string{at.program, "--config", config}})
	if err != nil {
		return running{}, err
	}
	told := func() error { return tellTiProxy(ctx, admin, at.server) }
	if err := child.Until(ctx, r.processes[0], told); err != nil {
		r.processes[0].Kill()
		return running{}, err
	}
	return r, nil
}

// tiproxyConfig: https://docs.pingcap.com/tidb/stable/tiproxy-configuration/
func tiproxyConfig(at station, admin string) string {
	return fmt.Sprintf(`workdir = "%s"
[proxy]
addr = "%s"
pd-addrs = ""
[api]
addr = "%s"
[log]
level = "warn"
`, at.dir, at.listen, admin)
}

// tellTiProxy names the server to the default namespace and has it take effect.
func tellTiProxy(ctx context.Context, admin, server string) error {
	namespace := fmt.Sprintf(`{"namespace":"default","backend":{"instances":["%s"]}}`, server)
	const base = "/api/admin/namespace/"
	if err := ask(ctx, http.MethodPut, "http://"+admin+base+"default", namespace, nil); err != nil {
		return err
	}
	return ask(ctx, http.MethodPost, "http://"+admin+base+"commit?namespace=default", "", nil)
}

// ask makes one HTTP request and copies the answer's body to into, if that is not nil. Any status but
// 200 is an error.
func ask(ctx context.Context, method, url, body string, into io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, url, answer.Status)
	}
	if into == nil {
		into = io.Discard
	}
	_, err = io.Copy(into, answer.Body)
	return err
}
