package tidy

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// imports of a folder: the folders of this module, and the libraries, that its files may import
// besides the standard library. A library stands for its packages too.
type may struct {
	folders   []string
	libraries []string
}

const (
	gnet    = "github.com/panjf2000/gnet/v2"
	buffers = "github.com/valyala/bytebufferpool"
	sys     = "golang.org/x/sys"
	metrics = "github.com/VictoriaMetrics/metrics"
	tomlLib = "github.com/pelletier/go-toml/v2"
	zstd    = "github.com/klauspost/compress"
	json    = "github.com/valyala/fastjson" // for the states of TiDB's sessions
	netpoll = "github.com/cloudwego/netpoll"
	pgx     = "github.com/jackc/pgx/v5"        // for what Sluice itself asks and hears
	driver  = "github.com/go-sql-driver/mysql" // for the control account alone
	zap     = "go.uber.org/zap"
	cobra   = "github.com/spf13/cobra"
	etcd    = "go.etcd.io/etcd/client/v3" // where Patroni, and PD, keep a cluster's state
	etcdAPI = "go.etcd.io/etcd/api/v3"    // what its client gives and takes
	grpc    = "google.golang.org/grpc"    // what that client's connections are to be like
	yaml    = "go.yaml.in/yaml/v3"        // configurations of others, for convert

	saslprep = "github.com/xdg-go/stringprep"
	ed25519  = "filippo.io/edwards25519" // for MariaDB's client_ed25519, whose keys are no seeds
)

// mayImport is the architecture, one row for each folder:
//
//	         cmd/sluice            puts the parts together; the only reader of conf
//	              │
//	       engine/session          the only place where the four below meet
//	  ┌───────┬───┴───┬────────┐
//	  ▼       ▼       ▼        ▼
//	codec   router  engine  upstream ──▶ engine, codec, router
//
// codec, router, engine and conf are leaves. A child imports its parent, never the reverse, and no
// child imports its sibling. Tests are free to import more.
var mayImport = map[string]may{
	"codec":            {},
	"codec/mysql":      {folders: []string{"codec"}, libraries: []string{ed25519, zstd, json}},
	"codec/postgres":   {folders: []string{"codec"}, libraries: []string{saslprep}},
	"codec/proxyproto": {},
	"codec/tcp":        {folders: []string{"codec"}},
	"router":           {},
	"router/access":    {folders: []string{"codec"}},
	"engine":           {libraries: []string{buffers, gnet, sys}},
	"engine/console":   {folders: []string{"codec"}},
	"engine/session":   {folders: []string{"codec", "codec/proxyproto", "engine", "router", "router/access", "upstream", "upstream/pool"}, libraries: []string{metrics, sys, zap}},
	"upstream":         {folders: []string{"codec", "codec/proxyproto", "engine", "router", "router/access"}, libraries: []string{driver, netpoll, pgx, sys, zap}},
	"upstream/pool":    {},
	"upstream/patroni": {folders: []string{"router", "upstream"}, libraries: []string{etcd, etcdAPI, grpc, zap}},
	"upstream/tidb":    {folders: []string{"router", "upstream"}, libraries: []string{etcd, etcdAPI, grpc, zap}},
	"conf":             {libraries: []string{tomlLib}},
	"cmd/sluice": {
		folders: []string{
			"codec", "codec/mysql", "codec/postgres", "codec/tcp", "conf", "engine", "engine/console", "engine/session",
			"router", "router/access", "upstream", "upstream/patroni", "upstream/pool", "upstream/tidb",
		},
		libraries: []string{buffers, cobra, metrics, sys, tomlLib, yaml, zap},
	},
	"cmd/tidy": {},
}

// benchMay are the folders that bench may import, in tests as well: it measures the program from
// outside and speaks the protocols.
var benchMay = []string{"codec", "codec/mysql", "codec/postgres", "codec/tcp"}

