package postgres

import (
	"strings"

	"sluice/codec"
)

// introduction is what clients that ask for the same are told of their session at the end of the
// login, and the settings in force for it, as the server writes them. It is not changed once made.
type introduction struct {
	report   *report
	settings *settings
	role     string // the role in force, as the server shows it
	user     string // the session's user
}

// reported are the parameters for the client's ParameterStatus messages.
func (in *introduction) reported() []codec.Param { return in.report.params }

// maxNamed bounds the introductions that a shelf keeps by the names of applications.
const maxNamed = 1024

// namedIntroduction is an introduction, and the application_name that stands in it in place of its own.
type namedIntroduction struct {
	of   *introduction
	name string
}

// named returns the introduction with another application_name: the same one for all clients of that
// name, which differ in nothing else.
func (s *shelf) named(in *introduction, name string) *introduction {
	major, encoding := majorVersion(firstOf(in.report.get("server_version"))), firstOf(in.report.get("server_encoding"))
	name, ok := canonicalName(name, major, encoding)
	if !ok {
		return in
	}
	key := namedIntroduction{in, name}
	o := s.introductions[key]
	if o == nil {
		o = &introduction{
			report:   in.report.with(applicationName, name),
			settings: newSettings([]setting{{applicationName, name}}).over(in.settings),
			role:     in.role,
			user:     in.user,
		}
		if s.introductions == nil || len(s.introductions) >= maxNamed {
			s.introductions = make(map[namedIntroduction]*introduction)
		}
		key.name = strings.Clone(name) // it may be a piece of something longer
		s.introductions[key] = o
	}
	return o
}

// report is what a server has reported by ParameterStatus. It is not changed once made.
type report struct{ params []codec.Param }

// with returns the report with one parameter changed; r itself if it has that value already.
func (r *report) with(name, value string) *report {
	for i, p := range r.params {
		if p.Name == name {
			if p.Value == value {
				return r
			}
			params := append([]codec.Param(nil), r.params...)
			params[i].Value = value
			return &report{params}
		}
	}
	params := append(make([]codec.Param, 0, len(r.params)+1), r.params...)
	return &report{append(params, codec.Param{Name: name, Value: value})}
}

// get returns a parameter's value.
func (r *report) get(name string) (value string, ok bool) {
	for _, p := range r.params {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}

// appendNews appends ParameterStatus for what differs from old. A client whose unit of work alone is done by a
// standby has no session in recovery: some drivers would take the whole connection for one to a standby.
//
// https://www.postgresql.org/docs/current/hot-standby.html#HOT-STANDBY-USERS
func (r *report) appendNews(dst []byte, old *report, sole bool) []byte {
	for i, p := range r.params {
		if i < len(old.params) && old.params[i] == p || sole && p.Name == "in_hot_standby" {
			continue
		}
		if value, ok := old.get(p.Name); !ok || value != p.Value {
			dst = appendStatus(dst, p)
		}
	}
	return dst
}

// appendStatus appends a ParameterStatus.
func appendStatus(dst []byte, p codec.Param) []byte {
	dst = appendHeader(dst, 'S', len(p.Name)+len(p.Value)+2)
	dst = append(append(dst, p.Name...), 0)
	return append(append(dst, p.Value...), 0)
}

// appendHeader appends the header of a message with a body of n bytes.
func appendHeader(dst []byte, typ byte, n int) []byte {
	n += 4
	return append(dst, typ, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}
