// Package tcp is the protocol of bytes that Sluice does not look at: a plain relay.
//
// There is nothing to log in to, no message to cut and no place where a session could change its
// server, so a session stays on the server it was given until one of the two peers closes. What TLS
// there is can't be asked for in the stream; it is there from the first byte or not at all.
package tcp
