package patroni

import (
	"crypto/tls"
	"testing"
)

// TestEtcdSame: a reload of what has not changed lets the watch go on; any change does not.
func TestEtcdSame(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	own, second := ca.client(t), ca.client(t)
	with := func(change func(*EtcdOptions)) *EtcdOptions {
		o := &EtcdOptions{Endpoints: []string{"a", "b"}, Namespace: "n", Scope: "s", User: "u", Password: "p",
			TLS: &tls.Config{RootCAs: ca.pool.Clone(), Certificates: []tls.Certificate{own}}}
		change(o)
		return o
	}
	base := with(func(*EtcdOptions) {})
	if !base.same(with(func(*EtcdOptions) {})) {
		t.Error("equal ones are not the same")
	}
	for name, change := range map[string]func(*EtcdOptions){
		"endpoints": func(o *EtcdOptions) { o.Endpoints = []string{"b", "a"} }, "namespace": func(o *EtcdOptions) { o.Namespace = "" },
		"scope": func(o *EtcdOptions) { o.Scope = "" }, "user": func(o *EtcdOptions) { o.User = "" },
		"password": func(o *EtcdOptions) { o.Password = "" }, "no TLS": func(o *EtcdOptions) { o.TLS = nil },
		"CA": func(o *EtcdOptions) { o.TLS.RootCAs = other.pool }, "the system's CAs": func(o *EtcdOptions) { o.TLS.RootCAs = nil },
		"certificate":    func(o *EtcdOptions) { o.TLS.Certificates = []tls.Certificate{second} },
		"no certificate": func(o *EtcdOptions) { o.TLS.Certificates = nil },
		"name":           func(o *EtcdOptions) { o.TLS.ServerName = "x" },
		"verification":   func(o *EtcdOptions) { o.TLS.InsecureSkipVerify = true },
	} {
		if changed := with(change); base.same(changed) || changed.same(base) {
			t.Errorf("%s: a change is none", name)
		}
	}
	var none *EtcdOptions
	if !none.same(nil) || none.same(base) || base.same(nil) {
		t.Error("etcd or no etcd is no difference")
	}
}
