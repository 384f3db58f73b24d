package real

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// table is a part of Patroni's configuration, which is YAML; JSON is a part of that.
type table = map[string]any

func (n *Node) configPath() string { return filepath.Join(n.dir, "patroni.yml") }
func (n *Node) dataDir() string    { return filepath.Join(n.dir, "data") }

// configure writes the configuration of the node.
// https://patroni.readthedocs.io/en/latest/yaml_configuration.html
func (n *Node) configure() error {
	restapi, ctl, err := n.api()
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(table{
		"scope":      Scope,
		"name":       n.Name,
		"restapi":    restapi,
		"ctl":        ctl,
		"etcd3":      table{"hosts": n.cluster.Etcd.Addr},
		"bootstrap":  n.cluster.dynamic(),
		"postgresql": n.postgresql(),
		"tags":       table{"zone": "zone-" + n.Name},
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(n.configPath(), text, 0o644); err != nil {
		return err
	}
	return own(n.dir, n.cluster.owner)
}

// api are the sections for the API and for who asks it by patronictl.
func (n *Node) api() (restapi, ctl table, err error) {
	restapi = table{
		"listen":          n.API,
		"connect_address": n.API,
		"authentication":  table{"username": APIUser, "password": Password},
	}
	o := n.cluster.Options
	if !o.TLS {
		return restapi, table{}, nil
	}
	if err := o.Cert.install(n.dir, n.cluster.owner); err != nil {
		return nil, nil, err
	}
	cert, key := filepath.Join(n.dir, "server.crt"), filepath.Join(n.dir, "server.key")
	restapi["certfile"], restapi["keyfile"], restapi["cafile"] = cert, key, o.Authority.CertFile
	if o.ClientCert {
		restapi["verify_client"] = "required"
	}
	return restapi, table{"cacert": o.Authority.CertFile, "certfile": cert, "keyfile": key}, nil
}

// dynamic is what all nodes have in common, and Patroni keeps in etcd.
func (c *Patroni) dynamic() table {
	dcs := table{
		// A leader that does not reach etcd for retry_timeout gives its lead up: a machine that stalls for seconds
		// must not make it. What a loop and two such times take has to fit into ttl.
		"ttl":                     30,
		"loop_wait":               2,
		"retry_timeout":           14,
		"maximum_lag_on_failover": 100 << 20,
		"synchronous_mode":        true,
		"postgresql": table{
			"use_pg_rewind": true,
			"parameters": table{
				"max_connections":           200,
				"max_wal_senders":           10,
				"max_replication_slots":     10,
				"wal_level":                 "replica",
				"wal_keep_size":             "256MB",
				"max_prepared_transactions": 10,
			},
		},
	}
	if c.Options.Quorum {
		dcs["synchronous_mode"] = "quorum"
	}
	return table{"dcs": dcs, "initdb": []any{"no-sync", table{"encoding": "UTF8"}, table{"locale": "C"}, table{"auth": "trust"}}}
}

func (n *Node) postgresql() table {
	return table{
		"listen":          n.Addr,
		"connect_address": n.Addr,
		"data_dir":        n.dataDir(),
		"bin_dir":         n.cluster.bin,
		"pgpass":          filepath.Join(n.dir, "pgpass"),
		"authentication": table{
			"superuser":   table{"username": "postgres"},
			"replication": table{"username": "replicator"},
			"rewind":      table{"username": "rewinder"},
		},
		"basebackup": []any{table{"checkpoint": "fast"}, "no-sync"},
		"pg_hba": []string{"local all all trust", "host replication all 127.0.0.0/8 trust",
			"host all all 127.0.0.0/8 trust", "host all all 10.213.0.0/16 trust"}, // the latter is a Network,
		"parameters": table{
			"fsync":                   "off",
			"full_page_writes":        "off",
			"shared_buffers":          "32MB",
			"max_wal_size":            "2GB",
			"checkpoint_timeout":      "30min",
			"autovacuum":              "off",
			"lc_messages":             "C",
			"timezone":                "UTC",
			"log_timezone":            "UTC",
			"unix_socket_directories": n.dir,
		},
	}
}
