package main

import (
	"context"
	"errors"
	"strings"

	"go.uber.org/zap"

	"sluice/codec"
	"sluice/conf"
	"sluice/engine/console"
	"sluice/engine/session"
)

// consoleDesk gives the console to the sessions that ask for it in their protocol.
type consoleDesk struct{ c *console.Console }

var _ session.Console = consoleDesk{}

// Run carries out a command of a client.
func (d consoleDesk) Run(ctx context.Context, user string, admin bool, text string) codec.Answer {
	return d.c.Run(ctx, console.Who{User: user, Admin: admin}, text)
}

// Columns returns the columns of what a command shows.
func (d consoleDesk) Columns(text string) []codec.Column { return d.c.Columns(text) }

// consoleSource is what the console shows and orders about: the process.
type consoleSource struct{ p *process }

var _ console.Source = consoleSource{}

// Ordered notes an order. The words are the operator's own; they hold no secret, as no order takes one.
func (s consoleSource) Ordered(who console.Who, command string) {
	s.p.every.Info("console order", zap.String("user", who.User), zap.String("command", command))
}

// sessionErrors are the proxy's errors in the console's words.
var sessionErrors = []struct{ is, as error }{
	{session.ErrNoDatabase, console.ErrNoDatabase},
	{session.ErrNotPaused, console.ErrNotPaused},
	{session.ErrNoClient, console.ErrNoClient},
	{conf.ErrUnknownKey, console.ErrNoSetting},
	{conf.ErrFixedKey, console.ErrFixed},
}

// inConsoleWords translates an error.
func inConsoleWords(err error) error {
	for _, e := range sessionErrors {
		if errors.Is(err, e.is) {
			return e.as
		}
	}
	return err
}

func (s consoleSource) Pause(ctx context.Context, database string) error {
	return inConsoleWords(s.p.proxy.Pause(ctx, database))
}

func (s consoleSource) WaitClose(ctx context.Context, database string) error {
	return inConsoleWords(s.p.proxy.WaitClose(ctx, database))
}

func (s consoleSource) Resume(database string) error {
	return inConsoleWords(s.p.proxy.Resume(database))
}

func (s consoleSource) Disable(database string) error {
	return inConsoleWords(s.p.proxy.Disable(database))
}

func (s consoleSource) Enable(database string) error {
	return inConsoleWords(s.p.proxy.Enable(database))
}

func (s consoleSource) Kill(database string) error { return inConsoleWords(s.p.proxy.Kill(database)) }

func (s consoleSource) KillClient(id uint64) error { return inConsoleWords(s.p.proxy.KillClient(id)) }

func (s consoleSource) Reconnect(database string) error {
	return inConsoleWords(s.p.proxy.Reconnect(database))
}

// Reload reads the configuration file again. An error has the problems one on a line each; a client is
// told them on one.
func (s consoleSource) Reload() error {
	if err := s.p.reload(); err != nil {
		return errors.New(strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; "))
	}
	return nil
}

// Set changes one setting until the next reload.
func (s consoleSource) Set(key, value string) error { return inConsoleWords(s.p.set(key, value)) }

// Shutdown has the process end.
func (s consoleSource) Shutdown(how console.Shutdown) error {
	select {
	case s.p.orders <- how:
		return nil
	default:
		return errors.New("the process is on its way out already")
	}
}
