// Package child starts the processes that a benchmark or a demonstration needs and makes sure that
// none of them outlives it: each is stopped by its owner, and killed by the kernel when the owner
// dies without having done so.
package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// tailMax is how much of a child's output is kept for an error message, in bytes.
const tailMax = 4096

// Spec says what to start.
type Spec struct {
	Name string   // what it is, for messages
	Args []string // the program and its arguments
	Env  []string // added to this process's environment
	Dir  string   // working directory; "" = this process's own
	User string   // run as this user when this process is root; "" = as this process

	// Stdout and Stderr take what the child writes there. The end of the standard error, and of an
	// output that nobody takes, is also kept for error messages.
	Stdout, Stderr io.Writer
}

// Process is a child that has been started.
type Process struct {
	name string
	cmd  *exec.Cmd
	tail *tail
	done chan struct{}
	err  error // of Wait; valid once done is closed
}

// Start starts a child.
func Start(s Spec) (*Process, error) {
	cmd, last, err := s.command()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	if err := start(cmd); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	p := &Process{name: s.Name, cmd: cmd, tail: last, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Run starts a child and waits for its end. It is killed when ctx ends first.
func Run(ctx context.Context, s Spec) error {
	p, err := Start(s)
	if err != nil {
		return err
	}
	return p.Wait(ctx)
}

func (s Spec) command() (*exec.Cmd, *tail, error) {
	cmd := exec.Command(s.Args[0], s.Args[1:]...)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	last := &tail{}
	cmd.Stdout, cmd.Stderr = io.Writer(last), io.Writer(last)
	if s.Stderr != nil {
		cmd.Stderr = io.MultiWriter(last, s.Stderr)
	}
	if s.Stdout != nil {
		cmd.Stdout = s.Stdout
	}
	// A grandchild that keeps the pipes open must not keep Wait from returning.
	cmd.WaitDelay = time.Second
	if s.User != "" && os.Geteuid() == 0 {
		credential, err := credentialOf(s.User)
		if err != nil {
			return nil, nil, err
		}
		cmd.SysProcAttr.Credential = credential
	}
	return cmd, last, nil
}

func credentialOf(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the child's end and kills it when ctx ends first. The error carries the end of
// what the child wrote.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("%s: %w", p.name, ctx.Err())
	}
	return p.Err()
}

// Err says how the child ended; call it after Done. It is nil after exit status 0.
func (p *Process) Err() error {
	if p.err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w\n%s", p.name, p.err, p.tail)
}

// Stop asks the child to end with sig, waits at most patience, and kills it then. It is safe to call
// on a child that has ended.
func (p *Process) Stop(sig syscall.Signal, patience time.Duration) error {
	_ = p.cmd.Process.Signal(sig) // an error says that it has ended
	select {
	case <-p.done:
	case <-time.After(patience):
		p.Kill()
		return fmt.Errorf("%s: did not end within %v of %v and was killed", p.name, patience, sig)
	}
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() && ws.Signal() == sig {
			return nil // it died of what it was asked with
		}
	}
	return p.Err()
}

// Kill ends the child at once, with everything in its process group, and waits until it is gone.
func (p *Process) Kill() {
	select {
	case <-p.done:
		return
	default:
	}
	_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	<-p.done
}

// tail keeps the last tailMax bytes written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if extra := len(t.buf) - tailMax; extra > 0 {
		t.buf = append(t.buf[:0], t.buf[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
