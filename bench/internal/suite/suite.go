package suite

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Run measures everything that the options ask for. What fails on the way is left out, the report says
// so, and the error is that of the first one. When the run ends early it returns what it has measured
// until then along with the error; the report is nil only if nothing was begun.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	// The servers run as other users and have to reach their folders below.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	r := &run{Options: o, dir: dir, programs: map[string]string{}, look: program, report: newReport(ctx, o)}
	begun := time.Now()
	if err = r.all(ctx); err == nil {
		err = r.failed
	}
	r.report.TookSeconds = time.Since(begun).Seconds()
	r.report.sum()
	return r.report, err
}

// run is a run under way.
type run struct {
	Options
	dir      string
	certs    certs
	files    int                                                   // descriptors that a process may have
	programs map[string]string                                     // of the contenders, by name
	list     []Contender                                           // who can take part
	look     func(name string, patterns ...string) (string, error) // finds programs
	report   *Report
	failed   error // the first thing that went wrong and that a whole run would have
}

// goOn notes what a run has to do without. It returns an error only if the run can't go on: it was
// cancelled. A guest may fail, for the suite can not know every version of it; who is none is missed.
func (r *run) goOn(ctx context.Context, guest bool, what string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	r.report.note(what + ": " + firstOf(err))
	if !guest && r.failed == nil {
		r.failed = fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// all measures in one stage after the other.
func (r *run) all(ctx context.Context) (err error) {
	if r.files, err = raiseFiles(); err != nil {
		return err
	}
	if r.certs, err = makeCerts(r.dir); err != nil {
		return err
	}
	if r.list, err = r.contenders(ctx); err != nil {
		return err
	}
	r.report.Settings.About = abouts(r.list)
	fmt.Fprint(r.Progress, r.plan(r.list))
	var s *server
	var of backend
	defer func() {
		if s != nil {
			s.stop()
		}
	}()
	for i, st := range r.stages() {
		if i == 0 || of != st.backend {
			if s != nil {
				s.stop()
			}
			of = st.backend
			fmt.Fprintf(r.Progress, "starting %s\n", of)
			if s, err = startServer(ctx, of, r.dir, r.certs); err != nil {
				s = nil
				if err := r.goOn(ctx, false, fmt.Sprintf("Nothing was measured with %s", of), err); err != nil {
					return err
				}
				continue
			}
			r.report.Machine.Versions[of.String()] = s.version
		}
		if s == nil {
			continue // it did not start
		}
		if err := r.stage(ctx, st, s); err != nil {
			return err
		}
	}
	return nil
}

// raiseFiles lets this process and its children have as many descriptors as the machine allows, and
// returns how many that is.
func raiseFiles() (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	limit.Cur = limit.Max
	// This sets it for the children too, which Go would otherwise start with the limit that it found.
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	const most = 1 << 20 // enough for anything here, and some systems say infinity
	return int(min(limit.Max, most)), nil
}

// contenders finds the programs of all who may take part in some cell. Who is not installed is left
// out, and the report says so, except of guests.
func (r *run) contenders(ctx context.Context) ([]Contender, error) {
	var list []Contender
	for _, c := range r.allContenders() {
		if !r.takesPart(c) {
			continue
		}
		path := r.Programs[c.Name]
		if path == "" && c.program != "" {
			found, err := r.look(c.program)
			if err != nil {
				if !c.Guest || slices.Contains(r.Only, c.Name) {
					r.report.note(fmt.Sprintf("%s takes no part: %s is not installed.", c.Name, c.program))
				}
				continue
			}
			path = found
		}
		if c.Name == floorName {
			relay, err := buildFloor(ctx, path, r.Floor, r.dir)
			if err != nil {
				return nil, err
			}
			path = relay
		}
		r.programs[c.Name] = path
		list = append(list, r.known(ctx, c, path))
	}
	return list, nil
}

// takesPart reports whether a contender is in the line-up of any cell.
func (r *run) takesPart(c Contender) bool {
	all := r.allContenders()
	return slices.ContainsFunc(r.cells(), func(x cell) bool {
		return slices.ContainsFunc(r.lineup(x, all), func(y Contender) bool { return y.Name == c.Name })
	})
}

func abouts(list []Contender) []string {
	var out []string
	for _, c := range list {
		out = append(out, c.Name+": "+c.About)
	}
	return out
}

// station is where contenders stand in a stage.
func (r *run) station(st stage, s *server, c Contender) station {
	at := station{server: s.addr, database: st.database, sides: st.sides, certs: r.certs, dir: r.dir,
		threads: r.Threads, clients: st.clients(), pool: st.pool, prepared: !c.unprepared, program: r.programs[c.Name]}
	if at.program == "" {
		at.program = r.Sluice
	}
	return at
}

// clientsMost is how many clients contenders are set up for, unless a load has more; then it is a tenth
// more than that, for those that have not yet gone.
const clientsMost = 1000

// stage measures its cells one after the other. A contender is started for the first cell in which it
// takes part and stays until the stage is over.
func (r *run) stage(ctx context.Context, st stage, s *server) error {
	standing := map[string]*entrant{}
	defer func() {
		for _, e := range standing {
			e.stop()
		}
	}()
	for _, group := range st.groups() {
		if c := group[0]; c.Idle {
			if err := r.idle(ctx, st, c, s); err != nil {
				return err
			}
			continue
		}
		var works []*work
		for _, c := range group {
			entrants, err := r.entrants(ctx, st, s, c, standing)
			if err != nil {
				return err
			}
			if len(entrants) == 0 {
				continue
			}
			w, err := r.prepare(ctx, c, s, entrants)
			if err != nil {
				what := fmt.Sprintf("%s, %s is left out", c.Scenario.Name, c.Load.Name)
				if err := r.goOn(ctx, false, what, err); err != nil {
					return err
				}
				continue
			}
			works = append(works, w)
		}
		if len(works) == 0 {
			continue
		}
		if err := r.measureAll(ctx, s, works); err != nil {
			return err
		}
	}
	return nil
}

// entrants are those who take part in a cell, in front of its server; who does not stand there yet, or no
// longer, is started.
func (r *run) entrants(ctx context.Context, st stage, s *server, c cell, standing map[string]*entrant) ([]*entrant, error) {
	var out []*entrant
	for _, x := range r.lineup(c, r.list) {
		if e := standing[x.Name]; e != nil && e.ended() {
			e.stop()
			delete(standing, x.Name)
		}
		if standing[x.Name] == nil {
			e, err := startEntrant(ctx, x, r.station(st, s, x))
			if err != nil {
				if err := r.goOn(ctx, x.Guest, fmt.Sprintf("%s takes no part with %s", x.Name, st.backend), err); err != nil {
					return nil, err
				}
				continue
			}
			standing[x.Name] = e
		}
		out = append(out, standing[x.Name])
	}
	return out, nil
}

// firstOf is the first line of an error.
func firstOf(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// begin enters the results of a cell into the report, empty as yet.
func (r *run) begin(c cell, rate float64, list []Contender) []*Result {
	results := make([]*Result, len(list))
	for i, x := range list {
		results[i] = &Result{Scenario: c.Scenario.Name, Load: c.Load.Name, Unit: c.Unit, Rate: rate, Contender: x.Name,
			Clients: c.Clients, Depth: c.Depth, Bytes: c.Bytes, Pool: c.Pool, Versus: c.Versus, Note: noteOf(c, x)}
	}
	r.report.Results = append(r.report.Results, results...)
	return results
}

// noteOf is what a reader has to know of a contender under a load.
func noteOf(c cell, x Contender) string {
	var notes []string
	if c.Note != "" {
		notes = append(notes, c.Note)
	}
	if remark := x.Remarks[c.Scenario.Name]; remark != "" {
		notes = append(notes, remark)
	}
	if c.Sides == tlsBothSides && x.TLS == tlsPasses {
		notes = append(notes, "Passes TLS through.")
	}
	return strings.Join(notes, " ")
}
