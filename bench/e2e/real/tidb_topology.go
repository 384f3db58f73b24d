package real

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"time"
)

// topology is where PD's etcd has the instances of a cluster of TiDB.
const topology = "/topology/tidb/"

// topologyTTL is how long TiDB has its sign of life kept, in seconds.
const topologyTTL = 45

// Register puts the two keys into e by which TiDB tells of itself through PD: what it is, which stays, and a sign
// of life, which ends with its lease. Unlike a TiDB of a cluster, it is not renewed by itself: a test that takes
// longer than the lease calls this again.
func (d *TiDB) Register(e *Etcd) error {
	host, _, err := net.SplitHostPort(d.Addr)
	if err != nil {
		return err
	}
	labels := d.options.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	info, err := json.Marshal(map[string]any{
		"version": "8.0.11-TiDB-" + tidbRelease, "git_hash": "None", "ip": host, "status_port": Port(d.Status),
		"deploy_path": filepath.Dir(d.program), "start_timestamp": d.started.Unix(), "labels": labels,
	})
	if err != nil {
		return err
	}
	if err := e.Put(topology+d.Addr+"/info", string(info), 0); err != nil {
		return err
	}
	return e.Put(topology+d.Addr+"/ttl", strconv.FormatInt(time.Now().UnixNano(), 10), topologyTTL)
}

// Expire removes the sign of life, as the end of its lease does some time after a TiDB has left. What it was stays.
func (d *TiDB) Expire(e *Etcd) error { return e.Delete(topology + d.Addr + "/ttl") }

// Put stores a key, for ttl seconds unless that is 0.
func (e *Etcd) Put(key, value string, ttl int) error {
	put := map[string]any{"key": []byte(key), "value": []byte(value)}
	if ttl > 0 {
		var lease struct {
			ID string `json:"ID"`
		}
		if err := e.call("/v3/lease/grant", map[string]any{"TTL": ttl}, &lease); err != nil {
			return err
		}
		put["lease"] = lease.ID
	}
	return e.call("/v3/kv/put", put, nil)
}

// Delete removes a key.
func (e *Etcd) Delete(key string) error {
	return e.call("/v3/kv/deleterange", map[string]any{"key": []byte(key)}, nil)
}

// Value returns what a key holds, "" if it is not there.
func (e *Etcd) Value(key string) (string, error) {
	var found struct {
		KVs []struct {
			Value string `json:"value"`
		} `json:"kvs"`
	}
	if err := e.call("/v3/kv/range", map[string]any{"key": []byte(key)}, &found); err != nil || len(found.KVs) == 0 {
		return "", err
	}
	value, err := base64.StdEncoding.DecodeString(found.KVs[0].Value)
	return string(value), err
}

// call asks etcd through its JSON gateway, in which bytes are base64 and large numbers strings.
// https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/
func (e *Etcd) call(path string, request map[string]any, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: goAway}
	defer client.CloseIdleConnections()
	resp, err := client.Post(e.URL()+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("etcd %s: %s: %s", path, resp.Status, text)
	case answer == nil:
		return nil
	}
	return json.Unmarshal(text, answer)
}
