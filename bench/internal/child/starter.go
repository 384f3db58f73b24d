package child

import (
	"os/exec"
	"runtime"
	"sync"
)

// The kernel sends a child its parent-death signal when the *thread* that started it ends
// (https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html). So all children are started
// by one thread that lives as long as the process.
var starter struct {
	once sync.Once
	work chan func()
}

// start starts cmd on the thread that does not end.
func start(cmd *exec.Cmd) error {
	starter.once.Do(func() {
		starter.work = make(chan func())
		go func() {
			runtime.LockOSThread()
			for f := range starter.work {
				f()
			}
		}()
	})
	result := make(chan error, 1)
	starter.work <- func() { result <- cmd.Start() }
	return <-result
}
