package synth

import (
	"os"
	"testing"
)

// TestMain lets the test binary be the servers and clients.
func TestMain(m *testing.M) {
	RunAsChild()
	os.Exit(m.Run())
}
