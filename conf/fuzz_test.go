package conf

import (
	"errors"
	"strings"
	"testing"
)

// FuzzParse: whatever a file or a variable holds, there is a configuration or there are problems, each
// in one line; and what was accepted can be written and read again without a change.
func FuzzParse(f *testing.F) {
	f.Add("", "")
	f.Add(string(Shipped), "SLUICE_ENGINE_LOOPS=1")
	f.Add(examples(), "SLUICE_LISTENER_0_ROLES=sync,async")
	f.Add(good+`listen = "127.0.0.1:6033"`, "SLUICE_CLUSTER_0_BACKENDS=a:1/leader/z,[::1]:2")
	f.Add(everything, "SLUICE_LISTENER_1_ALLOW=10.0.0.0/8")
	f.Add("[[user]]\n[cluster.tls]\na.b.c = [{x = 1}, [2]]", "SLUICE_PORT=tcp://a")
	f.Fuzz(func(t *testing.T, file, variable string) {
		c, err := Parse("f", []byte(file), []string{variable})
		if err != nil {
			var problems Errors
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("not a list of problems: %v", err)
			}
			if got := strings.Count(err.Error(), "\n") + 1; got != len(problems) {
				t.Fatalf("%d problems in %d lines:\n%v", len(problems), got, err)
			}
			return
		}
		text, err := c.TOML()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse("f", text, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		for _, key := range Diff(c, back).Settings {
			if key != "admin.password" {
				t.Errorf("%s came back changed from\n%s", key, text)
			}
		}
	})
}
