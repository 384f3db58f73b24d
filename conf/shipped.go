package conf

import _ "embed" // the shipped file

// Shipped is the commented configuration file that comes with Sluice: each key with its default, its
// unit and its range.
//
//go:embed sluice.toml
var Shipped []byte
