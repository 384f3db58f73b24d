package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"sluice/conf"
	"sluice/upstream/tidb"
)

// TestFiguresToken: who shows the token for figures has those, and nothing else of the admin side; without a token the
// credentials count.
func TestFiguresToken(t *testing.T) {
	a := &admin{p: &process{}}
	a.p.cfg.Store(&conf.Config{Admin: conf.Admin{User: "op", Password: "hunter2"}})
	routes := a.routes()
	const figures = tidb.PeerPath + "?since=x" // which is refused behind the guard
	for _, tt := range []struct {
		path, shown string
		want        int
	}{
		{figures, "Bearer " + figuresToken, http.StatusBadRequest},
		{figures, "Bearer " + figuresToken + "x", http.StatusUnauthorized},
		{figures, "Bearer ", http.StatusUnauthorized},
		{figures, figuresToken, http.StatusUnauthorized},
		{figures, "", http.StatusUnauthorized},
		{figures, "Basic b3A6aHVudGVyMg==", http.StatusBadRequest}, // op:hunter2
		{"/api/backends", "Bearer " + figuresToken, http.StatusUnauthorized},
		{"/api/admin/config", "Bearer " + figuresToken, http.StatusUnauthorized},
		{"/update_clusters", "Bearer " + figuresToken, http.StatusUnauthorized},
	} {
		r, w := httptest.NewRequest("GET", tt.path, nil), httptest.NewRecorder()
		r.Header.Set("Authorization", tt.shown)
		routes.ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%s with %.7q…: %d, want %d", tt.path, tt.shown, w.Code, tt.want)
		}
	}
	if len(figuresToken) < 26 {
		t.Error("the token can be guessed")
	}
}
