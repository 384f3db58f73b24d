package patroni

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// switchTimeout bounds a request for a switchover. Patroni answers when it is over, or after ten seconds or
// its loop_wait, whichever is longer; by default both are the same.
const switchTimeout = 90 * time.Second

// Switchover asks Patroni to have another member lead than the one named from: the one named to, or any if
// that is "". It returns when Patroni says that this is done. Only one host is asked, so that nothing is
// asked for twice: the first that can be connected to, as each of them can tell the others.
//
// https://patroni.readthedocs.io/en/latest/rest_api.html#switchover
func (o *Options) Switchover(ctx context.Context, from, to string) error {
	ask := map[string]string{"leader": from}
	if to != "" {
		ask["candidate"] = to
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	c := newClient(o)
	c.timeout = switchTimeout
	for _, host := range newHosts(o.Hosts).configured {
		if err = c.post(ctx, host+"/switchover", body); err == nil || !unreached(err) {
			return err
		}
	}
	return err
}

// unreached tells that a request has certainly not been made, as there was no connection. Options.Timeout is all
// the time that a connect has.
func unreached(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// post makes a POST. An answer that is no success is an error with the server's words.
func (c *client) post(ctx context.Context, url string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.user != "" {
		req.SetBasicAuth(c.user, c.password)
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return c.explain(ctx, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	words, err := io.ReadAll(io.LimitReader(answer.Body, wordsMax))
	if err != nil {
		return c.explain(ctx, err)
	}
	return fmt.Errorf("the answer's status is %d: %q", answer.StatusCode, clip(strings.TrimSpace(string(words))))
}

// wordsMax bounds what is read of Patroni's words for a refusal.
const wordsMax = 4 << 10
