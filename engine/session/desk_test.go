package session

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"sluice/codec"
	"sluice/router/access"
)

// bigValue is more than a connection takes at once, and is written at once.
var bigValue = strings.Repeat("x", 16<<20)

// slowConsole counts the commands that it carries out at a time. BIG is answered by bigValue, SLOW when it
// may.
type slowConsole struct {
	now, most, done atomic.Int64
	may             chan struct{}
}

func (c *slowConsole) Run(ctx context.Context, _ string, _ bool, text string) codec.Answer {
	c.most.Store(max(c.most.Load(), c.now.Add(1)))
	defer c.now.Add(-1)
	defer c.done.Add(1)
	if strings.HasPrefix(text, "SLOW") {
		select {
		case <-c.may:
		case <-ctx.Done():
		}
		return codec.Answer{Tag: text}
	}
	return codec.Answer{Tag: "SHOW", Table: &codec.Table{Columns: c.Columns(text), Rows: [][]any{{bigValue}}}}
}

func (c *slowConsole) Columns(string) []codec.Column { return []codec.Column{{Name: "x"}} }

// TestDeskOneByOne: commands of the console are carried out one after the other, and each stays under way
// when its client has taken in the answer before.
func TestDeskOneByOne(t *testing.T) {
	console := &slowConsole{may: make(chan struct{})}
	var frontends []Settings
	s := startFunnel(t, func(s *Setup) {
		s.Frontends[0].Sharing.Access = access.New(access.Options{Method: codec.AuthTrust, Admins: []string{"alice"},
			Users: []access.User{{Name: "alice"}}})
		frontends, s.Frontends = s.Frontends, nil
	}, startFakePG(t, "db-a"))
	s.SetConsole(console, "1")
	s.setup.Frontends = frontends
	s.apply()
	c := connectTo(t, s.addr("in"), "sluice").ready()
	session := s.only()
	_, _ = c.Write([]byte(string(message('Q', "BIG\x00")) + string(message('Q', "SLOW 1\x00")) + string(message('Q', "SLOW 2\x00"))))
	eventually(t, "the next command is under way, and there is no room", func() (full bool) {
		onLoop(t, session.on, func() { full = console.done.Load() == 1 && console.now.Load() == 1 && session.client.Full() })
		return full
	})
	slow := 0
	for slow < 2 {
		switch kind, body := c.next(); {
		case kind == 'C' && strings.HasPrefix(body, "SLOW"):
			slow++
		case kind == 'Z' && slow == 0: // all of the first answer has been taken in
			eventually(t, "there is room", func() (room bool) {
				onLoop(t, session.on, func() { room = !session.client.Full() })
				return room
			})
			onLoop(t, session.on, func() {
				if session.busy() != "command" || !session.client.Paused() {
					t.Errorf("with a command under way: busy %q, the client is paused: %v", session.busy(), session.client.Paused())
				}
			})
			console.may <- struct{}{}
		case kind == 'Z':
			console.may <- struct{}{}
		}
	}
	c.next()
	if console.most.Load() != 1 || console.done.Load() != 3 {
		t.Errorf("up to %d commands at a time, %d in all", console.most.Load(), console.done.Load())
	}
	c.Close()
	s.expectCalm()
	if n := s.Consoles(); n != 0 {
		t.Errorf("%d consoles are left", n)
	}
}
