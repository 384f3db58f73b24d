package upstream

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/codec"
)

// Limits of what a status port may say.
const (
	statusMax        = 64 << 10 // bytes of the answer to GET /status
	configMax        = 4 << 20  // bytes of the answer to GET /config
	statusHeadersMax = 64 << 10
	versionMax       = 128 // bytes of a version
)

// statusIdle is how long a connection to a status port is kept without use.
const statusIdle = 30 * time.Second

// signEvery lies between two questions for a backend's configuration.
const signEvery = time.Minute

// StatusOptions say how the HTTP port is asked that a TiDB server has beside its SQL port
// (https://docs.pingcap.com/tidb/stable/tidb-monitoring-api/). They are not changed once given.
type StatusOptions struct {
	Interval, Timeout time.Duration
	// TLSMode and TLS are as those of Options.
	TLSMode codec.TLSMode
	TLS     *tls.Config

	once  sync.Once
	http  *http.Client
	plain sync.Map // addresses (string) that don't speak TLS, with TLSPrefer
}

// client makes the client when it is first needed. It goes where it is sent and nowhere else: no proxy of the
// environment, no redirect. Connections are kept between questions.
func (o *StatusOptions) client() *http.Client {
	o.once.Do(func() {
		cfg := o.TLS
		if cfg != nil {
			cfg = cfg.Clone() // net/http changes it
		}
		o.http = &http.Client{
			Transport: &http.Transport{
				DialContext:            (&net.Dialer{Timeout: o.Timeout}).DialContext,
				TLSClientConfig:        cfg,
				TLSHandshakeTimeout:    o.Timeout,
				DisableCompression:     true, // a busy server has better to do
				MaxResponseHeaderBytes: statusHeadersMax,
				MaxIdleConnsPerHost:    1,
				IdleConnTimeout:        statusIdle,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	})
	return o.http
}

// close gives up the connections that are kept; nil has none. What is being asked goes on.
func (o *StatusOptions) close() {
	if o != nil {
		o.client().CloseIdleConnections()
	}
}

// Get asks the status port at addr for a path. ctx bounds the answer's body too, which the caller closes.
func (o *StatusOptions) Get(ctx context.Context, addr, path string) (*http.Response, error) {
	scheme := "http"
	if o.TLSMode != codec.TLSDisable {
		if _, plain := o.plain.Load(addr); !plain {
			scheme = "https"
		}
	}
	answer, err := o.ask(ctx, scheme, addr, path)
	if err != nil && scheme == "https" && o.TLSMode == codec.TLSPrefer && ctx.Err() == nil && !unreached(err) {
		if answer, err = o.ask(ctx, "http", addr, path); err == nil {
			o.plain.Store(addr, true)
		}
	} else if err != nil && scheme == "http" {
		o.plain.Delete(addr) // it may come back with TLS
	}
	return answer, err
}

func (o *StatusOptions) ask(ctx context.Context, scheme, addr, path string) (*http.Response, error) {
	to := url.URL{Scheme: scheme, Host: addr, Path: path}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := o.client().Do(req)
	if addressed := (*url.Error)(nil); errors.As(err, &addressed) {
		err = addressed.Err // who tells of it names the address
	}
	return answer, err
}

// unreached tells that there was no connection at all.
func unreached(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// errStopping is what a status port says of a server that has been told to stop, and goes on serving for the
// while that graceful-wait-before-shutdown grants. A server that is not ready yet says the same.
var errStopping = errors.New("the status port says that the server is about to stop, or not ready yet")

// body asks for a path and returns its answer, of which there may be max bytes.
func (o *StatusOptions) body(ctx context.Context, addr, path string, max int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	explain := func(err error) error {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = fmt.Errorf("no answer within %v", o.Timeout)
		}
		return fmt.Errorf("status port %s: %w", addr, err)
	}
	answer, err := o.Get(ctx, addr, path)
	if err != nil {
		return nil, explain(err)
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusInternalServerError:
		return nil, errStopping
	default:
		return nil, explain(fmt.Errorf("the answer's status is %d", answer.StatusCode))
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, int64(max)+1))
	switch {
	case err != nil:
		return nil, explain(err)
	case len(text) > max:
		return nil, explain(fmt.Errorf("the answer is longer than %d bytes", max))
	}
	return text, nil
}

// version asks how the server is. An answer that names its version says that it is well.
func (o *StatusOptions) version(ctx context.Context, addr string) (string, error) {
	text, err := o.body(ctx, addr, "/status", statusMax)
	if err != nil {
		return "", err
	}
	var is struct {
		Version *string `json:"version"`
	}
	switch err := json.Unmarshal(text, &is); {
	case err != nil:
		return "", fmt.Errorf("status port %s: the answer is no JSON: %w", addr, err)
	case is.Version == nil || *is.Version == "" || len(*is.Version) > versionMax:
		return "", fmt.Errorf("status port %s: the answer names no version", addr)
	}
	return *is.Version, nil
}

// signs asks whether the server has a certificate to sign session tokens with, which a session needs that is to go
// on at another server (security.session-token-signing-cert,
// https://docs.pingcap.com/tidb/stable/tidb-configuration-file/).
func (o *StatusOptions) signs(ctx context.Context, addr string) (bool, error) {
	text, err := o.body(ctx, addr, "/config", configMax)
	if err != nil {
		return false, err
	}
	var is struct {
		Security *struct {
			Cert *string `json:"session-token-signing-cert"`
		} `json:"security"`
	}
	if err := json.Unmarshal(text, &is); err != nil {
		return false, err
	}
	if is.Security == nil || is.Security.Cert == nil {
		return false, errors.New("it does not tell of a signing certificate")
	}
	return *is.Security.Cert != "", nil
}

// watchStatus asks b's status port, if it has one, for as long as it belongs to the cluster. It has a clock of its
// own beside that of the greeting: a port that hangs delays nothing else.
func (c *Cluster) watchStatus(b *Backend) {
	w := statusWatch{c: c, b: b}
	for {
		opt := c.Options().Status
		w.look(opt)
		if opt != c.Options().Status {
			opt.close() // it was being used as it was given up
		}
		if b.ctx.Err() != nil {
			return
		}
		interval := c.Options().Health.Interval
		if opt != nil {
			interval = opt.Interval
		}
		spread := 1 + jitter*(2*rand.Float64()-1)
		if !b.rest(time.Duration(float64(interval)*spread), b.kickStatus) {
			return
		}
	}
}

// statusWatch is what is known of one status port.
type statusWatch struct {
	c     *Cluster
	b     *Backend
	row   int       // as in check
	addr  string    // who was asked last
	asked time.Time // for the configuration; zero = not since it was away
}

// look asks once and has the answer in force.
func (w *statusWatch) look(opt *StatusOptions) {
	addr := w.b.Spec().Status
	if opt == nil || addr == "" {
		w.forget()
		return
	}
	if addr != w.addr {
		w.addr, w.row, w.asked = addr, 0, time.Time{}
	}
	version, err := opt.version(w.b.ctx, addr)
	if w.b.ctx.Err() != nil {
		return // and the result is that of a question cut short
	}
	if errors.Is(err, errStopping) {
		w.asked = time.Time{}
		w.c.setClosing(w.b, true)
		return
	}
	if err == nil {
		w.b.version.Store(&version)
		w.c.setClosing(w.b, false)
	} else {
		w.asked = time.Time{}
	}
	w.row = w.c.judge(w.b, byStatus, err, w.row)
	if err == nil && time.Since(w.asked) >= signEvery {
		w.askSigns(opt, addr)
	}
}

// askSigns keeps what was known if there is no answer.
func (w *statusWatch) askSigns(opt *StatusOptions, addr string) {
	signs, err := opt.signs(w.b.ctx, addr)
	if w.b.ctx.Err() != nil {
		return
	}
	w.asked = time.Now()
	if err == nil && w.b.unsigned.Swap(!signs) == signs && !signs {
		w.c.log.Warn("backend has no certificate to sign session tokens with: its sessions can't go elsewhere",
			zap.String("cluster", w.c.name), zap.String("backend", w.b.addr))
	}
}

// forget drops what a status port has said that is not there any more.
func (w *statusWatch) forget() {
	if w.addr == "" {
		return
	}
	w.addr, w.row, w.asked = "", 0, time.Time{}
	w.b.unsigned.Store(false)
	w.c.setClosing(w.b, false)
	w.c.withdraw(w.b, byStatus)
}

// setClosing takes note of whether the server is about to stop.
func (c *Cluster) setClosing(b *Backend, is bool) {
	if b.closing.Swap(is) == is {
		return
	}
	c.changes.Add(1)
	if is {
		c.log.Info("backend is about to stop: its sessions go elsewhere", zap.String("cluster", c.name), zap.String("backend", b.addr))
		c.Hurry()
	} else {
		c.log.Info("backend serves again", zap.String("cluster", c.name), zap.String("backend", b.addr))
	}
	c.tellChanged()
}

// Closing tells that the server is about to stop, while it still serves: its status port says so, or its key has
// gone from PD. Its sessions are to go elsewhere, and none comes.
func (b *Backend) Closing() bool { return b.closing.Load() || b.spec.Load().Leaving }

// CanSign tells whether the server can sign the tokens with which TiDB's sessions move. What is not known is
// taken for true: the move will tell.
func (b *Backend) CanSign() bool { return !b.unsigned.Load() }

// Version is what the status port last said of the server's version; "" = nothing.
func (b *Backend) Version() string {
	if p := b.version.Load(); p != nil {
		return *p
	}
	return ""
}
