package postgres

import "sluice/codec"

type host struct{ codec.Host }

func newHost(cfg *codec.OpenerConfig, key codec.Key, reported []codec.Param) *host { return &host{} }
