package chart

// A look is how one contender is drawn wherever it appears. Marks tell lines apart for those who
// don't see the colours.
type look struct {
	colour string
	mark   mark
}

// looks are fixed, so that a reader learns them once. All colours have a contrast of at least 3 to
// the ground (https://www.w3.org/TR/WCAG22/#non-text-contrast).
var looks = map[string]look{
	"direct":     {"#24292f", circle},
	"floor":      {"#6e7781", square},
	"haproxy":    {"#c75300", diamond},
	"pgbouncer":  {"#1a7f37", triangle},
	"nginx":      {"#8250df", wedge},
	"sluice":     {"#0969da", circle},
	"tiproxy":    {"#cf222e", square},
	"odyssey":    {"#0b8a94", diamond},
	"pg_doorman": {"#7d4a2b", triangle},
	"pgdog":      {"#8f7a00", wedge},
	"pgcat":      {"#c0388f", circle},
	"proxysql":   {"#4552b8", square},
}

// spareLooks are for contenders that have none of their own, such as variants, in their order of
// appearance.
var spareLooks = []look{
	{"#3f9142", diamond},
	{"#b0456b", triangle},
	{"#5b7083", wedge},
	{"#a86500", circle},
	{"#6c3f8f", square},
	{"#007a5e", diamond},
}

// looksOf gives each name its look. Beyond the spare ones they come again.
func looksOf(names []string) map[string]look {
	given := make(map[string]look)
	spare := 0
	for _, name := range names {
		if _, ok := given[name]; ok {
			continue
		}
		l, ok := looks[name]
		if !ok {
			l = spareLooks[spare%len(spareLooks)]
			spare++
		}
		given[name] = l
	}
	return given
}
