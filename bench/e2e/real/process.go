package real

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// How long a process may take until it serves, and until it has answered or gone, on a machine that is
// several times slower than it should be and stalls for seconds. Nothing waits for them to pass.
const (
	comeUp = 3 * time.Minute
	goAway = 90 * time.Second
)

// Process is a child process with its output in a file.
type Process struct {
	PID     int
	LogPath string // standard output and error

	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait; valid once done is closed
}

// Launch starts path with args. Output goes to logPath. Owner, if not nil, is the account that the
// process runs as.
func Launch(logPath string, owner *Account, path string, args ...string) (*Process, error) {
	log, err := os.Create(logPath)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = filepath.Dir(logPath)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if owner != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: owner.UID, Gid: owner.GID}
		// Both databases leave on SIGTERM only after their clients have; a test has no such patience.
		cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{PID: cmd.Process.Pid, LogPath: logPath, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Signal sends sig to the process.
func (p *Process) Signal(sig syscall.Signal) error { return p.cmd.Process.Signal(sig) }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// ExitCode is the process's exit code, -1 if a signal ended it. It waits for the end.
func (p *Process) ExitCode() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// Stop sends sig, waits for the process to end and kills it if it has not after patience.
func (p *Process) Stop(sig syscall.Signal, patience time.Duration) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.Signal(sig); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(patience):
		_ = p.Signal(syscall.SIGKILL)
		<-p.done
		return fmt.Errorf("%s did not end within %v of %v", p.cmd.Path, patience, sig)
	}
}

// Log returns what the process has written so far.
func (p *Process) Log() string {
	b, err := os.ReadFile(p.LogPath)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Account is a user of the machine.
type Account struct{ UID, GID uint32 }

// serverAccount returns who a database server is to run as: nil (ourselves) unless we are root, whom
// PostgreSQL refuses. Names are tried in order.
func serverAccount(names ...string) (*Account, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &Account{UID: uint32(uid), GID: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("none of the accounts %q exists to run a database server as", names)
}

// own gives path and all below it to owner.
func own(path string, owner *Account) error {
	if owner == nil {
		return nil
	}
	return filepath.Walk(path, func(p string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, int(owner.UID), int(owner.GID))
	})
}

// run runs a program to its end as owner and returns its output inside the error if it fails.
func run(owner *Account, dir, path string, args ...string) error {
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if owner != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: owner.UID, Gid: owner.GID}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(path), err, out)
	}
	return nil
}

// ErrNever is wrapped by an error that tells Eventually not to try again.
var ErrNever = errors.New("it will never")

// Eventually calls ok until it returns nil, for at most patience, and returns its last error.
func Eventually(patience time.Duration, ok func() error) error {
	deadline := time.Now().Add(patience)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := ok()
		if err == nil || errors.Is(err, ErrNever) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %w", patience, err)
		}
		time.Sleep(pause)
	}
}
