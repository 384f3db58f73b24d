package synth

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// stopper is a descriptor that can be read once somebody wants the end.
type stopper struct{ fd int }

func newStopper() (stopper, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return stopper{-1}, fmt.Errorf("eventfd: %w", err)
	}
	return stopper{fd}, nil
}

func (s stopper) close() { _ = unix.Close(s.fd) }

// stop lets the descriptor be read from now on.
func (s stopper) stop() {
	_, _ = unix.Write(s.fd, binary.NativeEndian.AppendUint64(nil, 1)) // fails only when it has been told often enough
}

// onSignal stops when the process is asked to end. It lasts as long as the process.
func (s stopper) onSignal() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, unix.SIGTERM, unix.SIGINT)
	go func() {
		<-asked
		s.stop()
		signal.Stop(asked) // a second one ends the process at once
	}()
}

// onInputEnd stops when the standard input ends, if that is somebody's: a pipe or a socket.
func (s stopper) onInputEnd() {
	info, err := os.Stdin.Stat()
	if err != nil || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		s.stop()
	}()
}
