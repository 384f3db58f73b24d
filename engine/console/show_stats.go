package console

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/codec"
)

// figures are what is counted for a database, in the order of PgBouncer's columns. Times are in
// microseconds.
type figures [11]uint64

// The places of what averages are computed from.
const (
	figAssignments = iota
	figTransactions
	figQueries
	figReceived
	figSent
	figTransactionTime
	figQueryTime
	figWaitTime
	figClientParses
	figServerParses
	figBinds
)

func figuresOf(s *Stats) figures {
	return figures{s.Assignments, s.Transactions, s.Queries, s.Received, s.Sent,
		uint64(s.TransactionTime.Microseconds()), uint64(s.QueryTime.Microseconds()), uint64(s.WaitTime.Microseconds()),
		s.ClientParses, s.ServerParses, s.Binds}
}

// add adds up two databases.
func (f *figures) add(o *figures) {
	for i := range f {
		f[i] += o[i]
	}
}

// values are the figures as columns.
func (f *figures) values() []any {
	out := make([]any, len(f))
	for i, n := range f {
		out[i] = number(n)
	}
	return out
}

// average returns what happened since older, a time span ago: counts for each second, times for each of
// what took them.
func (f *figures) average(older *figures, span time.Duration) figures {
	var diff, avg figures
	for i := range f {
		diff[i] = f[i] - min(f[i], older[i]) // a pool that was dropped takes its counts along
	}
	if span <= 0 {
		return avg
	}
	for i, n := range diff {
		avg[i] = uint64(float64(n) / span.Seconds())
	}
	each := func(time, of int) {
		if avg[time] = 0; diff[of] > 0 {
			avg[time] = diff[time] / diff[of]
		}
	}
	each(figTransactionTime, figTransactions)
	each(figQueryTime, figQueries)
	each(figWaitTime, figAssignments)
	return avg
}

// The names of the figures, in their order, as each table has them.
var (
	countNames = strings.Fields("server_assignment_count xact_count query_count")
	timeNames  = strings.Fields("xact_time query_time wait_time")
	parseNames = strings.Fields("client_parse_count server_parse_count bind_count")

	statsColumns = databaseAnd(
		named("total_", countNames, []string{"received", "sent"}, timeNames, parseNames),
		named("avg_", countNames, []string{"recv", "sent"}, timeNames, parseNames))
	statsTotalsColumns   = databaseAnd(named("", countNames, []string{"bytes_received", "bytes_sent"}, timeNames, parseNames))
	statsAveragesColumns = databaseAnd(named("", countNames, []string{"bytes_received", "bytes_sent"}, timeNames), named("avg_", parseNames))

	// totalsNames are the rows of SHOW TOTALS, which has names of its own.
	totalsNames = slices.Concat(countNames, []string{"client_bytes", "server_bytes"}, timeNames,
		[]string{"ps_client_parse_count", "ps_server_parse_count", "ps_bind_count"})
)

func named(prefix string, lists ...[]string) []codec.Column {
	var out []codec.Column
	for _, name := range slices.Concat(lists...) {
		out = append(out, codec.Column{Name: prefix + name, Type: codec.ColumnBig})
	}
	return out
}

func databaseAnd(lists ...[]codec.Column) []codec.Column {
	return append(columns("database text"), slices.Concat(lists...)...)
}

// statsPeriod is how often the figures are put aside for averages: PgBouncer's default for stats_period.
const statsPeriod = time.Minute

// sample are the figures at one moment.
type sample struct {
	at time.Time
	of map[string]figures // by database
}

// averages keeps the figures of the last two periods, so that an average is always over one period at
// least, and two at most.
type averages struct {
	mu           sync.Mutex
	older, newer sample
}

// Watch puts the figures aside once in a period, until the context ends.
func (c *Console) Watch(ctx context.Context) {
	ticker := time.NewTicker(statsPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.sample()
		}
	}
}

// sample puts the present figures aside.
func (c *Console) sample() {
	s := sample{c.now(), c.current()}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.older = c.newer; c.older.of == nil {
		c.older = s
	}
	c.newer = s
}

// current returns the figures by database.
func (c *Console) current() map[string]figures {
	of := map[string]figures{}
	for _, s := range c.src.Stats() {
		sum, f := of[s.Database], figuresOf(&s)
		sum.add(&f)
		of[s.Database] = sum
	}
	return of
}

// since returns the older sample and the time that has passed since.
func (c *Console) since() (older sample, span time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.older, c.now().Sub(c.older.at)
}

// eachDatabase makes a row of each database's totals and averages.
func (c *Console) eachDatabase(row func(total, avg *figures) []any) [][]any {
	now := c.current()
	older, span := c.since()
	names := make([]string, 0, len(now))
	for name := range now {
		names = append(names, name)
	}
	slices.Sort(names)
	var rows [][]any
	for _, name := range names {
		total, was := now[name], older.of[name]
		avg := total.average(&was, span)
		rows = append(rows, append([]any{name}, row(&total, &avg)...))
	}
	return rows
}

func (c *Console) stats(Who) [][]any {
	return c.eachDatabase(func(total, avg *figures) []any { return append(total.values(), avg.values()...) })
}

func (c *Console) statsTotals(Who) [][]any {
	return c.eachDatabase(func(total, _ *figures) []any { return total.values() })
}

func (c *Console) statsAverages(Who) [][]any {
	return c.eachDatabase(func(_, avg *figures) []any { return avg.values() })
}

// totals adds up all databases, a row for each figure.
func (c *Console) totals(Who) [][]any {
	var total, was figures
	for _, f := range c.current() {
		total.add(&f)
	}
	older, span := c.since()
	for _, f := range older.of {
		was.add(&f)
	}
	avg := total.average(&was, span)
	var rows [][]any
	for i, name := range totalsNames {
		rows = append(rows, []any{"total_" + name, number(total[i])})
	}
	for i, name := range totalsNames {
		rows = append(rows, []any{"avg_" + name, number(avg[i])})
	}
	return rows
}
