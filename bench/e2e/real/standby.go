package real

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// StartStandby makes a hot standby of the server in dir and starts it. It streams from the server; settings
// are lines of its own configuration.
//
// https://www.postgresql.org/docs/current/app-pgbasebackup.html
func (pg *Postgres) StartStandby(dir, settings string) (*Postgres, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	if err := own(dir, pg.owner); err != nil {
		return nil, err
	}
	s := &Postgres{Dir: dir, bin: pg.bin, owner: pg.owner, Addr: FreeAddr()}
	data := filepath.Join(dir, "data")
	if err := run(pg.owner, dir, filepath.Join(pg.bin, "pg_basebackup"), "-D", data, "-R", "-X", "stream", "-c", "fast",
		"--no-sync", "-h", "127.0.0.1", "-p", strconv.Itoa(Port(pg.Addr)), "-U", "postgres"); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(f, "unix_socket_directories = '%s'\n%s\n", dir, settings)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return s, s.Start()
}
