package suite

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sluice/bench/internal/child"
)

// Machine says where and of what a run was made: without it figures mean nothing.
type Machine struct {
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	Kernel   string            `json:"kernel"`
	Commit   string            `json:"commit"`   // of the program under test; "+" behind it: with changes
	Versions map[string]string `json:"versions"` // of the other programs
}

// ReadMachine looks at the machine it runs on.
func ReadMachine(ctx context.Context) Machine {
	m := Machine{Cores: runtime.NumCPU(), Commit: commit(ctx), Versions: map[string]string{"go": runtime.Version()}}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m
	}
	for line := range bytes.Lines(info) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if ok && string(bytes.TrimSpace(key)) == "model name" {
			m.CPU = string(bytes.TrimSpace(value))
			break
		}
	}
	return m
}

// commit names the commit that is checked out.
func commit(ctx context.Context) string {
	hash := firstLine(ctx, "git", "rev-parse", "--short", "HEAD")
	if hash == "" {
		return "unknown"
	}
	// Result files and notes do not change what is measured; changed sources do.
	if firstLine(ctx, "git", "status", "--porcelain", "--untracked-files=no", "--", ":/*.go", ":/go.mod", ":/*.c") != "" {
		hash += "+"
	}
	return hash
}

func versionOf(ctx context.Context, program, flag string) string {
	return firstLine(ctx, program, flag)
}

// firstLine runs a program that answers at once and returns the first line it prints, or "".
func firstLine(ctx context.Context, args ...string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var out output // some say it on the standard error
	if err := child.Run(ctx, child.Spec{Name: args[0], Args: args, Stdout: &out, Stderr: &out}); err != nil {
		return ""
	}
	line, _, _ := strings.Cut(out.String(), "\n")
	return strings.TrimSpace(line)
}
