package postgres

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// modelServer behaves like one session of a PostgreSQL server, as far as a client can tell from the
// protocol: prepared statements and portals, transactions and what they roll back, errors and what is
// skipped behind them, COPY, settings and their reports. Its SQL is a handful of statements (modelExec).
//
// https://www.postgresql.org/docs/current/protocol-flow.html
type modelServer struct {
	in  []byte // of a message that is not whole
	out []byte

	base, session map[string]string // settings by default, and as set in the session
	reported      map[string]string
	saved         map[string]string // session, when the transaction began
	stmts         map[string]modelStmt
	portals       map[string]*modelPortal
	temp, locked  bool
	savedTemp     bool

	tx     byte     // 'I', 'T', 'E'
	active bool     // work has been done since the last ReadyForQuery, outside a block
	skip   bool     // to the next Sync
	copy   byte     // 0, 'Q' by a Query, 'E' by an Execute
	rest   []string // statements of the Query that come behind a COPY
	copied int

	written []string              // by the present transaction
	keep    func(marks ...string) // takes them when it commits; may be nil
}

type modelStmt struct {
	text, folded string
	sql          bool
}

type modelPortal struct {
	st   modelStmt
	sent int
}

var modelReported = []string{"DateStyle", "TimeZone", "application_name"}

// modelDefaults are the settings of a session that has set none.
var modelDefaults = map[string]string{
	"DateStyle": "ISO", "TimeZone": "UTC", "application_name": "", "search_path": "public", "work_mem": "4MB",
}

// newModelServer returns a session that began with those settings.
func newModelServer(startup *settings) *modelServer {
	m := &modelServer{base: maps.Clone(modelDefaults), session: map[string]string{}, tx: 'I',
		stmts: map[string]modelStmt{}, portals: map[string]*modelPortal{}, reported: map[string]string{}}
	for _, s := range startup.all() {
		m.base[s.name] = s.value
	}
	for _, name := range modelReported {
		m.reported[name] = m.base[name]
	}
	return m
}

func (m *modelServer) value(name string) string {
	if v, ok := m.session[name]; ok {
		return v
	}
	return m.base[name]
}

func (m *modelServer) say(typ byte, body string) {
	m.out = append(m.out, message(typ, body)...)
}

// modelError is an error with its SQLSTATE.
type modelError struct{ code, text string }

func (m *modelServer) fail(e *modelError) {
	m.say('E', "SERROR\x00VERROR\x00C"+e.code+"\x00M"+e.text+"\x00\x00")
	m.copy = 0
	if m.tx == 'T' {
		m.tx = 'E'
	}
	if m.tx == 'I' {
		m.undo()
	}
	clear(m.portals)
}

// work begins a transaction of its own for a statement outside a block.
func (m *modelServer) work() {
	if m.tx == 'I' && !m.active {
		m.active = true
		m.saved, m.savedTemp = maps.Clone(m.session), m.temp
	}
}

// undo rolls back.
func (m *modelServer) undo() {
	if m.saved != nil {
		m.session, m.temp = m.saved, m.savedTemp
	}
	m.saved, m.active, m.written = nil, false, nil
	clear(m.portals)
}

// commit ends the transaction well.
func (m *modelServer) commit() {
	if m.keep != nil {
		m.keep(m.written...)
	}
	m.saved, m.active, m.written = nil, false, nil
	clear(m.portals)
}

// ready is the end of a command.
func (m *modelServer) ready() {
	if m.tx == 'I' {
		m.commit()
	}
	for _, name := range modelReported {
		if v := m.value(name); v != m.reported[name] {
			m.reported[name] = v
			m.say('S', name+"\x00"+v+"\x00")
		}
	}
	m.say('Z', string(m.tx))
}

// feed takes bytes of the client.
func (m *modelServer) feed(p []byte) {
	m.in = append(m.in, p...)
	for len(m.in) >= headerSize {
		n := 1 + int(binary.BigEndian.Uint32(m.in[1:]))
		if len(m.in) < n {
			return
		}
		m.message(m.in[0], m.in[headerSize:n])
		m.in = m.in[n:]
	}
}

func (m *modelServer) message(typ byte, body []byte) {
	if m.copy != 0 {
		m.copyMessage(typ, body)
		return
	}
	switch typ {
	case 'S':
		m.skip = false
		m.ready()
		return
	case 'Q':
		if m.skip {
			return
		}
		m.query(string(body[:len(body)-1]))
		return
	case 'd', 'c', 'f', 'H', 'X':
		return
	}
	if m.skip {
		return
	}
	if e := m.extended(typ, body); e != nil {
		m.fail(e)
		m.skip = true
	}
}

// copyMessage is a message while data is awaited.
func (m *modelServer) copyMessage(typ byte, body []byte) {
	by := m.copy
	var e *modelError
	switch typ {
	case 'd':
		if m.copied++; !bytes.Contains(body, []byte("bad")) {
			return
		}
		e = &modelError{"22P02", "bad data"}
	case 'c':
		m.copy = 0
		m.say('C', fmt.Sprintf("COPY %d\x00", m.copied))
		if by == 'Q' {
			m.statements(m.rest)
		}
		return
	case 'f':
		e = &modelError{"57014", "COPY from stdin failed"}
	case 'S', 'H':
		return
	default:
		e = &modelError{"08P01", "unexpected message"}
	}
	m.fail(e)
	if by == 'Q' {
		m.ready()
	} else {
		m.skip = true
	}
}

