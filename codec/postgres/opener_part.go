package postgres

import (
	"bytes"
	"encoding/binary"

	"sluice/codec"
)

// What a server has to be (codec.Part) is checked at the end of its login, by its own word. Servers from
// PostgreSQL 14 on report it: in_hot_standby, and default_transaction_read_only. Of an older one, or where
// transactions are read-only by default, it is asked: a server that is configured so takes no writes, but
// a user, a database or a client that is set so is nobody else's business.
//
// https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC

// The names of those parameters.
const (
	inHotStandby    = "in_hot_standby"
	readOnlyDefault = "default_transaction_read_only"
)

// sqlPart asks what the server is: whether it is in recovery, and whose setting it is that transactions
// are read-only. It names everything with its schema, as a look does.
const sqlPart = "SELECT pg_catalog.pg_is_in_recovery(),s.setting,s.source FROM pg_catalog.pg_settings s " +
	"WHERE s.name OPERATOR(pg_catalog.=)'" + readOnlyDefault + "'"

// partAnswer is what has come of the answer to sqlPart.
type partAnswer struct {
	rows     int
	recovery bool
	readOnly bool // by the server's configuration
}

// reports is the value of a parameter that was reported; "" if it was not.
func (o *opener) reports(name string) string {
	for _, p := range o.reported {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// checkPart is called when the login is over. It returns OpReady if the server is what it has to be,
// OpMore if it has to be asked.
func (o *opener) checkPart() codec.Op {
	standby, readOnly := o.reports(inHotStandby), o.reports(readOnlyDefault)
	switch {
	case o.cfg.Part == codec.PartAny:
		return codec.OpReady
	case standby == "on":
		return o.isPart(true, false)
	case standby == "off" && (readOnly != "on" || o.cfg.Part == codec.PartReplica):
		return o.isPart(false, false)
	case o.cfg.Special.Name != "" && o.cfg.Special.Value != "database":
		return codec.OpReady // physical replication knows no SQL: there is nothing more to go by
	}
	o.stage = openerAsk
	o.out = appendQuery(o.out, sqlPart)
	return codec.OpMore
}

// isPart ends the login: the server is in recovery or not, and configured to be read-only or not.
func (o *opener) isPart(recovery, readOnly bool) codec.Op {
	what := ""
	switch {
	case o.cfg.Part == codec.PartPrimary && recovery:
		what = "the server is in recovery: it is not the primary"
	case o.cfg.Part == codec.PartPrimary && readOnly:
		what = "the server is configured to be read-only: it is not the primary"
	case o.cfg.Part == codec.PartReplica && !recovery:
		what = "the server is not in recovery: it is not a replica"
	default:
		o.stage = openerReady
		return codec.OpReady
	}
	return o.refuse(codec.Error{Cond: codec.WrongPart, Text: what})
}

// partMessage takes a message of the answer.
func (o *opener) partMessage(msg []byte) codec.Op {
	body := msg[headerSize:]
	switch msg[0] {
	case msgError:
		return o.partFailed(msg)
	case msgParameter:
		return o.parameter(body)
	case 'D':
		return o.partRow(body)
	case msgReady:
		if len(body) != 1 || body[0] != 'I' || o.part.rows != 1 {
			return o.strange("the server does not say whether it is in recovery")
		}
		return o.isPart(o.part.recovery, o.part.readOnly)
	}
	return codec.OpMore
}

// partFailed takes an error in place of the answer. Those that end the session are of the login.
func (o *opener) partFailed(msg []byte) codec.Op {
	said := parseError(msg[headerSize:])
	if said.severity != "ERROR" || cantTakeUs(said.state) {
		return o.refused(msg)
	}
	return o.strange("the server would not say whether it is in recovery: " + said.Error())
}

// partRow takes the row.
func (o *opener) partRow(body []byte) codec.Op {
	var row [3][]byte
	o.part.rows++
	if o.part.rows > 1 || !readRow(body, row[:]) || !isBool(row[0]) {
		return o.strange("the server's answer about recovery makes no sense")
	}
	o.part.recovery = row[0][0] == 't'
	o.part.readOnly = string(row[1]) == "on" && !isPersonal(string(row[2]))
	return codec.OpMore
}

// isBool tells the two values of a boolean.
func isBool(b []byte) bool { return len(b) == 1 && (b[0] == 't' || b[0] == 'f') }

// isPersonal tells sources of a setting's value that say nothing of the server: it was set for users,
// databases or this connection.
//
// https://www.postgresql.org/docs/current/view-pg-settings.html
func isPersonal(source string) bool {
	switch source {
	case "global", "database", "user", "database user", "client", "interactive", "test", "session":
		return true
	}
	return false
}

// readRow reads the columns of a DataRow, which must be as many as there is room for. NULL is nil.
func readRow(body []byte, columns [][]byte) (ok bool) {
	if len(body) < 2 || int(binary.BigEndian.Uint16(body)) != len(columns) {
		return false
	}
	body = body[2:]
	for i := range columns {
		if len(body) < 4 {
			return false
		}
		size := int32(binary.BigEndian.Uint32(body))
		body = body[4:]
		if size < 0 {
			columns[i] = nil
			continue
		}
		if int64(size) > int64(len(body)) {
			return false
		}
		columns[i], body = body[:size], body[size:]
	}
	return len(body) == 0
}

// refused ends the login by the server's own words: it takes nobody at present, or not this user. One
// that is starting up or shutting down is not what it has to be.
func (o *opener) refused(msg []byte) codec.Op {
	said := parseError(msg[headerSize:])
	cond := codec.AuthDenied
	switch {
	case isOut(said.state):
		cond = codec.WrongPart
	case cantTakeUs(said.state):
		cond = codec.NoBackend
	}
	return o.refuse(codec.Error{Cond: cond, Text: said.Error(), Raw: string(bytes.Clone(msg))})
}

// isOut tells the states by which a server says that it takes nobody, or nobody any more, while it is
// starting up, shutting down, or has crashed: admin_shutdown, crash_shutdown and cannot_connect_now.
//
// https://www.postgresql.org/docs/current/errcodes-appendix.html
func isOut(state string) bool { return state == "57P01" || state == "57P02" || state == "57P03" }
