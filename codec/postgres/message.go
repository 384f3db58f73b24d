package postgres

import (
	"fmt"

	"sluice/codec"
)

// A message is a type byte, then a length that counts itself but not the type, then the body.
const headerSize = 5

// Limits of a message's length field. The first two are the server's own for what clients send
// (PQ_SMALL_MESSAGE_LIMIT and PQ_LARGE_MESSAGE_LIMIT); it closes the connection beyond them.
const (
	maxSmall  = 10000
	maxLarge  = 0x3ffffffe
	maxServer = 0x7fffffff // the field is a signed 32-bit number
	maxSecret = 256        // bytes of a cancel key's secret in protocol 3.2
)

// Messages whose type means the same on both sides, or that more than one file speaks of.
const (
	msgAuth      = 'R'
	msgError     = 'E'
	msgNotice    = 'N'
	msgNegotiate = 'v'
	msgPassword  = 'p'
	msgTerminate = 'X'
	msgParameter = 'S' // ParameterStatus
	msgKey       = 'K' // BackendKeyData
	msgReady     = 'Z' // ReadyForQuery
)

// rule says what is known of one type of message before its body is looked at.
type rule struct {
	min, max uint32 // of the length field; max 0: there is no such message
}

// allows tells whether such a message may have that length. No length is allowed for a type that
// there is not.
func (r *rule) allows(size uint32) bool { return size >= r.min && size <= r.max && size != 0 }

// clientRules has a row for each message that a client may send after its login.
//
// https://www.postgresql.org/docs/current/protocol-message-formats.html
var clientRules = [256]rule{
	'B': {12, maxLarge}, // Bind
	'C': {6, maxSmall},  // Close
	'D': {6, maxSmall},  // Describe
	'E': {9, maxSmall},  // Execute
	'F': {14, maxLarge}, // FunctionCall
	'H': {4, 4},         // Flush
	'P': {8, maxLarge},  // Parse
	'Q': {5, maxLarge},  // Query
	'S': {4, 4},         // Sync
	'X': {4, 4},         // Terminate
	'c': {4, 4},         // CopyDone
	'd': {4, maxLarge},  // CopyData
	'f': {5, maxSmall},  // CopyFail
}

// serverRules has a row for each message that a server may send after AuthenticationOk.
var serverRules = [256]rule{
	'1': {4, 4},                         // ParseComplete
	'2': {4, 4},                         // BindComplete
	'3': {4, 4},                         // CloseComplete
	'A': {10, maxServer},                // NotificationResponse
	'C': {5, maxServer},                 // CommandComplete
	'D': {6, maxServer},                 // DataRow
	'E': {5, maxServer},                 // ErrorResponse
	'G': {7, 7 + 2*0xffff},              // CopyInResponse: two bytes per column
	'H': {7, 7 + 2*0xffff},              // CopyOutResponse
	'I': {4, 4},                         // EmptyQueryResponse
	'K': {4 + 4 + 1, 4 + 4 + maxSecret}, // BackendKeyData
	'N': {5, maxServer},                 // NoticeResponse
	'S': {6, maxServer},                 // ParameterStatus
	'T': {6, maxServer},                 // RowDescription
	'V': {8, maxServer},                 // FunctionCallResponse
	'W': {7, 7 + 2*0xffff},              // CopyBothResponse
	'Z': {5, 5},                         // ReadyForQuery
	'c': {4, 4},                         // CopyDone
	'd': {4, maxServer},                 // CopyData
	'n': {4, 4},                         // NoData
	's': {4, 4},                         // PortalSuspended
	't': {6, 4 + 2 + 4*0xffff},          // ParameterDescription: four bytes per parameter
}

// ruleError tells why a header broke the rules of its side.
func ruleError(s codec.Side, typ byte, size uint32) error {
	r := clientRules[typ]
	if s == codec.Server {
		r = serverRules[typ]
	}
	if r.max == 0 {
		return fmt.Errorf("postgres: the %v sent a message of unknown type 0x%02x", s, typ)
	}
	return fmt.Errorf("postgres: the %v sent a message of type %q with length %d", s, typ, size)
}
