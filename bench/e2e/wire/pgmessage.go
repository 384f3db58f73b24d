package wire

import "encoding/binary"

// The messages a PostgreSQL client sends, see
// https://www.postgresql.org/docs/current/protocol-message-formats.html.

// Protocol versions as they stand in a startup packet.
const (
	V30 = 3 << 16
	V32 = 3<<16 | 2
)

// Request codes that stand in the place of a version.
const (
	codeCancel = 80877102
	codeSSL    = 80877103
	codeGSS    = 80877104
)

// Msg frames body as a message of the given type.
func Msg(kind byte, body []byte) []byte {
	m := make([]byte, 5, 5+len(body))
	m[0] = kind
	binary.BigEndian.PutUint32(m[1:], uint32(4+len(body)))
	return append(m, body...)
}

// Join puts messages behind each other, to be sent in one piece.
func Join(messages ...[]byte) []byte {
	var all []byte
	for _, m := range messages {
		all = append(all, m...)
	}
	return all
}

func untyped(body []byte) []byte { return Msg(0, body)[1:] }

func be32(p []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(p, v) }
func be16(p []byte, v int) []byte    { return binary.BigEndian.AppendUint16(p, uint16(v)) }
func cstr(p []byte, s string) []byte { return append(append(p, s...), 0) }

// Startup is the first packet of a session; params are names and values in turn.
func Startup(version uint32, params ...string) []byte {
	p := be32(nil, version)
	for _, s := range params {
		p = cstr(p, s)
	}
	return untyped(append(p, 0))
}

// SSLRequest asks for TLS.
func SSLRequest() []byte { return untyped(be32(nil, codeSSL)) }

// GSSENCRequest asks for GSSAPI encryption.
func GSSENCRequest() []byte { return untyped(be32(nil, codeGSS)) }

// CancelRequest asks to cancel the query of the session with that key.
func CancelRequest(pid uint32, secret []byte) []byte {
	return untyped(append(be32(be32(nil, codeCancel), pid), secret...))
}

// Query is a simple query.
func Query(sql string) []byte { return Msg('Q', cstr(nil, sql)) }

// Parse prepares sql under a name ("" for none), with the types of its first parameters.
func Parse(name, sql string, oids ...uint32) []byte {
	p := be16(cstr(cstr(nil, name), sql), len(oids))
	for _, o := range oids {
		p = be32(p, o)
	}
	return Msg('P', p)
}

// Bind makes a portal of a statement; all is text, and params "\x00" stands for NULL.
func Bind(portal, statement string, params ...string) []byte {
	p := be16(cstr(cstr(nil, portal), statement), 0)
	p = be16(p, len(params))
	for _, v := range params {
		if v == "\x00" {
			p = be32(p, 0xFFFFFFFF)
			continue
		}
		p = append(be32(p, uint32(len(v))), v...)
	}
	return Msg('B', be16(p, 0))
}

// BindBinary is Bind with parameters and results in binary form; a nil parameter is NULL.
func BindBinary(portal, statement string, params ...[]byte) []byte {
	p := be16(be16(cstr(cstr(nil, portal), statement), 1), 1)
	p = be16(p, len(params))
	for _, v := range params {
		if v == nil {
			p = be32(p, 0xFFFFFFFF)
			continue
		}
		p = append(be32(p, uint32(len(v))), v...)
	}
	return Msg('B', be16(be16(p, 1), 1))
}

// Describe asks for the shape of a statement ('S') or portal ('P').
func Describe(what byte, name string) []byte { return Msg('D', cstr([]byte{what}, name)) }

// Close gives up a statement ('S') or portal ('P').
func Close(what byte, name string) []byte { return Msg('C', cstr([]byte{what}, name)) }

// Execute runs a portal for at most rows rows; 0 is no limit.
func Execute(portal string, rows uint32) []byte { return Msg('E', be32(cstr(nil, portal), rows)) }

// Sync ends a batch of the extended protocol.
func Sync() []byte { return Msg('S', nil) }

// Flush asks for the answers so far.
func Flush() []byte { return Msg('H', nil) }

// Extended is a statement run by the unnamed statement and portal, without Sync.
func Extended(sql string, params ...string) []byte {
	return Join(Parse("", sql), Bind("", "", params...), Describe('P', ""), Execute("", 0))
}

// CopyData is a piece of COPY data.
func CopyData(data string) []byte { return Msg('d', []byte(data)) }

// CopyDone ends COPY data.
func CopyDone() []byte { return Msg('c', nil) }

// CopyFail ends COPY data as a failure.
func CopyFail(why string) []byte { return Msg('f', cstr(nil, why)) }

// FunctionCall calls the function with that object id, its arguments in text form.
func FunctionCall(oid uint32, args ...string) []byte {
	p := be16(be32(nil, oid), 0)
	p = be16(p, len(args))
	for _, a := range args {
		p = append(be32(p, uint32(len(a))), a...)
	}
	return Msg('F', be16(p, 0))
}

// Terminate says goodbye.
func Terminate() []byte { return Msg('X', nil) }
