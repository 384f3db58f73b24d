package session

import "sluice/codec"

// Outcome is why a session ended: one label in the metrics, one word in the log.
type Outcome uint8

const (
	ClientQuit     Outcome = iota // the client said goodbye
	ClientGone                    // the client closed or reset without a goodbye
	ServerClosed                  // the server announced the end
	ServerLost                    // the server connection broke
	LoginRefused                  // the server refused the login
	LoginTimeout                  // the login took too long
	IdleTimeout                   // nothing happened for too long
	LimitReached                  // a limit of connections
	HostDenied                    // the client's address
	NoBackend                     // no backend could be had
	TLSFailed                     // TLS with the client or with the server
	ClientProtocol                // the client's bytes are not of the protocol
	ServerProtocol                // the server's bytes are not of the protocol
	Cancelled                     // not a session: a cancel request, carried out
	Drained                       // asked to leave, at a safe point
	Forced                        // asked to leave, the time was over
	Killed                        // by an operator
	TimedOut                      // a transaction took too long
	PoolWait                      // no server connection became free in time
	outcomes       = iota
)

// outcomeNames are the metric labels.
var outcomeNames = [outcomes]string{
	"client_quit", "client_gone", "server_closed", "server_lost", "login_refused", "login_timeout",
	"idle_timeout", "limit_reached", "host_denied", "no_backend", "tls_failed", "client_protocol",
	"server_protocol", "cancel", "drained", "forced", "killed", "transaction_timeout", "pool_wait",
}

// String returns the outcome's metric label.
func (o Outcome) String() string { return outcomeNames[o] }

// refused tells the outcomes of clients that never got a session.
func (o Outcome) refused() bool {
	switch o {
	case LoginRefused, LoginTimeout, LimitReached, HostDenied, NoBackend, TLSFailed:
		return true
	}
	return false
}

// outcomeOf is the outcome of a login that Sluice refused for that reason.
func outcomeOf(c codec.Condition) Outcome {
	switch c {
	case codec.TooManyConns:
		return LimitReached
	case codec.HostDenied:
		return HostDenied
	case codec.NoBackend:
		return NoBackend
	case codec.AuthFailed, codec.AuthDenied:
		return LoginRefused
	case codec.PoolWait:
		return PoolWait
	case codec.Killed:
		return Killed
	case codec.BackendLost:
		return ServerLost
	case codec.Shutdown, codec.BackendGone:
		return Drained
	case codec.LoginTimeout:
		return LoginTimeout
	case codec.TLSRequired, codec.TLSFailed, codec.ClearPassword:
		return TLSFailed
	case codec.ServerNotSupport:
		return ServerProtocol
	}
	return ClientProtocol
}