// query runs a string of statements.
func (m *modelServer) query(text string) {
	delete(m.stmts, "")
	if strings.HasPrefix(text, "SELECT ") {
		m.sluice(text)
		return
	}
	var list []string
	for s := range strings.SplitSeq(text, ";") {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		m.say('I', "")
	}
	m.statements(list)
}

func (m *modelServer) statements(list []string) {
	for i, text := range list {
		st, e := m.prepare(text)
		if e == nil {
			e = m.exec(&modelPortal{st: st}, 0, true)
		}
		if e != nil {
			m.fail(e)
			break
		}
		if m.copy != 0 {
			m.copy, m.rest = 'Q', list[i+1:]
			return
		}
	}
	m.ready()
}

// prepare parses a statement.
func (m *modelServer) prepare(text string) (st modelStmt, e *modelError) {
	if text == "" {
		return st, nil
	}
	if verb := strings.Fields(text)[0]; verb == "broken" || verb == "prepare" && len(strings.Fields(text)) < 4 {
		return st, &modelError{"42601", "syntax error"}
	}
	verb, _, _ := strings.Cut(text, " ")
	text = strings.ToLower(verb) + text[len(verb):]
	if m.tx == 'E' && !ends(text) {
		return st, errModelAborted
	}
	m.work()
	st.text = text
	if name, ok := strings.CutPrefix(text, "folded "); ok {
		st.folded = m.value(name)
	}
	return st, nil
}

// ends tells what may run in a failed transaction.
func ends(text string) bool { return text == "commit" || text == "rollback" }

var errModelAborted = &modelError{"25P02", "current transaction is aborted, commands ignored until end of transaction block"}

// extended runs a message of the extended protocol.
func (m *modelServer) extended(typ byte, body []byte) *modelError {
	parts := strings.Split(string(body), "\x00")
	switch typ {
	case 'P':
		return m.parse(parts[0], parts[1])
	case 'B':
		st, ok := m.stmts[parts[1]]
		switch {
		case !ok:
			return modelUnknown(parts[1])
		case m.tx == 'E' && !ends(st.text):
			return errModelAborted
		}
		m.work()
		m.portals[parts[0]] = &modelPortal{st: st}
		m.say('2', "")
	case 'D':
		return m.describe(parts[0][0], parts[0][1:])
	case 'C':
		if name := parts[0][1:]; parts[0][0] == 'S' {
			delete(m.stmts, name)
		} else {
			delete(m.portals, name)
		}
		m.say('3', "")
	case 'E':
		p, ok := m.portals[parts[0]]
		if !ok {
			return &modelError{"34000", "portal \"" + parts[0] + "\" does not exist"}
		}
		limit := int(binary.BigEndian.Uint32(body[len(body)-4:]))
		return m.exec(p, limit, false)
	}
	return nil
}

func modelUnknown(name string) *modelError {
	if name == "" {
		return &modelError{"26000", "unnamed prepared statement does not exist"}
	}
	return &modelError{"26000", "prepared statement \"" + name + "\" does not exist"}
}

func (m *modelServer) parse(name, text string) *modelError {
	if name == "" {
		delete(m.stmts, "")
	}
	st, e := m.prepare(text)
	if e != nil {
		return e
	}
	return m.store(name, st)
}

func (m *modelServer) store(name string, st modelStmt) *modelError {
	if _, taken := m.stmts[name]; taken && name != "" {
		return &modelError{"42P05", "prepared statement \"" + name + "\" already exists"}
	}
	m.stmts[name] = st
	if !st.sql {
		m.say('1', "")
	}
	return nil
}

func (m *modelServer) describe(kind byte, name string) *modelError {
	var st modelStmt
	if kind == 'S' {
		s, ok := m.stmts[name]
		if !ok {
			return modelUnknown(name)
		}
		st = s
	} else {
		p, ok := m.portals[name]
		if !ok {
			return &modelError{"34000", "portal \"" + name + "\" does not exist"}
		}
		st = p.st
	}
	if m.tx == 'E' && hasRows(st.text) {
		return errModelAborted
	}
	m.work()
	if kind == 'S' {
		m.say('t', "\x00\x00")
	}
	if hasRows(st.text) {
		m.say('T', modelRow)
	} else {
		m.say('n', "")
	}
	return nil
}

const modelRow = "\x00\x01x\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x19\xff\xff\xff\xff\xff\xff\x00\x00"

func hasRows(text string) bool {
	verb, _, _ := strings.Cut(text, " ")
	return verb == "select" || verb == "show" || verb == "folded" || verb == "rows" || verb == "execute"
}

