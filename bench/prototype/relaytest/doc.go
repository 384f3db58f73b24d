// Package relaytest is what every relay has to pass before its figures say anything: bytes come through
// unchanged, slow readers cost bounded memory, and an end of one side reaches the other.
package relaytest
