package suite

import "slices"

// Scenario is one way of loading a server: how hard, and with what.
type Scenario struct {
	Name  string
	About string // one sentence for the report
	Loads []string
	// Paced: the load offers a third of the peak instead of all it can. Rounds of a paced scenario
	// come after those of the one that finds the peak.
	Paced bool
	Sides Sides // that are encrypted
	Idle  bool  // clients that log in and do nothing: memory is what is measured
	// Pool is how many server connections a contender may have: its clients share them, each for a
	// transaction. 0 = as many as it has clients.
	Pool int
	// Alternate has a load that is compared with another one measured in the same rounds, so that what
	// the machine does meanwhile is the same for both.
	Alternate bool
	// Share is the part of the run's window that a sample takes; 0 = all of it.
	Share float64
	// RoundsMax limits the rounds; 0 = as many as the run makes.
	RoundsMax int
	// RoundsTimes multiplies the rounds of a run that is not quick; 0 = by one.
	RoundsTimes float64
	Quick       []string // loads that are part of the short run
	Profile     []string // loads under which Sluice is profiled once their rounds are over
}

// scenarios is what a run measures, in this order.
var scenarios = []Scenario{
	{
		Name:    "saturated",
		About:   "32 clients, each sends its next query as soon as it has the answer.",
		Loads:   []string{"pg-simple", "pg-extended", "pg-prepared", "my-text", "my-prepared", "my-readwrite"},
		Quick:   []string{"pg-simple", "pg-prepared", "my-text"},
		Profile: []string{"pg-simple", "pg-prepared", "my-text", "my-prepared"},
	},
	{
		Name:    "paced",
		About:   "32 clients at a third of the peak rate: the loops sleep between queries. Latency counts from when a query was due.",
		Loads:   []string{"pg-simple", "pg-prepared", "my-text", "my-prepared"},
		Paced:   true,
		Quick:   []string{"pg-prepared", "my-text"},
		Profile: []string{"pg-prepared", "my-text"},
	},
	{
		Name:    "connect",
		About:   "8 clients connect, log in, run one query and disconnect.",
		Loads:   []string{"pg-connect", "my-connect"},
		Share:   shortShare,
		Profile: []string{"pg-connect"},
	},
	{
		Name:    "bulk",
		About:   "4 clients fetch results of 16 MiB each; figures are per MiB.",
		Loads:   []string{"pg-bulk", "my-bulk"},
		Profile: []string{"pg-bulk"},
	},
	{
		Name:        "tls-client",
		About:       "32 clients over TLS to the contender, which ends it: its own connections to the server are plain.",
		Loads:       []string{"pg-prepared", "my-text"},
		Sides:       tlsClientSide,
		Share:       shortShare,
		Profile:     []string{"pg-prepared"},
		RoundsTimes: fewRounds,
	},
	{
		Name:        "tls-both",
		About:       "32 clients over TLS, and TLS towards the server. Relays pass the encrypted bytes through.",
		Loads:       []string{"pg-prepared", "my-text"},
		Sides:       tlsBothSides,
		Share:       shortShare,
		RoundsTimes: fewRounds,
	},
	{
		Name:        "clients",
		About:       "1, 32 and 512 clients of the synthetic server, each sends its next query as soon as it has the answer.",
		Loads:       []string{"syn-pg-1", "syn-pg-32", "syn-pg-512", "syn-my-1", "syn-my-32", "syn-my-512"},
		Share:       shortShare,
		Quick:       []string{"syn-pg-1", "syn-pg-512"},
		Profile:     []string{"syn-pg-512"},
		RoundsTimes: fewRounds,
	},
	{
		Name:        "open",
		About:       "64 clients of the synthetic server at a third of the peak rate. Latency counts from when a query was due.",
		Loads:       []string{"syn-pg-open", "syn-my-open"},
		Paced:       true,
		Share:       shortShare,
		RoundsTimes: fewRounds,
	},
	{
		Name:        "pipeline",
		About:       "8 clients of the synthetic server, each with 1 or 64 queries under way.",
		Loads:       []string{"syn-pg-depth-1", "syn-pg-depth-64", "syn-my-depth-1", "syn-my-depth-64"},
		Share:       shortShare,
		Profile:     []string{"syn-pg-depth-64"},
		RoundsTimes: fewRounds,
	},
	{
		Name:        "rows",
		About:       "8 clients fetch results of 1 KiB, 64 KiB and 16 MiB from the synthetic server; figures are per MiB.",
		Loads:       []string{"syn-pg-1k", "syn-pg-64k", "syn-pg-16m", "syn-my-1k", "syn-my-64k", "syn-my-16m"},
		Share:       shortShare,
		RoundsTimes: fewRounds,
	},
	{
		Name:      "idle",
		About:     "Clients of the synthetic server that have logged in and are silent, in front of a contender started for them alone.",
		Loads:     []string{"syn-pg-idle", "syn-my-idle"},
		Idle:      true,
		RoundsMax: 1,
	},
	{
		Name:        "funnel",
		About:       "512 clients over 20 server connections, each sends its next query as soon as it has the answer, so that nearly all of them wait for a server connection.",
		Loads:       []string{"pg-funnel-simple", "pg-funnel-extended", "pg-funnel-prepared"},
		Pool:        funnelPool,
		Share:       shortShare,
		RoundsTimes: moreRounds,
		Quick:       []string{"pg-funnel-simple"},
		Profile:     []string{"pg-funnel-simple", "pg-funnel-prepared"},
	},
	{
		Name:        "funnel-clients",
		About:       "512 and 5,000 clients of the synthetic server over 20 server connections; a contender's sample with the one and with the other follow each other at once.",
		Loads:       []string{"syn-pg-funnel-512", "syn-pg-funnel-5000", "syn-pg-funnel-prepared-512", "syn-pg-funnel-prepared-5000"},
		Pool:        funnelPool,
		Alternate:   true,
		Share:       shortShare,
		RoundsTimes: 2,
		Quick:       []string{"syn-pg-funnel-512"},
	},
	{
		Name:      "funnel-idle",
		About:     "Clients of the synthetic server that have logged in and are silent, and share 20 server connections.",
		Loads:     []string{"syn-pg-idle"},
		Pool:      funnelPool,
		Idle:      true,
		RoundsMax: 1,
	},
}