// exec runs a statement.
func (m *modelServer) exec(p *modelPortal, limit int, simple bool) *modelError {
	w := strings.Fields(p.st.text)
	if m.tx == 'E' && !ends(p.st.text) {
		return errModelAborted
	}
	m.work()
	if hasRows(p.st.text) {
		return m.rows(p, w, limit, simple)
	}
	tag := strings.ToUpper(w[0])
	switch w[0] {
	case "set":
		m.session[w[1]] = w[3]
	case "reset":
		delete(m.session, w[1])
	case "write":
		m.written = append(m.written, w[1])
		tag = "INSERT 0 1"
	case "begin":
		m.tx = 'T'
	case "commit", "rollback":
		if len(w) > 1 {
			return &modelError{"3B001", "savepoint does not exist"}
		}
		if m.tx == 'E' {
			tag = "ROLLBACK"
		}
		m.tx = 'I'
		if tag == "ROLLBACK" {
			m.undo()
		} else {
			m.commit()
		}
	case "fail":
		return &modelError{"22012", "division by zero"}
	case "create":
		tag, m.temp = "CREATE TABLE", true
	case "drop":
		tag, m.temp = "DROP TABLE", false
	case "copy":
		m.copy, m.copied = 'E', 0
		m.say('G', "\x00\x00\x00")
		return nil
	case "prepare":
		st, e := m.prepare(strings.Join(w[3:], " "))
		if e != nil {
			return e
		}
		st.sql = true
		if e := m.store(w[1], st); e != nil {
			return e
		}
	case "deallocate":
		if w[1] == "all" {
			clear(m.stmts)
			tag = "DEALLOCATE ALL"
			break
		}
		if _, ok := m.stmts[w[1]]; !ok {
			return modelUnknown(w[1])
		}
		delete(m.stmts, w[1])
	case "discard":
		if w[1] == "SEQUENCES" {
			tag = "DISCARD SEQUENCES"
			break
		}
		if m.tx != 'I' || !simple {
			return &modelError{"25001", "DISCARD ALL cannot run inside a transaction block"}
		}
		tag = "DISCARD ALL"
		m.session, m.temp, m.locked = map[string]string{}, false, false
		clear(m.stmts)
	}
	m.say('C', tag+"\x00")
	return nil
}

// rows runs a statement that has rows.
func (m *modelServer) rows(p *modelPortal, w []string, limit int, simple bool) *modelError {
	value, total := "", 1
	switch w[0] {
	case "execute":
		st, ok := m.stmts[w[1]]
		if !ok {
			return modelUnknown(w[1])
		}
		return m.rows(&modelPortal{st: st}, strings.Fields(st.text), limit, simple)
	case "select":
		value = w[1]
		switch value {
		case "pg_advisory_lock(1)":
			m.locked = true
		case "pg_advisory_unlock(1)":
			m.locked = false
		case "temp_or_lock":
			value = fmt.Sprint(m.temp, m.locked)
		}
	case "show":
		value = m.value(w[1])
	case "folded":
		value = p.st.folded
	case "rows":
		total, _ = strconv.Atoi(w[1])
		value = "row"
	}
	if simple {
		m.say('T', modelRow)
	}
	n := 0
	for ; p.sent < total && (limit == 0 || n < limit); n++ {
		p.sent++
		m.say('D', string(dataRow(value)))
	}
	if limit > 0 && n == limit {
		m.say('s', "")
		return nil
	}
	m.say('C', fmt.Sprintf("SELECT %d\x00", n))
	return nil
}

var (
	modelSwitch = regexp.MustCompile(`pg_catalog\.set_config\('([^']*)',(?:NULL|'([^']*)'),(false)\)`)
	modelName   = regexp.MustCompile(`\('(\d+)',pg_catalog\.current_setting\('([^']*)',true\)\)`)
)

// sluice answers the queries that Sluice itself asks.
func (m *modelServer) sluice(text string) {
	m.work()
	m.say('T', modelRow)
	n := 0
	row := func(kind, name, value string) {
		n++
		m.say('D', string(dataRow(kind, name, hex.EncodeToString([]byte(value)))))
	}
	for _, x := range modelSwitch.FindAllStringSubmatch(text, -1) {
		if m.session[x[1]] = x[2]; strings.Contains(x[0], "NULL") {
			delete(m.session, x[1])
		}
	}
	if strings.Contains(text, "pg_settings") {
		for _, name := range slices.Sorted(maps.Keys(m.session)) {
			if !strings.Contains(name, ".") {
				row("S", name, m.session[name])
			}
		}
		row("R", "", "none")
		row("U", "", "me")
	}
	for _, x := range modelName.FindAllStringSubmatch(text, -1) {
		if v := m.value(x[2]); v != "" {
			row("C", x[1], v)
		}
	}
	if strings.Contains(text, sqlTemp) && m.temp {
		row("T", "", "")
	}
	if strings.Contains(text, sqlLocks) && m.locked {
		row("L", "", "")
	}
	if strings.Contains(text, sqlPrepared) {
		for name, st := range m.stmts {
			if st.sql && !strings.HasPrefix(name, namePrefix) {
				row("P", "", "")
				break
			}
		}
	}
	m.say('C', fmt.Sprintf("SELECT %d\x00", n))
	m.ready()
}
