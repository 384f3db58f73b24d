package postgres

import (
	"encoding/binary"
	"strconv"

	"sluice/codec"
)

// sqlPosition asks a server how far it is in the write-ahead log, in words that need no privilege and no
// search_path, and are the same in PostgreSQL 10 to 18. A primary tells where the next record will begin:
// whatever is committed by now, with synchronous_commit off too, lies before it. A standby tells the end of
// the last record that it has replayed, which its queries see from then on. A primary's timeline is the front
// of the name of the file that it writes.
//
//   - https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-BACKUP
//   - https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-RECOVERY-CONTROL
//   - https://www.postgresql.org/docs/current/runtime-config-preset.html
const sqlPosition = "SELECT pg_catalog.pg_is_in_recovery(),CASE WHEN pg_catalog.pg_is_in_recovery() THEN " +
	"pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_insert_lsn() END," +
	"pg_catalog.current_setting('wal_block_size'),pg_catalog.current_setting('wal_segment_size')," +
	"CASE WHEN pg_catalog.pg_is_in_recovery() THEN '' ELSE " +
	"pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()),1,8) END"

// position is the answer to sqlPosition.
type position struct {
	at codec.Position
	ok bool
}

// Locate asks the server for its position.
func (h *host) Locate(t *codec.Turn) {
	h.position = position{}
	h.write(owePosition, 0, sqlPosition, t)
}

// Position is what the last Locate was answered.
func (h *host) Position() (at codec.Position, ok bool) { return h.position.at, h.position.ok }

// locatedBy takes a row of the answer.
func (h *host) locatedBy(body []byte) {
	h.position.at, h.position.ok = readPosition(body)
}

// readPosition reads the row: whether the server is in recovery, its position, the sizes of the log's pages and
// files, and the timeline of a primary.
func readPosition(body []byte) (at codec.Position, ok bool) {
	var c [5][]byte
	if len(body) < 2 || binary.BigEndian.Uint16(body) != uint16(len(c)) {
		return at, false
	}
	body = body[2:]
	for i := range c {
		if len(body) < 4 {
			return at, false
		}
		n := binary.BigEndian.Uint32(body)
		if body = body[4:]; uint64(n) > uint64(len(body)) { // NULL is 0xffffffff: nothing was replayed yet
			return at, false
		}
		c[i], body = body[:n], body[n:]
	}
	log, ok1 := parseLSN(c[1])
	page, ok2 := parseSize(c[2])
	file, ok3 := parseSize(c[3])
	timeline, ok4 := parseHex(c[4])
	recovery := string(c[0])
	if len(body) > 0 || !ok1 || !ok2 || !ok3 || !ok4 && len(c[4]) > 0 || recovery != "t" && recovery != "f" {
		return at, false
	}
	return codec.Position{Log: endOfRecord(log, page, file), Replica: recovery == "t", Timeline: timeline}, true
}

// Bytes of the headers at the begin of a page of the log, and of the first page of a file.
//
// https://www.postgresql.org/docs/current/wal-internals.html
const (
	pageHeader = 24
	fileHeader = 40
)

// endOfRecord turns the place where the next record will begin into the end of the last one. They differ
// where a page begins: its header lies between them, and a standby that has replayed everything is in
// front of it. No record ends right behind a header: at least a part of it stands there.
func endOfRecord(lsn, page, file uint64) uint64 {
	switch {
	case lsn%file == fileHeader:
		return lsn - fileHeader
	case lsn%page == pageHeader:
		return lsn - pageHeader
	}
	return lsn
}

// parseLSN reads a position as the server writes it: two numbers of 32 bits in hex, "16/B374D848".
//
// https://www.postgresql.org/docs/current/datatype-pg-lsn.html
func parseLSN(b []byte) (lsn uint64, ok bool) {
	slash := -1
	for i, c := range b {
		if c == '/' {
			slash = i
			break
		}
	}
	if slash < 0 {
		return 0, false
	}
	high, ok1 := parseHex(b[:slash])
	low, ok2 := parseHex(b[slash+1:])
	return high<<32 | low, ok1 && ok2
}

// parseHex reads one to eight digits.
func parseHex(b []byte) (n uint64, ok bool) {
	if len(b) == 0 || len(b) > 8 {
		return 0, false
	}
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | uint64(c-'0')
		case 'A' <= c && c <= 'F':
			n = n<<4 | uint64(c-'A'+10)
		case 'a' <= c && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

// parseSize reads a number of bytes, with its unit if it has one: "8192", "16MB".
//
// https://www.postgresql.org/docs/current/config-setting.html#CONFIG-SETTING-NAMES-VALUES
func parseSize(b []byte) (n uint64, ok bool) {
	shift := 0
	if len(b) > 2 && b[len(b)-1] == 'B' {
		switch b[len(b)-2] {
		case 'k':
			shift = 10
		case 'M':
			shift = 20
		case 'G':
			shift = 30
		}
		if shift > 0 {
			b = b[:len(b)-2]
		}
	}
	n, err := strconv.ParseUint(string(b), 10, 32)
	return n << shift, err == nil && n > 0
}
