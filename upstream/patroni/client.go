package patroni

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Limits of an answer. A member takes about half a kilobyte of it.
const (
	answerMax  = 4 << 20
	headersMax = 64 << 10
)

// client asks one host at a time. It goes where it is sent and nowhere else: no proxy of the environment,
// no redirect.
type client struct {
	http           http.Client
	user, password string
	timeout        time.Duration
}

func newClient(opt *Options) *client {
	tlsConfig := opt.TLS
	if tlsConfig != nil {
		tlsConfig = tlsConfig.Clone() // net/http changes it
	}
	return &client{
		user: opt.User, password: opt.Password, timeout: opt.Timeout,
		http: http.Client{
			Transport: &http.Transport{
				DialContext:            (&net.Dialer{KeepAlive: -1, Timeout: opt.Timeout}).DialContext,
				TLSHandshakeTimeout:    opt.Timeout,
				TLSClientConfig:        tlsConfig,
				DisableKeepAlives:      true, // Patroni speaks HTTP/1.0: each answer ends its connection
				DisableCompression:     true,
				MaxResponseHeaderBytes: headersMax,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// get returns the body of a GET, which has to be there within the client's time-out.
func (c *client) get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if c.user != "" {
		req.SetBasicAuth(c.user, c.password)
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer's status is %d", answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, answerMax+1))
	switch {
	case err != nil:
		return nil, c.explain(ctx, err)
	case len(body) > answerMax:
		return nil, fmt.Errorf("the answer is longer than %d bytes", answerMax)
	case len(body) == 0:
		return nil, errors.New("the answer is empty") // as when Patroni can't reach its store
	}
	return body, nil
}

// explain says it plainly if the time is over, and leaves out the address, which whoever tells of it names.
func (c *client) explain(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %v", c.timeout)
	}
	if addressed := (*url.Error)(nil); errors.As(err, &addressed) {
		return addressed.Err
	}
	return err
}
