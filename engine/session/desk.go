package session

import (
	"context"

	"sluice/codec"
)

// Console carries out the commands of the admin console. Its methods are called on any goroutine.
type Console interface {
	// Run carries out one command; it may block until ctx ends.
	Run(ctx context.Context, user string, admin bool, text string) codec.Answer
	// Columns returns the columns of what a text would be answered with, or nil. It does not block.
	Columns(text string) []codec.Column
}

// SetConsole says who carries out the commands of clients of the virtual databases. Before Apply.
func (p *Proxy) SetConsole(c Console, version string) {
	p.console, p.deskConfig = c, &codec.DeskConfig{Version: version, Columns: c.Columns}
}

// deskState is what a session with the admin console has.
type deskState struct {
	desk    codec.Desk
	ctx     context.Context // of the command under way, and of all
	cancel  context.CancelCauseFunc
	running context.CancelCauseFunc // of the command under way; nil without one
	more    bool                    // the answer goes on when the client has taken in what it was sent
}

// welcomeDesk prepares a session with the admin console.
func (s *Session) welcomeDesk() {
	desker, ok := s.cluster.Options().Protocol.(codec.Desker)
	if !ok || s.p.console == nil {
		s.refuse(NoBackend, codec.Error{Cond: codec.NotShareable, Text: "there is no admin console here"}, nil)
		return
	}
	d := &deskState{desk: desker.NewDesk(s.p.deskConfig)}
	d.ctx, d.cancel = context.WithCancelCause(context.Background())
	s.sh.desk = d
	s.p.consoles.Add(1)
	s.welcomed(d.desk.Introduction())
}

// deskBytes gives the desk what the client sent.
func (s *Session) deskBytes(p []byte) {
	d, t := s.sh.desk, &s.on.turn
	t.Client.Open(s.client)
	t.Server.Open(nil)
	query, ok, end, err := d.desk.Client(p, t)
	t.Flush()
	switch {
	case err != nil:
		s.broken(codec.Client, err)
	case end:
		s.end(ClientQuit, nil, nil)
	case ok:
		s.runCommand(query)
	case d.running == nil:
		s.client.ResumeReads()
	}
}

// runCommand carries out a command of the console on a goroutine of its own.
func (s *Session) runCommand(text string) {
	d := s.sh.desk
	s.client.PauseReads()
	ctx, cancel := context.WithCancelCause(d.ctx)
	d.running = cancel
	go func() {
		answer := s.p.console.Run(ctx, s.user, s.sh.found.Admin, text)
		cancel(nil)
		s.on.loop.Run(func() { s.answerCommand(answer) })
	}()
}

// answerCommand tells the client what came of its command.
func (s *Session) answerCommand(a codec.Answer) {
	if s.stage != stageRelay {
		return
	}
	d, t := s.sh.desk, &s.on.turn
	t.Client.Open(s.client)
	d.more = d.desk.Answer(a, t)
	t.Flush()
	s.moreAnswer()
}

// moreAnswer goes on with an answer while the client takes it in, and then with the next command.
func (s *Session) moreAnswer() {
	d, t := s.sh.desk, &s.on.turn
	for d.more && s.stage == stageRelay {
		if s.client.Full() {
			return // until OnRoom
		}
		t.Client.Open(s.client)
		d.more = d.desk.More(t)
		t.Flush()
	}
	if s.stage != stageRelay {
		return
	}
	d.running = nil
	if s.leaving != nil {
		s.leaveIfSafe()
		return
	}
	s.deskBytes(nil)
}

// endDesk ends a session with the console.
func (s *Session) endDesk() {
	s.sh.desk.cancel(context.Canceled)
	s.p.consoles.Add(-1)
}

// Consoles is the number of sessions with the admin console.
func (p *Proxy) Consoles() int { return int(p.consoles.Load()) }
