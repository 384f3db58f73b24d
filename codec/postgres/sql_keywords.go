package postgres

// reserved tells that a word without quotes can't be a name. The list is that of the words which are
// reserved, but for functions and types or wholly, in PostgreSQL 11 to 18:
// https://www.postgresql.org/docs/current/sql-keywords-appendix.html.
func reserved(word []byte) bool { return reservedWords[string(word)] }

var reservedWords = func() map[string]bool {
	m := make(map[string]bool)
	for _, w := range [...]string{
		"all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization",
		"binary", "both", "case", "cast", "check", "collate", "collation", "column", "concurrently",
		"constraint", "create", "cross", "current_catalog", "current_date", "current_role",
		"current_schema", "current_time", "current_timestamp", "current_user", "default", "deferrable",
		"desc", "distinct", "do", "else", "end", "except", "false", "fetch", "for", "foreign", "freeze",
		"from", "full", "grant", "group", "having", "ilike", "in", "initially", "inner", "intersect",
		"into", "is", "isnull", "join", "lateral", "leading", "left", "like", "limit", "localtime",
		"localtimestamp", "natural", "not", "notnull", "null", "offset", "on", "only", "or", "order",
		"outer", "overlaps", "placing", "primary", "references", "returning", "right", "select",
		"session_user", "similar", "some", "symmetric", "system_user", "table", "tablesample", "then",
		"to", "trailing", "true", "union", "unique", "user", "using", "variadic", "verbose", "when",
		"where", "window", "with",
	} {
		m[w] = true
	}
	return m
}()
