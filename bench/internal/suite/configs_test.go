package suite

import (
	"bytes"
	"context"
	"crypto/tls"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the files in testdata anew")

// sampleStation is a place with known addresses.
func sampleStation(db Database, sides Sides) station {
	return station{listen: "127.0.0.1:6000", server: "127.0.0.1:5000", database: db, sides: sides, dir: "/bench",
		certs: certs{cert: "/bench/bench.crt", key: "/bench/bench.key"}, threads: 2, clients: 1000}
}

// funnelStation is the same with server connections that are shared.
func funnelStation(prepared bool) station {
	at := sampleStation(Postgres, tlsNone)
	at.pool, at.prepared = 20, prepared
	return at
}

// TestConfigurations compares what is written for each contender with a file that was held against
// the contender's own examples: the URLs stand beside the functions.
func TestConfigurations(t *testing.T) {
	const admin = "127.0.0.1:7000"
	pg, my := sampleStation(Postgres, tlsNone), sampleStation(MariaDB, tlsNone)
	for name, text := range map[string]string{
		"haproxy.cfg":            haproxyConfig(pg),
		"nginx.conf":             nginxConfig(pg, "/usr/lib/nginx/modules/ngx_stream_module.so"),
		"nginx-static.conf":      nginxConfig(pg, ""),
		"pgbouncer.ini":          pgbouncerConfig(pg),
		"pgbouncer-tls-both.ini": pgbouncerConfig(sampleStation(Postgres, tlsBothSides)),
		"sluice.toml":            sluiceConfig(pg, admin),
		"sluice-tls-client.toml": sluiceConfig(sampleStation(MariaDB, tlsClientSide), admin),
		"sluice-tls-both.toml":   sluiceConfig(sampleStation(Postgres, tlsBothSides), admin),
		"sluice-funnel.toml":     sluiceConfig(funnelStation(true), admin),
		"pgbouncer-funnel.ini":   pgbouncerConfig(funnelStation(true)),
		"pgbouncer-old.ini":      pgbouncerConfig(funnelStation(false)),
		"odyssey-funnel.conf":    odysseyConfig(funnelStation(true)),
		"pg_doorman-funnel.toml": doormanConfig(funnelStation(true)),
		"pgdog-funnel.toml":      pgdogConfig(funnelStation(true)),
		"pgcat-funnel.toml":      pgcatConfig(funnelStation(true)),
		"odyssey.conf":           odysseyConfig(pg),
		"pg_doorman.toml":        doormanConfig(pg),
		"pgdog.toml":             pgdogConfig(pg),
		"pgdog-users.toml":       pgdogUsers,
		"pgcat.toml":             pgcatConfig(pg),
		"proxysql.cnf":           proxysqlConfig(my, admin),
		"tiproxy.toml":           tiproxyConfig(my, admin),
	} {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || string(want) != text {
			t.Errorf("%s: %v; got:\n%s\nwant:\n%s", name, err, text, want)
		}
	}
}

// TestTellTiProxy plays TiProxy's HTTP side and notes what it is told.
func TestTellTiProxy(t *testing.T) {
	var told []string
	status := http.StatusOK
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		told = append(told, r.Method+" "+r.URL.String()+" "+string(body))
		w.WriteHeader(status)
	}))
	defer there.Close()
	addr := strings.TrimPrefix(there.URL, "http://")
	if err := tellTiProxy(context.Background(), addr, "127.0.0.1:4000"); err != nil {
		t.Fatal(err)
	}
	want := `PUT /api/admin/namespace/default {"namespace":"default","backend":{"instances":["127.0.0.1:4000"]}}
POST /api/admin/namespace/commit?namespace=default `
	if got := strings.Join(told, "\n"); got != want {
		t.Errorf("told:\n%s\nwant:\n%s", got, want)
	}
	status = http.StatusBadGateway
	if err := tellTiProxy(context.Background(), addr, "127.0.0.1:4000"); err == nil || !strings.Contains(err.Error(), "502") {
		t.Errorf("got %v; want the status", err)
	}
}

// TestReadHeap plays Sluice's HTTP side: the collection comes before the figures are read.
func TestReadHeap(t *testing.T) {
	profile := "heap profile: 1: 2\n# runtime.MemStats\n# Alloc = 7\n# HeapAlloc = 1234567\n# HeapSys = 9\n"
	collected := false
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.String() {
		case "/debug/pprof/heap?gc=1&debug=1":
			collected = true
			io.WriteString(w, profile)
		case "/metrics":
			if !collected {
				t.Error("the metrics were read first")
			}
			io.WriteString(w, "go_gc_scan_heap_bytes_other 5\ngo_gc_scan_heap_bytes 4567\n")
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer there.Close()
	addr := strings.TrimPrefix(there.URL, "http://")
	if h, err := readHeap(context.Background(), addr); err != nil || h != (heap{live: 1234567, scan: 4567}) {
		t.Errorf("got %+v, %v", h, err)
	}
	profile = "no statistics"
	if h, err := readHeap(context.Background(), addr); err == nil {
		t.Errorf("a profile without figures gave %+v", h)
	}
}

// TestCerts: the certificate is good for the address of the servers, and its key belongs to it.
func TestCerts(t *testing.T) {
	c, err := makeCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Leaf.VerifyHostname("127.0.0.1"); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(c.key)
	if err != nil || !bytes.HasPrefix(text, []byte("-----BEGIN PRIVATE KEY-----")) {
		t.Errorf("the key: %q, %v", text, err)
	}
}

func TestIdleClients(t *testing.T) {
	for files, want := range map[int][2]int{20000: {9900, 10000}, 1 << 20: {10000, 10000}, 1024: {412, 804}, 100: {1, 1}} {
		if got := [2]int{idleClients(files, 0), idleClients(files, 20)}; got != want {
			t.Errorf("with %d descriptors %d clients, and with 20 server connections %d; want %d", files, got[0], got[1], want)
		}
	}
}
