// Package paths runs the paths of a driver one after another and says how each went. The programs that
// use it, and those in other languages, keep to the README two folders up.
package paths

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limit is how long one path may take.
const Limit = 180 * time.Second

// Target is where to connect, and as whom.
type Target struct {
	Host, Port, User, Password, Database string

	CA     string // file with the authority that signed the server's certificate, PEM
	Copy   string // a word of this run: the names of what it creates have it in them
	Shared bool   // server connections are shared there, so that statements have to be seen on several
}

// Path is a way of using a driver that has to work.
type Path struct {
	Name string
	Run  func(p *P)
}

// P is one run of a path.
type P struct {
	context.Context
	Target
}

type failure struct{ text string }

// Main runs the paths against the target in the environment, those that it names or all, and ends the
// program: with code 1 if any of them failed.
func Main(all ...Path) {
	target := Target{
		Host: os.Getenv("TARGET_HOST"), Port: os.Getenv("TARGET_PORT"), User: os.Getenv("TARGET_USER"),
		Password: os.Getenv("TARGET_PASSWORD"), Database: os.Getenv("TARGET_DATABASE"), CA: os.Getenv("TARGET_CA"),
		Copy: os.Getenv("TARGET_COPY"), Shared: os.Getenv("TARGET_SHARED") == "1",
	}
	code, wanted := 0, strings.Fields(os.Getenv("TARGET_PATHS"))
	for _, path := range all {
		if wanted != nil && !slices.Contains(wanted, path.Name) {
			continue
		}
		if why := run(target, path); why != "" {
			fmt.Printf("FAIL %s %s\n", path.Name, why)
			code = 1
			continue
		}
		fmt.Printf("ok %s\n", path.Name)
	}
	os.Exit(code)
}

func run(target Target, path Path) (why string) {
	ctx, cancel := context.WithTimeout(context.Background(), Limit)
	defer cancel()
	defer func() {
		switch e := recover().(type) {
		case nil:
		case failure:
			why = e.text
		default:
			why = fmt.Sprintf("%v\n%s", e, debug.Stack())
		}
	}()
	path.Run(&P{ctx, target})
	return ""
}

// Fail ends the path. It may be called on the path's own goroutine only, as all that follow here.
func (p *P) Fail(format string, args ...any) { panic(failure{fmt.Sprintf(format, args...)}) }

// Must ends the path if err is not nil.
func (p *P) Must(err error) {
	if err != nil {
		p.Fail("%v (%s)", err, caller())
	}
}

// Equal ends the path unless got is want.
func (p *P) Equal(what string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		p.Fail("%s: got %.200s, want %.200s (%s)", what, fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", want), caller())
	}
}

// caller names the line of the path that Must or Equal was called on.
func caller() string {
	for line := range bytes.Lines(debug.Stack()) {
		text := bytes.TrimSpace(line)
		if i := bytes.LastIndexByte(text, '/'); i >= 0 && bytes.Contains(text, []byte("/e2e/drivers/go/")) &&
			!bytes.Contains(text, []byte("/paths/paths.go")) && bytes.Contains(text[i:], []byte(".go:")) {
			return string(text[i+1:])
		}
	}
	return "?"
}

// Moved says whether an answer that came from those server processes was seen to move as it should.
func (p *P) Moved(pids []int) bool {
	slices.Sort(pids)
	return !p.Shared || len(slices.Compact(slices.Clone(pids))) > 1
}

// Neighbours are clients that keep server connections busy while a path goes on.
type Neighbours struct {
	stop chan struct{}
	all  sync.WaitGroup
	mu   sync.Mutex
	err  error
	runs int
}

// Busy starts n neighbours. Each calls open once and what it returns over and over.
func (p *P) Busy(n int, open func(ctx context.Context) (work func() error, end func(), err error)) *Neighbours {
	b := &Neighbours{stop: make(chan struct{})}
	for range n {
		work, end, err := open(p)
		p.Must(err)
		b.all.Add(1)
		go func() {
			defer b.all.Done()
			defer end()
			for b.going() {
				err := work()
				b.mu.Lock()
				if b.runs++; b.err == nil {
					b.err = err
				}
				b.mu.Unlock()
				if err != nil {
					return
				}
			}
		}()
	}
	return b
}

func (b *Neighbours) going() bool {
	select {
	case <-b.stop:
		return false
	default:
		return true
	}
}

// End stops the neighbours. It returns the first error that one of them met.
func (b *Neighbours) End() error {
	close(b.stop)
	b.all.Wait()
	if b.err == nil && b.runs == 0 {
		return fmt.Errorf("the neighbours did nothing")
	}
	return b.err
}
