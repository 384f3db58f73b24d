package suite

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"sluice/bench/internal/child"
)

// Relay is a program that a flag names: one that moves bytes of any protocol and is started as
// PROGRAM FLAG… LISTEN-HOST:PORT SERVER-HOST:PORT.
type Relay struct {
	Name    string
	Program string
	Args    []string // before the two addresses
}

// ParseRelay reads NAME:PROGRAM,FLAG,FLAG… A flag with a value is written -flag=value.
func ParseRelay(text string) (Relay, error) {
	name, command, ok := strings.Cut(text, ":")
	words := strings.Split(command, ",")
	if !ok || name == "" || slices.Contains(words, "") {
		return Relay{}, fmt.Errorf("relay %q: want NAME:PROGRAM,FLAG,…", text)
	}
	if slices.ContainsFunc(contenders, func(c Contender) bool { return c.Name == name }) {
		return Relay{}, fmt.Errorf("relay %q: there is a contender %s", text, name)
	}
	return Relay{Name: name, Program: words[0], Args: words[1:]}, nil
}

func (r Relay) contender() Contender {
	return Contender{
		Name:  r.Name,
		About: strings.Join(append([]string{"the relay program", filepath.Base(r.Program)}, r.Args...), " "),
		TLS:   tlsPasses,
		start: func(ctx context.Context, at station) (running, error) {
			args := slices.Concat([]string{r.Program}, r.Args, []string{at.listen, at.server})
			return startListening(ctx, at.listen, child.Spec{Name: r.Name, Dir: at.dir, Args: args})
		},
	}
}
