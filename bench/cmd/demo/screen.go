package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// screen writes what the demo has to say. On a terminal the line of figures is written over and over;
// elsewhere each is a line of its own and nothing is coloured.
type screen struct {
	out   io.Writer
	live  bool // the line of figures is rewritten
	color bool
	dirty bool // a line of figures stands on the current line
	began time.Time
}

// newScreen looks at what it will write to.
func newScreen(f *os.File) *screen {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	live := err == nil
	return &screen{out: f, live: live, color: live && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", began: time.Now()}
}

// ANSI sequences; https://man7.org/linux/man-pages/man4/console_codes.4.html
const (
	clearLine = "\r\x1b[K"
	bold      = "\x1b[1m"
	red       = "\x1b[31m"
	green     = "\x1b[32m"
	dim       = "\x1b[2m"
	plainText = "\x1b[0m"
)

func (s *screen) paint(how, text string) string {
	if !s.color {
		return text
	}
	return how + text + plainText
}

// say writes lines that stay.
func (s *screen) say(text string) {
	s.wipe()
	fmt.Fprintln(s.out, text)
}

// event writes a line that stays, with the time since the begin in front.
func (s *screen) event(text string) {
	s.say(s.paint(bold, fmt.Sprintf("%5.1f s  %s", time.Since(s.began).Seconds(), text)))
}

// wipe makes room where the line of figures stands.
func (s *screen) wipe() {
	if s.dirty {
		fmt.Fprint(s.out, clearLine)
		s.dirty = false
	}
}

// figures writes the live line.
func (s *screen) figures(f snapshot, backends []*backend, sessions map[string]int) {
	var where strings.Builder
	for _, b := range backends {
		fmt.Fprintf(&where, "  %s %2d", b.name, sessions[b.addr])
	}
	line := fmt.Sprintf("%5.1f s  %5.0f queries/s  p50 %5.1f ms  p99 %5.1f ms  sessions%s  %s  %s",
		time.Since(s.began).Seconds(), f.perSecond, millis(f.p50), millis(f.p99), where.String(),
		s.paint(dim, fmt.Sprintf("ended with their server %d", f.ended)), s.errors(f.unexpected))
	if !s.live {
		fmt.Fprintln(s.out, line)
		return
	}
	fmt.Fprint(s.out, clearLine+line)
	s.dirty = true
}

func (s *screen) errors(n int64) string {
	text := fmt.Sprintf("errors %d", n)
	if n > 0 {
		return s.paint(red, text)
	}
	return s.paint(green, text)
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
