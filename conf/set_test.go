package conf

import (
	"errors"
	"strings"
	"testing"
)

// TestWith changes one key of a configuration and leaves the other one as it was.
func TestWith(t *testing.T) {
	c, err := Parse("f", []byte(good+`listen = "127.0.0.1:6033"`), nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.With("engine.max-connections", "500")
	if err != nil || w.Engine.MaxConnections != 500 || c.Engine.MaxConnections == 500 {
		t.Errorf("got %d, was %d, %v", w.Engine.MaxConnections, c.Engine.MaxConnections, err)
	}
	if w, err = c.With("engine.shutdown-timeout", "90s"); err != nil || w.Engine.ShutdownTimeout.String() != "1m30s" {
		t.Errorf("got %v, %v", w.Engine.ShutdownTimeout, err)
	}
	if w, err = c.With("log.level", "debug"); err != nil || w.Log.Level != "debug" {
		t.Errorf("got %v, %v", w, err)
	}
	refused := []struct {
		key, value string
		want       error
		words      string
	}{
		{"engine.loops", "3", ErrFixedKey, ""},
		{"log.format", "json", ErrFixedKey, ""},
		{"admin.password", "x", ErrFixedKey, ""},
		{"listener.0.listen", "x", ErrFixedKey, ""},
		{"engine.loop", "3", ErrUnknownKey, ""},
		{"engine", "3", ErrUnknownKey, ""},
		{"max_client_conn", "3", ErrUnknownKey, ""},
		{"", "", ErrUnknownKey, ""},
		{"log.level", "loud", nil, "loud"},
		{"engine.max-connections", "-1", nil, "max-connections"},
		{"engine.max-connections", "many", nil, "many"},
	}
	for _, tt := range refused {
		w, err := c.With(tt.key, tt.value)
		if w != nil || err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.words) {
			t.Errorf("%s = %s: got %v", tt.key, tt.value, err)
		}
		if tt.want != nil && Settable(tt.key) && !errors.Is(err, ErrUnknownKey) {
			t.Errorf("%s is said to be settable", tt.key)
		}
	}
	if !Settable("log.level") || !Settable("engine.max-connections") {
		t.Error("these can be set")
	}
}
