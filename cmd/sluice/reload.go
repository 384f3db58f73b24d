package main

import (
	"fmt"
	"os"

	"go.uber.org/zap"

	"sluice/conf"
)

// reload puts the file's present content in force. A file with a problem changes nothing.
func (p *process) reload() error {
	p.changing.Lock()
	defer p.changing.Unlock()
	notify(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonicMicros()))
	defer notify("READY=1\nSTATUS=serving")
	running := p.cfg.Load()
	read, err := conf.Load(p.path, os.Environ())
	var cfg *conf.Config
	if err == nil {
		// What can't change goes on, and must make sense together with what does: the credentials of
		// an admin side that stays open to the network, say.
		cfg = read.Keep(running)
		err = cfg.Check()
	}
	if err == nil {
		err = p.apply(cfg)
	}
	if err != nil {
		p.log.Error("reload failed, the configuration in force stays", zap.Error(err))
		return err
	}
	if fixed := conf.Diff(running, read).Fixed; len(fixed) > 0 {
		p.log.Warn("these settings need a restart to change", zap.Strings("keys", fixed))
	}
	p.log.Info("reloaded", zap.Stringer("changes", conf.Diff(running, cfg)))
	return nil
}

// set puts another value of one key in force, until the next reload.
func (p *process) set(key, value string) error {
	return p.change(func(c *conf.Config) (*conf.Config, error) { return c.With(key, value) })
}

// change puts a changed configuration in force, until the next reload.
func (p *process) change(how func(*conf.Config) (*conf.Config, error)) error {
	p.changing.Lock()
	defer p.changing.Unlock()
	cfg, err := how(p.cfg.Load())
	if err != nil {
		return err
	}
	return p.apply(cfg)
}

// apply puts a configuration in force that has been checked but for the files that it names. On an error
// all stays as it was.
func (p *process) apply(cfg *conf.Config) error {
	if err := cfg.CheckFiles(); err != nil {
		return err
	}
	setup, err := setupOf(cfg, p.log)
	if err != nil {
		return err
	}
	if err := p.proxy.Apply(setup); err != nil {
		return err
	}
	p.level.SetLevel(levelOf(cfg))
	tuneMemory(cfg)
	p.cfg.Store(cfg)
	return nil
}
