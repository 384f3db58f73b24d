package access

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of a user list, in bytes.
const (
	// UserlistMax bounds the whole of it.
	UserlistMax = 16 << 20
	// nameMax bounds a name. Servers cut names behind 63 bytes.
	nameMax = 255
	// secretMax bounds a secret: as much as PgBouncer takes.
	secretMax = 2047
)

// ParseUserlist reads users and secrets from a file as PgBouncer has them: a line for each user, with
// the name and the secret (see SecretOf) in double quotes; what follows on the line does not count. A
// double quote inside is written twice. Empty lines, and those that begin with ';' or '#', say nothing.
// Of several lines for one name the last counts.
//
// Where PgBouncer stops at a line that it does not understand, and does without the users behind it,
// this is an error.
//
// https://www.pgbouncer.org/config.html#authentication-file-format
func ParseUserlist(text string) ([]User, error) {
	if len(text) > UserlistMax {
		return nil, fmt.Errorf("has more than %d bytes", UserlistMax)
	}
	var users []User
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		line = strings.Trim(line, " \t\r\v\f")
		if line == "" || line[0] == ';' || line[0] == '#' {
			continue
		}
		u, err := parseUser(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		users = append(users, u)
	}
	return users, nil
}

func parseUser(line string) (User, error) {
	name, rest, err := quoted(line)
	if err != nil {
		return User{}, fmt.Errorf("the name %w", err)
	}
	secret, _, err := quoted(strings.TrimLeft(rest, " \t"))
	switch {
	case err != nil:
		return User{}, fmt.Errorf("the secret %w", err)
	case name == "":
		return User{}, errors.New("the name is empty")
	case len(name) > nameMax:
		return User{}, fmt.Errorf("the name has more than %d bytes", nameMax)
	case len(secret) > secretMax:
		return User{}, fmt.Errorf("the secret has more than %d bytes", secretMax)
	case strings.Contains(name+secret, "\x00"):
		return User{}, errors.New("holds a zero byte")
	}
	return User{Name: name, Secret: SecretOf(secret)}, nil
}

// quoted reads a text in double quotes from the beginning of s.
func quoted(s string) (text, rest string, err error) {
	if s == "" || s[0] != '"' {
		return "", "", errors.New("does not stand in double quotes")
	}
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			i++ // a double quote of the text
			continue
		}
		return strings.ReplaceAll(s[1:i], `""`, `"`), s[i+1:], nil
	}
	return "", "", errors.New("has no double quote at its end")
}
