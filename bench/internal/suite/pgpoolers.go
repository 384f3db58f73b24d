package suite

import (
	"context"
	"fmt"

	"sluice/bench/internal/child"
)

// The poolers of PostgreSQL run with session pooling, their counterpart of proxy mode, and in a funnel
// with transaction pooling and prepared statements on. They log in at the server by themselves, as the
// user of the loads, and let everyone in.
const (
	pgUser     = "postgres"
	pgDatabase = "postgres"
)

// poolMode is the name that all of them have for how server connections are shared.
func (at station) poolMode() string {
	if at.pool > 0 {
		return "transaction"
	}
	return "session"
}

// poolSize is how many server connections they may open.
func (at station) poolSize() int {
	if at.pool > 0 {
		return at.pool
	}
	return at.clients
}

// startPgBouncer runs PgBouncer, which has one thread: for more of them, as many processes share the
// address, and each has its part of the pool. It refuses to run as root.
func startPgBouncer(ctx context.Context, at station) (running, error) {
	if err := ownedFolder(ctx, at.dir, pgUser); err != nil {
		return running{}, err
	}
	config, err := at.write("pgbouncer.ini", pgbouncerConfig(at))
	if err != nil {
		return running{}, err
	}
	var all running
	for range at.threads {
		one, err := startListening(ctx, at.listen, child.Spec{Name: "pgbouncer", Dir: at.dir, User: pgUser, Args: []string{at.program, config}})
		if err != nil {
			for _, p := range all.processes {
				p.Kill()
			}
			return running{}, err
		}
		all.processes = append(all.processes, one.processes...)
	}
	return all, nil
}

// pgbouncerConfig: https://www.pgbouncer.org/config.html
func pgbouncerConfig(at station) string {
	host, port := hostPort(at.listen)
	serverHost, serverPort := hostPort(at.server)
	size := at.poolSize()
	if at.pool > 0 {
		size = max(at.pool/at.threads, 1)
	}
	text := fmt.Sprintf(`[databases]
* = host=%s port=%s user=%s
[pgbouncer]
listen_addr = %s
listen_port = %s
unix_socket_dir =
so_reuseport = %d
auth_type = any
pool_mode = %s
max_client_conn = %d
default_pool_size = %d
log_connections = 0
log_disconnections = 0
`, serverHost, serverPort, pgUser, host, port, boolDigit(at.threads > 1), at.poolMode(), at.clients, size)
	if at.pool > 0 && at.prepared {
		text += "max_prepared_statements = 200\n"
	}
	if at.sides != tlsNone {
		text += fmt.Sprintf("client_tls_sslmode = require\nclient_tls_cert_file = %s\nclient_tls_key_file = %s\n", at.certs.cert, at.certs.key)
	}
	if at.sides == tlsBothSides {
		text += "server_tls_sslmode = require\n"
	}
	return text
}

func boolDigit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func startOdyssey(ctx context.Context, at station) (running, error) {
	config, err := at.write("odyssey.conf", odysseyConfig(at))
	if err != nil {
		return running{}, err
	}
	return startListening(ctx, at.listen, child.Spec{Name: "odyssey", Dir: at.dir, Args: []string{at.program, config}})
}

// odysseyConfig: https://github.com/yandex/odyssey/tree/master/config-examples
func odysseyConfig(at station) string {
	host, port := hostPort(at.listen)
	serverHost, serverPort := hostPort(at.server)
	prepared := ""
	if at.pool > 0 {
		prepared = "\t\tpool_reserve_prepared_statement yes\n"
	}
	return fmt.Sprintf(`daemonize no
workers %d
client_max %d
log_to_stdout yes
log_session no
log_query no
log_stats no
nodelay yes
unix_socket_dir "%s"
unix_socket_mode "0644"
locks_dir "%s"
listen {
	host "%s"
	port %s
}
storage "bench" {
	type "remote"
	host "%s"
	port %s
}
database default {
	user default {
		authentication "none"
		storage "bench"
		storage_user "%s"
		pool "%s"
		pool_size %d
%s	}
}
`, at.threads, at.clients, at.dir, at.dir, host, port, serverHost, serverPort, pgUser, at.poolMode(), at.poolSize(), prepared)
}

