// Package proxyproto reads and writes the header of the PROXY protocol, versions 1 and 2: by it a proxy that
// passes a connection on tells whose it is, in front of all other bytes.
//
//	version 1   PROXY TCP4 192.0.2.1 198.51.100.1 40000 3306\r\n
//	version 2   signature [12] version and command [1] family [1] length [2] addresses and TLVs [length]
//
// Whoever may send the header may claim any address: whom to believe is for the caller to decide.
//
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
package proxyproto
