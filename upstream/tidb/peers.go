package tidb

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sluice/router"
	"sluice/upstream"
)

// PeerPath is where a Sluice's admin side tells others what it has read, with cluster=, the cluster's name, and
// since=, a time in Unix milliseconds by its own clock.
const PeerPath = "/api/backend/readings"

// Limits of what another Sluice may say.
const (
	peersMax      = 8 << 20 // bytes of an answer
	peersBackends = 4096    // backends in it
	peersReadings = 1024    // readings of one
)

// told is an answer.
type told struct {
	Now      int64                   `json:"now"` // Unix milliseconds, as all times in it
	Backends map[string][]toldFigure `json:"backends"`
}

// toldFigure is a reading. What is not known is left out.
type toldFigure struct {
	At       int64    `json:"at"`
	CPU      *float64 `json:"cpu,omitempty"`
	Procs    *float64 `json:"procs,omitempty"`
	Memory   *float64 `json:"memory,omitempty"`
	Quota    *float64 `json:"quota,omitempty"`
	PDFailed *float64 `json:"pd_failed,omitempty"`
	PDTotal  *float64 `json:"pd_total,omitempty"`
	KVFailed *float64 `json:"kv_failed,omitempty"`
	KVTotal  *float64 `json:"kv_total,omitempty"`
}

// places are where the figures stand, in the order of figures.
func (t *toldFigure) places() [len(figures)]**float64 {
	return [...]**float64{&t.CPU, &t.Procs, &t.Memory, &t.Quota, &t.PDFailed, &t.PDTotal, &t.KVFailed, &t.KVTotal}
}

// Tell writes what is known of a cluster's backends that is newer than since, in Unix milliseconds.
func Tell(w io.Writer, c *upstream.Cluster, since int64) error {
	t := told{Now: time.Now().UnixMilli(), Backends: map[string][]toldFigure{}}
	for _, b := range c.Backends() {
		for _, r := range b.Readings() {
			if r.At.UnixMilli() <= since {
				continue
			}
			one := toldFigure{At: r.At.UnixMilli()}
			for i, place := range one.places() {
				if v := *figures[i].place(&r); !math.IsNaN(v) && !math.IsInf(v, 0) {
					*place = &v
				}
			}
			t.Backends[b.Addr()] = append(t.Backends[b.Addr()], one)
		}
	}
	return json.NewEncoder(w).Encode(&t)
}

// hear reads what Tell writes and adds it to the cluster's backends. The times in it become those of our clock.
func hear(text []byte, c *upstream.Cluster) error {
	var t told
	if err := json.Unmarshal(text, &t); err != nil {
		return err
	}
	if len(t.Backends) > peersBackends {
		return fmt.Errorf("the answer tells of more than %d backends", peersBackends)
	}
	now := time.Now()
	for _, b := range c.Backends() {
		list := t.Backends[b.Addr()]
		if len(list) > peersReadings {
			continue
		}
		readings := make([]router.Reading, 0, len(list))
		for i := range list {
			age := t.Now - list[i].At
			if age < 0 || age > time.Hour.Milliseconds() {
				continue
			}
			r := unread(now.Add(-time.Duration(age) * time.Millisecond))
			for j, place := range list[i].places() {
				if *place != nil {
					*figures[j].place(&r) = **place
				}
			}
			readings = append(readings, r)
		}
		b.AddReadings(now, news(b, readings)...)
	}
	return nil
}

// same is how far the times of one reading may be apart in two answers: the way takes its time.
const same = 500 * time.Millisecond

// news leaves out what is known already.
func news(b *upstream.Backend, list []router.Reading) []router.Reading {
	known := b.Readings()
	if len(known) == 0 {
		return list
	}
	newest := known[len(known)-1].At.Add(same)
	for len(list) > 0 && list[0].At.Before(newest) {
		list = list[1:]
	}
	return list
}

// peers asks other Sluices.
var peers = &http.Client{
	Transport: &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		MaxResponseHeaderBytes: headersMax,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        time.Minute,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// bearer is how a token is shown (https://www.rfc-editor.org/rfc/rfc6750#section-2.1).
const bearer = "Bearer "

// Shows tells whether a request shows a token. It takes a time that tells nothing of where two differ.
func Shows(r *http.Request, token string) bool {
	shown, is := strings.CutPrefix(r.Header.Get("Authorization"), bearer)
	x, y := sha256.Sum256([]byte(shown)), sha256.Sum256([]byte(token))
	return is && token != "" && subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// isToken tells whether that can be shown: letters and digits.
func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9')
	}) < 0
}

// fetchReadings asks another Sluice's admin side for what it has read. All that it shows is a token that is known to who
// can read PD: whether that Sluice is one nobody knows.
func fetchReadings(ctx context.Context, opt *Metrics, addr, token string, c *upstream.Cluster) error {
	ctx, cancel := context.WithTimeout(ctx, opt.Timeout)
	defer cancel()
	query := url.Values{"cluster": {opt.Cluster}}
	if since, ok := oldest(c); ok {
		query.Set("since", strconv.FormatInt(since, 10))
	}
	to := url.URL{Scheme: "http", Host: addr, Path: PeerPath, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", bearer+token)
	}
	answer, err := peers.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the answer's status is %d", answer.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, peersMax+1))
	if err == nil && len(text) > peersMax {
		err = errors.New("the answer is too long")
	}
	if err != nil {
		return err
	}
	return hear(text, c)
}

// oldest is the time, in Unix milliseconds, from which on something is missing of some backend, with a margin for
// clocks that differ; ok false: everything is.
func oldest(c *upstream.Cluster) (since int64, ok bool) {
	for _, b := range c.Backends() {
		if b.Spec().Status == "" {
			continue
		}
		all := b.Readings()
		if len(all) == 0 {
			return 0, false
		}
		if at := all[len(all)-1].At.Add(-clocks).UnixMilli(); !ok || at < since {
			since = at
		}
		ok = true
	}
	return since, ok
}

// clocks is how far the clocks of two machines are taken to be apart at most; farther, and readings are missed and
// read directly.
const clocks = 10 * time.Second