func TestImports(t *testing.T) {
	files := repository(t)
	rowless := map[string]bool{}
	for _, s := range files {
		if s.file == nil {
			continue
		}
		if s.folder == "bench" || strings.HasPrefix(s.folder, "bench/") {
			checkBench(t, s)
			continue
		}
		row, known := mayImport[s.folder]
		if !known {
			rowless[s.folder] = true
			continue
		}
		if s.isTest() {
			continue
		}
		for _, p := range imports(s.file) {
			if why := row.refuses(p); why != "" {
				t.Errorf("%s: %s %s", s.path, s.folder, why)
			}
		}
	}
	for folder := range rowless {
		t.Errorf("%s: has no row in mayImport", folder)
	}
}

// refuses says why a folder with this row may not import p, or "".
func (m may) refuses(p string) string {
	folder, ours := folderOf(p)
	switch {
	case ours && !slices.Contains(m.folders, folder):
		return "must not import " + folder
	case ours || isStandard(p):
		return ""
	case slices.ContainsFunc(m.libraries, func(lib string) bool { return p == lib || strings.HasPrefix(p, lib+"/") }):
		return ""
	}
	return "must not import the library " + p
}

func checkBench(t *testing.T, s source) {
	for _, p := range imports(s.file) {
		folder, ours := folderOf(p)
		if ours && folder != "bench" && !strings.HasPrefix(folder, "bench/") && !slices.Contains(benchMay, folder) {
			t.Errorf("%s: bench must not import %s", s.path, folder)
		}
	}
}

// folderOf returns the folder of an import path, and whether it is in this repository.
func folderOf(p string) (string, bool) {
	if p == module {
		return ".", true
	}
	return strings.CutPrefix(p, module+"/")
}

// isStandard tells packages of the standard library: their first part has no dot.
func isStandard(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !strings.Contains(first, ".")
}

// TestRules tries the rules themselves.
func TestRules(t *testing.T) {
	tests := []struct {
		folder, imports, want string
	}{
		{"router", "sluice/codec", "must not import codec"},
		{"router", "net/netip", ""},
		{"codec/mysql", "sluice/codec", ""},
		{"codec/mysql", "sluice/codec/postgres", "must not import codec/postgres"},
		{"codec/mysql", "github.com/klauspost/compress/zstd", ""},
		{"codec/postgres", "github.com/klauspost/compress/zstd", "must not import the library github.com/klauspost/compress/zstd"},
		{"engine", "sluice/engine/session", "must not import engine/session"},
		{"engine/session", "sluice/conf", "must not import conf"},
		{"engine/session", "github.com/panjf2000/gnet/v2", "must not import the library github.com/panjf2000/gnet/v2"},
		{"cmd/sluice", "sluice/conf", ""},
	}
	for _, tt := range tests {
		if got := mayImport[tt.folder].refuses(tt.imports); got != tt.want {
			t.Errorf("%s imports %s: got %q, want %q", tt.folder, tt.imports, got, tt.want)
		}
	}
}

// TestRowsKeepTheShape holds the table itself to its two laws: leaves import nothing, and no child
// imports its sibling.
func TestRowsKeepTheShape(t *testing.T) {
	for _, leaf := range []string{"codec", "router", "engine", "conf"} {
		if n := len(mayImport[leaf].folders); n > 0 {
			t.Errorf("%s is a leaf but has %d folders in its row", leaf, n)
		}
	}
	for folder, row := range mayImport {
		for _, other := range row.folders {
			if _, known := mayImport[other]; !known {
				t.Errorf("%s: its row names %s, which has none", folder, other)
			}
			siblings := path.Dir(folder) == path.Dir(other) && path.Dir(folder) != "." && path.Dir(folder) != "cmd"
			if siblings || strings.HasPrefix(other, folder+"/") {
				t.Errorf("%s: its row must not name %s", folder, other)
			}
		}
	}
}
