package upstream

import (
	"testing"

	"go.uber.org/zap"

	"sluice/codec"
)

// TestSecretsOfNow: a session keeps the options of its login, and with them finds the secrets of after a reload.
func TestSecretsOfNow(t *testing.T) {
	with := func(password string) Options {
		return Options{Name: "c", Migrate: MigrateOptions{Move: &codec.MoveOptions{StateMax: 7,
			Secret: func(user string) codec.Secret { return codec.Secret{Password: user + password} }}}}
	}
	c := NewCluster(with("1"), zap.NewNop())
	defer c.Close()
	kept := c.Options().Migrate.Move
	if got := kept.Secret("app"); got.Password != "app1" || kept.StateMax != 7 {
		t.Errorf("before: %+v, %d", got, kept.StateMax)
	}
	c.Update(with("2"))
	if got := kept.Secret("app"); got.Password != "app2" {
		t.Errorf("behind a reload: %+v", got)
	}
	c.Update(Options{Name: "c"})
	if c.Options().Migrate.Move != nil {
		t.Error("moves are not off")
	}
	if got := kept.Secret("app"); got.Password != "app2" {
		t.Errorf("switched off: %+v", got)
	}
}
