package real

import (
	"io"
	"os"
	"os/exec"
	"syscall"
)

// guard is a shell that ends the PostgreSQL servers of a Patroni cluster when this process has gone in
// whatever way. Patroni puts them outside its own process group, so that they survive it, and the kernel's
// parent-death signal does not reach them.
type guard struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

// guardScript waits for the end of its input. A word before it means that there is nothing left to do.
const guardScript = `read word && exit 0
for data in "$@"; do
	pid=$(head -n 1 "$data/postmaster.pid" 2>/dev/null) || continue
	grep -q -F "$data" "/proc/$pid/cmdline" 2>/dev/null && kill -QUIT "$pid"
done`

func newGuard(nodes []*Node) (*guard, error) {
	args := []string{"-c", guardScript, "guard"}
	for _, n := range nodes {
		args = append(args, n.dataDir())
	}
	g := &guard{cmd: exec.Command("/bin/sh", args...)}
	g.cmd.Stderr = os.Stderr
	// A terminal's interrupt is for the tests; the guard has to outlive them.
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if g.stdin, err = g.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return g, g.cmd.Start()
}

func (g *guard) dismiss() error {
	_, _ = io.WriteString(g.stdin, "done\n")
	g.stdin.Close()
	return g.cmd.Wait()
}
