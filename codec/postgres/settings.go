package postgres

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
)

// setting is a setting's name and value, in the server's encoding and normal form.
type setting struct{ name, value string }

// digest stands for a set of settings: 128 bits of a SHA-256, so that no client can make up another
// set with the same one.
type digest [2]uint64

// settings is what a session's settings are, where they differ from those of a fresh connection. It is
// not changed once made. nil is the empty set.
type settings struct {
	list        []setting // by name, each one once
	hash        digest    // of all
	fingerprint digest    // of those that can matter to what a statement means
	due         words     // what always returns
}

// newSettings makes a set of list, which it may change and keeps. Of a name that is there twice the
// last one counts.
func newSettings(list []setting) *settings {
	slices.Reverse(list)
	slices.SortStableFunc(list, func(a, b setting) int { return cmp.Compare(a.name, b.name) })
	list = slices.CompactFunc(list, func(a, b setting) bool { return a.name == b.name })
	if len(list) == 0 {
		return nil
	}
	s := &settings{
		list:        list,
		hash:        digestOf(list, func(string) bool { return true }),
		fingerprint: digestOf(list, matters),
	}
	if path, _ := s.get("search_path"); strings.Contains(strings.ToLower(path), watchedPrefix) {
		s.due = wordTemp
	}
	return s
}

// digestOf is the zero digest if nothing of the list is wanted.
func digestOf(list []setting, want func(name string) bool) (d digest) {
	var b []byte
	for _, s := range list {
		if want(s.name) {
			b = binary.BigEndian.AppendUint32(b, uint32(len(s.name)))
			b = append(b, s.name...)
			b = binary.BigEndian.AppendUint32(b, uint32(len(s.value)))
			b = append(b, s.value...)
		}
	}
	if len(b) > 0 {
		sum := sha256.Sum256(b)
		d = digest{binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])}
	}
	return d
}

// harmless are settings that have no part in what a statement means. A statement prepared under one
// value can be run under another.
//
// https://www.postgresql.org/docs/current/runtime-config-client.html
var harmless = map[string]bool{
	"application_name":                    true,
	"client_connection_check_interval":    true,
	"client_min_messages":                 true,
	"idle_in_transaction_session_timeout": true,
	"idle_session_timeout":                true,
	"lock_timeout":                        true,
	"deadlock_timeout":                    true,
	"statement_timeout":                   true,
	"transaction_timeout":                 true,
}

// matters tells whether a setting can change what a statement means.
func matters(name string) bool {
	return !harmless[name] && !strings.HasPrefix(name, "log_") && !strings.HasPrefix(name, "tcp_")
}

// sum is the digest of all settings.
func (s *settings) sum() digest {
	if s == nil {
		return digest{}
	}
	return s.hash
}

// prints is the digest of those that matter to what a statement means.
func (s *settings) prints() digest {
	if s == nil {
		return digest{}
	}
	return s.fingerprint
}

// sameSettings tells whether two sets are equal.
func sameSettings(a, b *settings) bool { return a == b || a.sum() == b.sum() }

// all returns the settings by name. The caller must not change them.
func (s *settings) all() []setting {
	if s == nil {
		return nil
	}
	return s.list
}

// get returns the value of a setting.
func (s *settings) get(name string) (value string, ok bool) {
	list := s.all()
	i, ok := slices.BinarySearchFunc(list, name, func(x setting, name string) int {
		return cmp.Compare(x.name, name)
	})
	if !ok {
		return "", false
	}
	return list[i].value, true
}

// over returns s with what base has and s has not.
func (s *settings) over(base *settings) *settings {
	if s == nil || base == nil {
		return cmp.Or(s, base)
	}
	missing := false
	for _, b := range base.list {
		if _, ok := s.get(b.name); !ok {
			missing = true
			break
		}
	}
	if !missing {
		return s
	}
	return newSettings(slices.Concat(base.list, s.list))
}

// always are the sections of a look that are due after each unit of work: with pg_temp in the search
// path, a table may be temporary without a word.
//
// https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-SEARCH-PATH
func (s *settings) always() words {
	if s == nil {
		return 0
	}
	return s.due
}
