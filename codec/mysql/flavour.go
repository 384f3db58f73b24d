package mysql

import "bytes"

// serverKind is a relation of the MySQL family. State is carried between servers of one kind.
type serverKind uint8

const (
	kindMySQL serverKind = iota
	kindMariaDB
	kindTiDB
)

// kindOfServer reads the version of a greeting: "8.0.11-TiDB-v8.5.6", "5.5.5-10.11.6-MariaDB-log". A server
// whose operator lets it say something else is taken for MySQL.
//
//   - https://docs.pingcap.com/tidb/stable/tidb-configuration-file#server-version
//   - https://mariadb.com/kb/en/version/
func kindOfServer(version []byte) serverKind {
	switch {
	case bytes.Contains(version, []byte("TiDB")):
		return kindTiDB
	case bytes.Contains(version, []byte("MariaDB")):
		return kindMariaDB
	}
	return kindMySQL
}

// String returns the kind's name.
func (k serverKind) String() string { return [...]string{"MySQL", "MariaDB", "TiDB"}[k] }
