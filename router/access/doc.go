// Package access says who may log in at Sluice, to which database, and under which limits. It is pure:
// a Table is made once for a configuration, is not changed, and answers questions with values.
//
// A question (Query) passes four stations, and the Found that comes back has been shaped by each:
//
//	rules       the first one that fits says how the client has to prove who it is; none fits: it may not log in
//	databases   the name that the client gave, and the one it stands for at the servers
//	users       what is known of the secret, from the configuration and from user lists
//	limits      the user's go before the database's, those before the listener's
//
// A name that is not known, of a user or of a database, does not end the dialogue: Account.Known is
// false, and the login goes on as it would with a wrong password. Names of users that may be known
// to the servers alone are to be asked for (Found.Ask, then Found.Answer).
//
// The rules are modelled on PostgreSQL's, https://www.postgresql.org/docs/17/auth-pg-hba-conf.html.
package access
