package mysql

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"sluice/codec"
)

// query adds a statement for the new server.
func (c *replayCarrier) query(text, what string, fails func(*serverFail) error) {
	p := appendQuery(nil, c.k.m.facts.caps, text)
	c.steps = append(c.steps, step{payload: p, what: what, fails: fails})
}

// putSettings sets the role and the variables. What a role allows may be needed for the rest.
//
// Those that every user may set come in one statement. Each other one has its own, so that a refusal has
// a name.
func (c *replayCarrier) putSettings() {
	role := "NONE"
	if c.old.role != nil {
		role = c.roleName()
	}
	c.query("SET ROLE "+role, "SET ROLE", nil)
	var all []string
	for _, name := range c.common() {
		if v, ok := c.old.find(name); ok {
			all = append(all, assignment(v))
		}
	}
	if len(all) > 0 {
		c.query("SET "+strings.Join(all, ","), "SET", nil)
	}
	for _, v := range c.old.vars {
		if slices.Contains(c.common(), v.name) || slices.Contains(late, v.name) {
			continue
		}
		c.query("SET "+assignment(v), "SET "+v.name, c.cantSet(v.name))
	}
}

// cantSet makes the refusal of a variable a pin.
func (c *replayCarrier) cantSet(name string) func(*serverFail) error {
	return func(err *serverFail) error {
		if err.no.code == errReadOnly {
			c.free[name] = true // it is the server's own
			return nil
		}
		return codec.PinError{Pin: codec.Pin{Name: "variable", Reason: "its variable " + name +
			" can't be set at the new server: " + err.text}}
	}
}

// errReadOnly is the ERR for a variable that a session can't have a value of its own of.
//
// https://mariadb.com/kb/en/mariadb-error-codes/
const errReadOnly = 1621

// late are variables that the statements which come before would use up or change.
var late = []string{"insert_id", "last_insert_id", "rand_seed1", "rand_seed2"}

// assignment is what stands in SET for a variable. Texts are written as hexadecimal digits: no SQL mode and no
// character set reads them in another way.
func assignment(v variable) string {
	switch {
	case v.value == nil:
		return "SESSION " + v.name + "=NULL"
	case v.number:
		return "SESSION " + v.name + "=" + string(v.value)
	case plainWord(v.value):
		return "SESSION " + v.name + "='" + string(v.value) + "'"
	}
	return fmt.Sprintf("SESSION %s=CONVERT(X'%X' USING utf8mb4)", v.name, []byte(v.value))
}

// plainWord tells that a text needs no care between quotes.
func plainWord(b []byte) bool {
	for _, c := range b {
		if !isWord(c) && !bytes.ContainsRune([]byte("-+:/,.= "), rune(c)) || c >= 0x80 {
			return false
		}
	}
	return true
}

// putChunk is about how long a SET of user variables becomes.
const putChunk = 64 << 10

// putUser sets the user variables.
func (c *replayCarrier) putUser() {
	var b strings.Builder
	for i, v := range c.old.user {
		if b.Len() == 0 {
			b.WriteString("SET ")
		} else {
			b.WriteByte(',')
		}
		b.WriteString("@" + quoteName(v.name) + ":=" + v.literal())
		if b.Len() > putChunk || i == len(c.old.user)-1 {
			c.query(b.String(), "SET of user variables", nil)
			b.Reset()
		}
	}
}

// literal writes the value so that it has its type.
func (v *userVariable) literal() string {
	text := string(v.value)
	switch {
	case v.value == nil:
		return "NULL"
	case v.kind == "INT":
		return text
	case v.kind == "INT UNSIGNED":
		return "CAST(" + text + " AS UNSIGNED)"
	case v.kind == "DOUBLE":
		if !strings.ContainsAny(text, "eE") {
			text += "e0"
		}
		return text
	case v.kind == "DECIMAL":
		if !strings.Contains(text, ".") {
			text += "."
		}
		return text
	case v.collation == "binary":
		return fmt.Sprintf("_binary X'%X'", []byte(v.value))
	}
	set, _, _ := strings.Cut(v.collation, "_")
	return fmt.Sprintf("_%s X'%X' COLLATE %s", set, []byte(v.value), v.collation)
}

// putStatements prepares the statements, each where it was prepared, and goes to the current database.
func (c *replayCarrier) putStatements() {
	at := "" // the new server has no database yet
	in := func(db string) {
		if db != at && db != "" {
			at = db
			c.useDB(db)
		}
	}
	list := ordered(c.k.stmts)
	slices.SortStableFunc(list, func(a, b *kept) int { return strings.Compare(a.db, b.db) }) // none first
	for _, st := range list {
		in(st.db)
		payload := append([]byte{comStmtPrepare}, st.text...)
		c.steps = append(c.steps, step{payload: payload, what: "PREPARE", stmt: st, fails: notThere})
	}
	names := make([]string, 0, len(c.k.named))
	for name := range c.k.named {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return strings.Compare(c.k.named[a].db+"\x00"+a, c.k.named[b].db+"\x00"+b)
	})
	for _, name := range names {
		in(c.k.named[name].db)
		c.query(c.k.named[name].text, "PREPARE", notThere)
	}
	in(string(c.old.db))
}

// useDB goes to a database. One that has been dropped at the old server, too, is done without.
func (c *replayCarrier) useDB(db string) {
	var fails func(*serverFail) error
	if db != string(c.old.db) || !c.old.dbThere {
		fails = notThere
	}
	c.steps = append(c.steps, step{payload: append([]byte{comInitDB}, db...), what: "USE", fails: fails})
}

// notThere takes the ERR of what can't be had any more: a statement whose table was dropped gives its client
// an ERR, too, when it is executed.
//
// https://mariadb.com/kb/en/mariadb-error-codes/
func notThere(err *serverFail) error {
	switch err.no.code {
	case 1044, 1046, 1049, 1051, 1054, 1109, 1142, 1143, 1146, 1305, 1370, 1356, 1449, 4091:
		return nil
	}
	return fmt.Errorf("PREPARE at the new server: %w", err)
}

// putLast sets what the commands before would have changed.
func (c *replayCarrier) putLast() {
	for _, name := range late {
		if v, ok := c.old.find(name); ok {
			c.query("SET "+assignment(v), "SET "+name, c.cantSet(name))
		}
	}
	if c.old.stamp != nil {
		c.query("SET SESSION timestamp="+string(c.old.stamp), "SET timestamp", c.cantSet("timestamp"))
	}
}

// roleName is the role as SET ROLE takes it.
func (c *replayCarrier) roleName() string {
	if c.k.m.kind == kindMySQL {
		return string(c.old.role) // a list of quoted names
	}
	return quoteName(string(c.old.role))
}
