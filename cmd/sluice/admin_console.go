package main

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"

	"sluice/codec"
	"sluice/engine/console"
)

// consoleCommand is the body of a POST to /api/console.
type consoleCommand struct {
	Command string `json:"command"`
}

// consoleAnswer is what came of a command, in JSON.
type consoleAnswer struct {
	Tag     string          `json:"tag,omitempty"`
	Notice  string          `json:"notice,omitempty"`
	Columns []consoleColumn `json:"columns,omitempty"`
	Rows    [][]any         `json:"rows,omitempty"`
	Error   string          `json:"error,omitempty"`
	Hint    string          `json:"hint,omitempty"`
}

// consoleColumn is one column of the answer's rows.
type consoleColumn struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// columnTypes are the names of the types of columns.
var columnTypes = [...]string{codec.ColumnText: "text", codec.ColumnInt: "int4", codec.ColumnBig: "int8"}

// answerOf turns the console's answer into JSON.
func answerOf(a codec.Answer) consoleAnswer {
	out := consoleAnswer{Tag: a.Tag}
	if a.Note != nil {
		out.Notice = a.Note.Text + a.Note.Detail
	}
	if a.Err != nil {
		out.Error, out.Hint = a.Err.Text, a.Err.Hint
	}
	if a.Table != nil {
		out.Rows = a.Table.Rows
		for _, c := range a.Table.Columns {
			out.Columns = append(out.Columns, consoleColumn{c.Name, columnTypes[c.Type]})
		}
	}
	return out
}

// objects are the rows with the names of their columns.
func (a *consoleAnswer) objects() []map[string]any {
	list := []map[string]any{}
	for _, row := range a.Rows {
		o := map[string]any{}
		for i, v := range row {
			o[a.Columns[i].Name] = v
		}
		list = append(list, o)
	}
	return list
}

// consoleStatus are the HTTP codes of what the console refuses; others are 500.
var consoleStatus = map[codec.Condition]int{
	codec.CommandUnknown:   http.StatusBadRequest,
	codec.CommandDenied:    http.StatusForbidden,
	codec.CommandRefused:   http.StatusUnprocessableEntity,
	codec.CommandNotNow:    http.StatusConflict,
	codec.CommandCancelled: http.StatusRequestTimeout,
	codec.NoSuchDatabase:   http.StatusNotFound,
	codec.NoSuchThing:      http.StatusNotFound,
}

// consoleBodyMax bounds the body of a command, in bytes.
const consoleBodyMax = 64 << 10

// consoleAsk answers GET /api/console?q=SHOW+POOLS. What changes something takes POST.
func (a *admin) consoleAsk(w http.ResponseWriter, r *http.Request) {
	text := r.URL.Query().Get("q")
	if !console.Asks(text) {
		w.Header().Set("Allow", "POST")
		writeJSON(w, http.StatusMethodNotAllowed, consoleAnswer{Error: "this command takes POST"})
		return
	}
	a.consoleRun(w, r, text)
}

// consoleOrder carries out POST /api/console with {"command": "PAUSE shop"}. The type of the body is
// looked at because a page that a browser shows can't send that one to another site unasked.
func (a *admin) consoleOrder(w http.ResponseWriter, r *http.Request) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		writeJSON(w, http.StatusUnsupportedMediaType, consoleAnswer{Error: "the body has to be application/json"})
		return
	}
	var cmd consoleCommand
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, consoleBodyMax))
	body.DisallowUnknownFields() // a misspelt name is no empty command that succeeds
	err := body.Decode(&cmd)
	if err == nil && strings.Trim(cmd.Command, "; \t\r\n") == "" {
		err = errors.New("it has no command")
	}
	if err != nil {
		writeJSON(w, http.StatusBadRequest, consoleAnswer{Error: "the body is not a command: " + err.Error()})
		return
	}
	a.consoleRun(w, r, cmd.Command)
}

// consoleRun carries out a command. Who has come this far may order everything.
func (a *admin) consoleRun(w http.ResponseWriter, r *http.Request, text string) {
	user, _, _ := r.BasicAuth()
	answer := a.p.console.Run(r.Context(), console.Who{User: "http:" + user, Admin: true}, text)
	code := http.StatusOK
	if answer.Err != nil {
		var known bool
		if code, known = consoleStatus[answer.Err.Cond]; !known {
			code = http.StatusInternalServerError
		}
	}
	writeJSON(w, code, answerOf(answer))
}

// pools lists the pools, each with all that is known of it.
func (a *admin) pools(w http.ResponseWriter, r *http.Request) {
	answer := answerOf(a.p.console.Run(r.Context(), console.Who{}, "SHOW BACKEND_POOLS"))
	writeJSON(w, http.StatusOK, answer.objects())
}
