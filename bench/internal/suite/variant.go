package suite

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Variant is Sluice once more, with other settings or of another build, to be compared in one run.
type Variant struct {
	Name    string
	Program string   // "" = the same
	Env     []string // KEY=VALUE
}

// ParseVariant reads NAME:KEY=VALUE,KEY=VALUE. The key BIN names another program; all others become
// environment variables: Sluice's own (SLUICE_ENGINE_LOOPS) or the Go runtime's (GOGC).
func ParseVariant(text string) (Variant, error) {
	name, settings, ok := strings.Cut(text, ":")
	if !ok || name == "" || settings == "" {
		return Variant{}, fmt.Errorf("variant %q: want NAME:KEY=VALUE,…", text)
	}
	v := Variant{Name: name}
	for setting := range strings.SplitSeq(settings, ",") {
		key, value, ok := strings.Cut(setting, "=")
		if !ok || key == "" {
			return Variant{}, fmt.Errorf("variant %q: %q is not KEY=VALUE", text, setting)
		}
		if key == "BIN" {
			v.Program = value
			continue
		}
		v.Env = append(v.Env, setting)
	}
	return v, nil
}

func (v Variant) contender() Contender {
	return Contender{
		Name:  v.Name,
		About: strings.Join(slices.DeleteFunc(append([]string{"Sluice,", v.Program}, v.Env...), func(s string) bool { return s == "" }), " "),
		TLS:   tlsEnds,
		Pools: true,
		start: func(ctx context.Context, at station) (running, error) {
			at.env = v.Env
			if v.Program != "" {
				at.program = v.Program
			}
			return startSluice(ctx, at)
		},
	}
}

// ParseProgram reads NAME=PATH, where a contender's program is.
func ParseProgram(text string) (name, path string, err error) {
	name, path, ok := strings.Cut(text, "=")
	isIt := func(c Contender) bool { return c.Name == name && c.program != "" }
	if !ok || path == "" || !slices.ContainsFunc(contenders, isIt) {
		return "", "", fmt.Errorf("contender %q: want NAME=PATH, with the name of a contender that is a program", text)
	}
	return name, path, nil
}
