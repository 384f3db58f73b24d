package publish

// idle is the scenario of clients that do nothing.
const idle = "idle"

// funnelIdle is the same, of clients that share server connections.
const funnelIdle = "funnel-idle"

// scenarioNames are the titles of charts. A scenario that has none is shown by its name in the report.
var scenarioNames = map[string]string{
	"saturated":  "32 clients, as many queries as possible",
	"paced":      "32 clients at a third of the peak rate",
	"connect":    "Connect, ask once, leave",
	"bulk":       "Results of 16 MiB",
	"tls-client": "TLS on the clients' side",
	"tls-both":   "TLS on both sides",
	"clients":    "Few and many clients",
	"pipeline":   "Pipelines",
	"open":       "An open loop at a third of the peak rate",
	"rows":       "Results of 1 KiB, 64 KiB and 16 MiB",
	idle:         "Idle clients",

	"funnel":         "512 clients over 20 server connections",
	"funnel-clients": "512 and 5,000 clients over 20 server connections",
	funnelIdle:       "Idle clients that share server connections",
}

func scenarioName(name string) string {
	if text, ok := scenarioNames[name]; ok {
		return text
	}
	return name
}

// loadNames are the words for loads. A load that has none is shown by its name in the report.
var loadNames = map[string]string{
	"pg-simple":    "PostgreSQL, simple",
	"pg-extended":  "PostgreSQL, extended",
	"pg-prepared":  "PostgreSQL, prepared",
	"my-text":      "MariaDB, text",
	"my-prepared":  "MariaDB, prepared",
	"my-readwrite": "MariaDB, read and write",
	"pg-connect":   "PostgreSQL",
	"my-connect":   "MariaDB",
	"pg-bulk":      "PostgreSQL",
	"my-bulk":      "MariaDB",
	"syn-pg-open":  "PostgreSQL",
	"syn-my-open":  "MySQL",
	"syn-pg-1k":    "PostgreSQL, 1 KiB",
	"syn-pg-64k":   "PostgreSQL, 64 KiB",
	"syn-pg-16m":   "PostgreSQL, 16 MiB",
	"syn-my-1k":    "MySQL, 1 KiB",
	"syn-my-64k":   "MySQL, 64 KiB",
	"syn-my-16m":   "MySQL, 16 MiB",
	"syn-pg-idle":  "PostgreSQL",
	"syn-my-idle":  "MySQL",

	"pg-funnel-simple":            "PostgreSQL, simple",
	"pg-funnel-extended":          "PostgreSQL, extended",
	"pg-funnel-prepared":          "PostgreSQL, prepared",
	"syn-pg-funnel-512":           "PostgreSQL, simple, 512 clients",
	"syn-pg-funnel-5000":          "PostgreSQL, simple, 5,000 clients",
	"syn-pg-funnel-prepared-512":  "PostgreSQL, prepared, 512 clients",
	"syn-pg-funnel-prepared-5000": "PostgreSQL, prepared, 5,000 clients",
}

func loadName(name string) string {
	if text, ok := loadNames[name]; ok {
		return text
	}
	return name
}

// plural is for more than one unit of a load.
func plural(unit string) string {
	switch unit {
	case "query":
		return "queries"
	case "MiB":
		return unit
	}
	return unit + "s"
}
