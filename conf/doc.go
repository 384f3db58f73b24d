// Package conf holds what the operator asked for: the configuration of a Sluice process, read from a
// TOML file and from environment variables.
//
// Each key is one field of Config. Its tags are the whole rule for it:
//
//	toml    the name of the key
//	range   the least and the greatest value, "1..100"; "0|1s..9h" allows 0 besides
//	oneof   the words that may be given
//	addr    host:port, either to "listen" on or to "dial"
//	name    letters, digits, '.', '_' and '-': it becomes a metric label; "need" refuses the empty one
//	file    a path: a relative one in a file is seen from the folder of that file
//	only    "sharing": of use only in a listener whose clients share server connections; "patroni": in a
//	        cluster that Patroni runs
//	case    "ignored": capitals are read as small letters
//
// Reading the file, reading the environment, checking and comparing all walk these tags, so a new key
// is one field, its default and its lines in sluice.toml. Rules that concern several keys are in
// rules.go.
//
// The package does no more than reading: it opens no socket and changes no setting. Only cmd imports
// it and turns it into the options of the other packages.
//
// The format is TOML 1.0, see https://toml.io/en/v1.0.0.
package conf
