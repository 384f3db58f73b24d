package main

import (
	"errors"
	"io"
	"net/http"

	"go.uber.org/zap"

	"sluice/conf"
)

// namespaceMax bounds, in bytes, the namespace that may be put.
const namespaceMax = 1 << 20

// untilReload is what is said of a change that is kept in memory alone.
const untilReload = "in force until the configuration file is read again"

// namespaceAnswer says what has become of a change.
type namespaceAnswer struct {
	Name string `json:"name"`
	Note string `json:"note"`
}

// namespaces lists the namespaces in the order in which they are looked through, with the number of their clients.
func (a *admin) namespaces(w http.ResponseWriter, _ *http.Request) {
	count := map[string]int{}
	for _, n := range a.p.proxy.Namespaces() {
		count[n.Name] = n.Clients
	}
	list := []map[string]any{}
	cfg := a.p.cfg.Load()
	for i := range cfg.Namespace {
		m, err := cfg.Namespace[i].JSON()
		if err != nil {
			refuse(w, http.StatusInternalServerError, err.Error())
			return
		}
		m["connections"] = count[cfg.Namespace[i].Name]
		list = append(list, m)
	}
	writeJSON(w, http.StatusOK, list)
}

// namespace is one of them, in the form in which it may be put.
func (a *admin) namespace(w http.ResponseWriter, r *http.Request) {
	cfg := a.p.cfg.Load()
	for i := range cfg.Namespace {
		if cfg.Namespace[i].Name != r.PathValue("name") {
			continue
		}
		m, err := cfg.Namespace[i].JSON()
		if err != nil {
			refuse(w, http.StatusInternalServerError, err.Error())
			return
		}
		writeJSON(w, http.StatusOK, m)
		return
	}
	refuse(w, http.StatusNotFound, conf.ErrNoNamespace.Error())
}

// putNamespace makes a namespace, or replaces one.
func (a *admin) putNamespace(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, namespaceMax))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "the namespace is too long: "+err.Error())
		return
	}
	name := r.PathValue("name")
	a.changeNamespaces(w, name, "put", func(c *conf.Config) (*conf.Config, error) {
		return c.WithNamespace(name, r.URL.Query().Get("before"), text)
	})
}

// deleteNamespace removes one.
func (a *admin) deleteNamespace(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	a.changeNamespaces(w, name, "deleted", func(c *conf.Config) (*conf.Config, error) {
		return c.WithoutNamespace(name)
	})
}

// changeNamespaces puts a configuration with other namespaces in force.
func (a *admin) changeNamespaces(w http.ResponseWriter, name, what string, change func(*conf.Config) (*conf.Config, error)) {
	switch err := a.p.change(change); {
	case err == nil:
		a.p.log.Info("a namespace was "+what+" through the admin side", zap.String("namespace", name))
		writeJSON(w, http.StatusOK, namespaceAnswer{name, what + ", " + untilReload})
	case errors.Is(err, conf.ErrNoNamespace):
		refuse(w, http.StatusNotFound, err.Error())
	default:
		refuse(w, http.StatusBadRequest, err.Error())
	}
}