func startDoorman(ctx context.Context, at station) (running, error) {
	config, err := at.write("pg_doorman.toml", doormanConfig(at))
	if err != nil {
		return running{}, err
	}
	return startListening(ctx, at.listen, child.Spec{Name: "pg_doorman", Dir: at.dir, Args: []string{at.program, config}})
}

// doormanConfig: https://github.com/ozontech/pg_doorman/blob/master/pg_doorman.toml
func doormanConfig(at station) string {
	host, port := hostPort(at.listen)
	serverHost, serverPort := hostPort(at.server)
	return fmt.Sprintf(`[general]
host = "%s"
port = %s
worker_threads = %d
max_connections = %d
log_client_connections = false
log_client_disconnections = false
admin_username = "admin"
admin_password = "admin"
pg_hba.content = "host all all 127.0.0.1/32 trust"
[pools.%s]
server_host = "%s"
server_port = %s
pool_mode = "%s"
[[pools.%s.users]]
username = "%s"
password = ""
pool_size = %d
`, host, port, at.threads, at.clients, pgDatabase, serverHost, serverPort, at.poolMode(), pgDatabase, pgUser, at.poolSize())
}

func startPgDog(ctx context.Context, at station) (running, error) {
	config, err := at.write("pgdog.toml", pgdogConfig(at))
	if err != nil {
		return running{}, err
	}
	users, err := at.write("users.toml", pgdogUsers)
	if err != nil {
		return running{}, err
	}
	return startListening(ctx, at.listen, child.Spec{Name: "pgdog", Dir: at.dir,
		Args: []string{at.program, "--config", config, "--users", users}})
}

// pgdogConfig: https://github.com/pgdogdev/pgdog/blob/main/example.pgdog.toml
func pgdogConfig(at station) string {
	host, port := hostPort(at.listen)
	serverHost, serverPort := hostPort(at.server)
	return fmt.Sprintf(`[general]
host = "%s"
port = %s
workers = %d
default_pool_size = %d
pooler_mode = "%s"
auth_type = "trust"
[[databases]]
name = "%s"
host = "%s"
port = %s
`, host, port, at.threads, at.poolSize(), at.poolMode(), pgDatabase, serverHost, serverPort)
}

// pgdogUsers: https://github.com/pgdogdev/pgdog/blob/main/example.users.toml
const pgdogUsers = `[[users]]
name = "` + pgUser + `"
database = "` + pgDatabase + `"
password = "` + pgUser + `"
`

func startPgCat(ctx context.Context, at station) (running, error) {
	config, err := at.write("pgcat.toml", pgcatConfig(at))
	if err != nil {
		return running{}, err
	}
	return startListening(ctx, at.listen, child.Spec{Name: "pgcat", Dir: at.dir, Args: []string{at.program, config}})
}

// pgcatConfig: https://github.com/postgresml/pgcat/blob/main/CONFIG.md
func pgcatConfig(at station) string {
	host, port := hostPort(at.listen)
	serverHost, serverPort := hostPort(at.server)
	prepared := ""
	if at.pool > 0 {
		prepared = "prepared_statements_cache_size = 500\n"
	}
	return fmt.Sprintf(`[general]
host = "%s"
port = %s
worker_threads = %d
admin_username = "admin"
admin_password = "admin"
[pools.%s]
pool_mode = "%s"
%s[pools.%s.users.0]
username = "%s"
password = "%s"
auth_type = "trust"
pool_size = %d
[pools.%s.shards.0]
servers = [["%s", %s, "primary"]]
database = "%s"
`, host, port, at.threads, pgDatabase, at.poolMode(), prepared, pgDatabase, pgUser, pgUser, at.poolSize(), pgDatabase, serverHost, serverPort, pgDatabase)
}
