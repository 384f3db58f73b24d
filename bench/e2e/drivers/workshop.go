package drivers

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// patience is how long one step may take: fetching, or compiling a language's whole driver.
const patience = 40 * time.Minute

// workshop is where a program is made.
type workshop struct {
	source, cache, out string
}

// run runs a tool in the folder dir. If it is not there, the error says how to get it.
func (w *workshop) run(dir string, tool tool, args ...string) error {
	path, err := tool.find()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), tool.env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		end := text[max(0, len(text)-4000):]
		return fmt.Errorf("%s %s: %w\n%s", tool.name, strings.Join(args, " "), err, end)
	}
	return nil
}

// tool is a program of the machine.
type tool struct {
	name          string
	debianPackage string
	env           []string
}

func (t tool) find() (string, error) {
	path, err := exec.LookPath(t.name)
	if err != nil {
		return "", fmt.Errorf("%w: this language's driver can't be tested; install Debian's package %s, as make deps does", err, t.debianPackage)
	}
	return path, nil
}

// fetched returns a folder of the cache with what fill put into it; it is filled once for the same
// manifest, which are files of the source, and for the same version, which is some text.
func (w *workshop) fetched(name, version string, manifest []string, fill func(dir string) error) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, version)
	for _, file := range manifest {
		b, err := os.ReadFile(filepath.Join(w.source, file))
		if err != nil {
			return "", err
		}
		sum.Write(b)
	}
	dir := filepath.Join(w.cache, fmt.Sprintf("%s-%x", name, sum.Sum(nil)[:8]))
	if err := os.MkdirAll(w.cache, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	whole := filepath.Join(dir, ".whole")
	if _, err := os.Stat(whole); err == nil {
		return dir, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := fill(dir); err != nil {
		return "", err
	}
	return dir, os.WriteFile(whole, nil, 0o644)
}

// lock keeps other test runs out for as long as they would disturb.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// copyTo copies files of the source, by patterns within it, into dir.
func (w *workshop) copyTo(dir string, patterns ...string) error {
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(w.source, pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), b, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// made makes and returns a folder for what is made.
func (w *workshop) made(name string) (string, error) {
	dir := filepath.Join(w.out, name)
	return dir, os.MkdirAll(dir, 0o755)
}
