package suite

// Scenario is one way of loading a server: how hard, and with what.
type Scenario struct {
	Name  string
	About string // one sentence for the report
	Loads []string
	// Paced: the load offers a third of the peak instead of all it can. Rounds of a paced scenario
	// come after those of the scenario that finds the peak.
	Paced bool
	Quick bool // part of the short run
}

// scenarios is what a run measures, in this order.
var scenarios = []Scenario{
	{
		Name:  "saturated",
		About: "32 clients, each sends its next query as soon as it has the answer.",
		Loads: []string{"pg-simple", "pg-prepared", "my-text", "my-prepared"},
		Quick: true,
	},
	{
		Name:  "paced",
		About: "32 clients at a third of the peak rate: the loops sleep between queries. Latency counts from when a query was due.",
		Loads: []string{"pg-simple", "pg-prepared", "my-text", "my-prepared"},
		Paced: true,
		Quick: true,
	},
	{
		Name:  "connect",
		About: "8 clients connect, log in, run one query and disconnect.",
		Loads: []string{"pg-connect", "my-connect"},
	},
	{
		Name:  "bulk",
		About: "4 clients fetch results of 16 MiB each; figures are per MiB.",
		Loads: []string{"pg-bulk", "my-bulk"},
	},
}

// peakScenario is the one whose throughput sets the rate of the paced ones.
const peakScenario = "saturated"

// pacedShare is the part of the peak rate that a paced scenario offers.
const pacedShare = 1.0 / 3
