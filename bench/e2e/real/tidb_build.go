package real

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// The release of TiDB that module tidb names, and the Go that builds it: a server built by a newer one
// refuses to start.
const (
	tidbRelease   = "v8.5.6"
	tidbToolchain = "go1.25.8"
	tidbPackage   = "github.com/pingcap/tidb/cmd/tidb-server"
)

// tidbFlags are those of its build. A module has no tags, so the release is told to the linker; without
// symbols the program is half as large.
var tidbFlags = []string{"-trimpath", "-ldflags", "-s -w -X github.com/pingcap/tidb/pkg/parser/mysql.TiDBReleaseVersion=" + tidbRelease}

// BuildTiDB returns the path of a TiDB server, built from the module in the folder dir. It is built once for
// each state of that module and kept in the user's cache: that takes two cores about nine minutes, so it is to be
// done before tests whose time is limited. Others that want it at the same time wait.
func BuildTiDB(dir string) (path string, err error) {
	key, err := tidbKey(dir)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil { // an account without a home
		cache = os.TempDir()
	}
	cache = filepath.Join(cache, "sluice-tidb", key)
	path = filepath.Join(cache, "tidb-server")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(cache, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Close()) }() // which unlocks it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil // by whoever had the lock before
	}
	return path, compileTiDB(dir, path)
}

// tidbKey stands for all that the program is made of.
func tidbKey(dir string) (string, error) {
	h := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		h.Write(b)
	}
	fmt.Fprintln(h, tidbToolchain, tidbPackage, tidbFlags, runtime.GOOS, runtime.GOARCH)
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

func compileTiDB(dir, path string) error {
	part := path + ".part" // what is named path is whole
	args := append([]string{"build", "-C", dir, "-o", part}, tidbFlags...)
	cmd := exec.Command("go", append(args, tidbPackage)...)
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+tidbToolchain, "GOWORK=off")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(cmd.Args[1:], " "), err, out)
	}
	return os.Rename(part, path)
}