// shortShare is the part of a window that scenarios take whose figures need no longer one, and fewRounds
// the part of the rounds of those that no target hangs on. Where hundreds of clients wait for each other, a
// moment in which the machine stands still is in the latency of all of them: more samples, and shorter
// ones, tell more there.
const (
	shortShare = 0.4
	fewRounds  = 0.6
	moreRounds = 1.4
)

// peakScenarios are those whose throughput sets the rate of the paced ones.
var peakScenarios = []string{"saturated", "clients"}

// pacedShare is the part of the peak rate that a paced scenario offers.
const pacedShare = 1.0 / 3

// lineups says who takes part where by default: in a scenario, or under one load of it. The names of
// a run's options go before it, and guests and variants take part wherever they can. Each contender
// in a line costs time in every round, so less important lines are shorter.
var lineups = map[string][]string{
	"saturated":              {directName, floorName, haproxyName, "nginx", pgbouncerName, sluiceName},
	"saturated/pg-extended":  {floorName, haproxyName, pgbouncerName, sluiceName},
	"saturated/pg-prepared":  {directName, floorName, haproxyName, pgbouncerName, sluiceName},
	"saturated/my-text":      {directName, floorName, haproxyName, sluiceName},
	"saturated/my-prepared":  {directName, floorName, haproxyName, sluiceName},
	"saturated/my-readwrite": {haproxyName, sluiceName},
	"paced":                  {floorName, haproxyName, pgbouncerName, sluiceName},
	"paced/pg-prepared":      {directName, floorName, haproxyName, pgbouncerName, sluiceName},
	"paced/my-text":          {directName, floorName, haproxyName, sluiceName},
	"connect":                {floorName, haproxyName, pgbouncerName, sluiceName},
	"bulk":                   {floorName, haproxyName, pgbouncerName, sluiceName},
	"tls-client":             {pgbouncerName, sluiceName},
	"tls-both":               {haproxyName, pgbouncerName, sluiceName},
	"clients":                {floorName, haproxyName, pgbouncerName, sluiceName},
	"open":                   {floorName, haproxyName, pgbouncerName, sluiceName},
	"pipeline":               {floorName, haproxyName, sluiceName},
	"rows":                   {haproxyName, sluiceName},
	"idle":                   {floorName, haproxyName, pgbouncerName, sluiceName},

	"funnel":                  {pgbouncerName, sluiceName, sluiceTwoName},
	"funnel/pg-funnel-simple": {directName, pgbouncerName, sluiceName, sluiceTwoName},
	"funnel-clients":          {pgbouncerName, sluiceName},
	"funnel-idle":             {pgbouncerName, sluiceName},
}

// quickLineup is who takes part in the short run, of those who would in the long one.
var quickLineup = []string{floorName, haproxyName, pgbouncerName, sluiceName, sluiceTwoName}

// profiled tells whether Sluice is profiled under the cell's load.
func (c cell) profiled() bool { return slices.Contains(c.Scenario.Profile, c.Load.Name) }

// lineup chooses from all contenders those who take part in a cell.
func (o *Options) lineup(c cell, all []Contender) []Contender {
	names := lineups[c.Scenario.Name+"/"+c.Load.Name]
	if names == nil {
		names = lineups[c.Scenario.Name]
	}
	chosenByName := slices.ContainsFunc(all, func(x Contender) bool { return slices.Contains(o.Only, x.Name) })
	var out []Contender
	for _, x := range all {
		standing := slices.ContainsFunc(contenders, func(y Contender) bool { return y.Name == x.Name && !y.Guest })
		in := !standing || slices.Contains(names, x.Name) && (!o.Quick || slices.Contains(quickLineup, x.Name))
		if chosenByName {
			in = slices.Contains(o.Only, x.Name)
		}
		if in && x.can(c) {
			x.Guest = x.Guest || c.crowds(x)
			out = append(out, x)
		}
	}
	return out
}
