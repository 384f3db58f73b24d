package mysql

import "sluice/codec"

// move is the machine that carries a session to another server.
type move struct {
	m   *Mover
	cfg *codec.MoveConfig
}
