package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bench is one run of the comparison.
type bench struct {
	self      string // this program, to run as server and load generator
	sett      string // the binary to measure
	settErr   error  // why there is none
	settGiven bool   // or else it is built
	settArgs  string
	temp      string // holds everything that the run writes; removed at its end

	scenarios []scenario
	rows      []string // all if empty
	clients   []int    // the scenario's own if empty
	largeKeys int
	rounds    int
	warmUp    time.Duration
	measure   time.Duration

	report  *report
	results []result
	failed  []string // rows that broke while they were measured
}

// options are the flags as they were given.
type options struct {
	scenarios, rows, clients string
	sett, settArgs, temp     string
	output                   string
	rounds                   int
	seconds                  float64
	full                     bool
	largeKeys                int
}

func (o *options) parse(args []string, stderr io.Writer) error {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.scenarios, "scenario", "", "which to run, as set,get (default: set, get, batch, list, event, idle, heartbeat; by name also expiry, instances, large)")
	fs.StringVar(&o.rows, "rows", "", "which systems, as echo,sett-live (default: all)")
	fs.StringVar(&o.clients, "clients", "", "numbers of clients, as 1,64,256 (default: each scenario's own)")
	fs.Float64Var(&o.seconds, "seconds", 0, "measured time of a round (default 0.7, with --full 3)")
	fs.IntVar(&o.rounds, "rounds", 0, "how often each row has its turn (default 3, with --full 5)")
	fs.BoolVar(&o.full, "full", false, "longer rounds, and more of them")
	fs.StringVar(&o.sett, "sett", "", "the sett binary to measure (default: built from this module)")
	fs.StringVar(&o.settArgs, "sett-args", "", "more arguments of `sett serve`, separated by spaces")
	fs.IntVar(&o.largeKeys, "large-keys", largeKeys, "how many keys the scenario large loads")
	fs.StringVar(&o.temp, "temp", "", "where the servers keep their data (default: the system's temporary directory)")
	fs.StringVar(&o.output, "o", "table", "table or json: one line for each row")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if o.rounds == 0 {
		o.rounds = 3
		if o.full {
			o.rounds = 5
		}
	}
	if o.seconds == 0 {
		o.seconds = 0.7
		if o.full {
			o.seconds = 3
		}
	}
	if o.rounds < 1 || o.seconds < 0.1 || o.seconds > 600 {
		return errors.New("--rounds must be at least 1 and --seconds 0.1 to 600")
	}
	return nil
}

// newBench turns flags into a run.
func newBench(o options, stdout io.Writer) (*bench, error) {
	b := &bench{largeKeys: o.largeKeys, sett: o.sett, settGiven: o.sett != "", settArgs: o.settArgs, rounds: o.rounds}
	b.measure = time.Duration(o.seconds * float64(time.Second))
	b.warmUp = max(b.measure/3, 300*time.Millisecond)
	var err error
	if b.report, err = newReport(o.output, stdout); err != nil {
		return nil, err
	}
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if err := b.choose(o); err != nil {
		return nil, err
	}
	b.temp, err = os.MkdirTemp(o.temp, "sett-bench-")
	return b, err
}

// choose reads the lists of scenarios, rows and clients.
func (b *bench) choose(o options) error {
	b.scenarios = slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return s.byName })
	if o.scenarios != "" {
		b.scenarios = nil
		for _, name := range strings.Split(o.scenarios, ",") {
			i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
			if i < 0 {
				return fmt.Errorf("--scenario: there is no %q", name)
			}
			b.scenarios = append(b.scenarios, scenarios[i])
		}
	}
	if o.rows != "" {
		b.rows = strings.Split(o.rows, ",")
		for _, name := range b.rows {
			if _, ok := systemNamed(name); !ok {
				return fmt.Errorf("--rows: there is no %q", name)
			}
		}
	}
	if o.clients != "" {
		for _, text := range strings.Split(o.clients, ",") {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || n > 10_000 {
				return fmt.Errorf("--clients: %q is not a number from 1 to 10000", text)
			}
			b.clients = append(b.clients, n)
		}
	}
	return nil
}

func (b *bench) wants(row string) bool { return len(b.rows) == 0 || slices.Contains(b.rows, row) }

// runCompare is bench without a role: the comparison.
func runCompare(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	if err := o.parse(args, stderr); err != nil {
		return err
	}
	b, err := newBench(o, stdout)
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.temp)
	b.locateSett(ctx)
	b.report.machine(ctx, b)
	for _, sc := range b.scenarios {
		if err := b.runScenario(ctx, sc); err != nil {
			return err
		}
	}
	if len(b.failed) > 0 {
		return fmt.Errorf("%d rows failed:\n%s", len(b.failed), strings.Join(b.failed, "\n"))
	}
	return nil
}

func (b *bench) runScenario(ctx context.Context, sc scenario) error {
	switch sc.name {
	case scenarioIdle:
		return b.runIdle(ctx, sc)
	case scenarioLarge:
		return b.runLarge(ctx, sc)
	case scenarioExpiry:
		return b.runExpiry(ctx, sc)
	case scenarioInstances:
		return b.runInstances(ctx, sc)
	}
	f, err := b.startFleet(ctx, sc)
	if err != nil {
		return err
	}
	err = b.measureFleet(ctx, sc, f)
	return errors.Join(err, f.stop())
}

func (b *bench) measureFleet(ctx context.Context, sc scenario, f *fleet) error {
	clients := sc.clients
	if len(b.clients) > 0 && sc.action != actEvent { // which is for one client
		clients = b.clients
	}
	for _, n := range clients {
		if err := b.measureTable(ctx, sc, f, n); err != nil {
			return err
		}
	}
	if sc.name != scenarioList {
		return nil
	}
	for _, m := range f.members {
		if err := b.fill(ctx, m, listFirst, listSize, overwrites); err != nil {
			return err
		}
	}
	sc.name, sc.title = scenarioAgain, sc.title+", each overwritten 400 times"
	for _, n := range clients {
		if err := b.measureTable(ctx, sc, f, n); err != nil {
			return err
		}
	}
	return nil
}

// measureTable gives each member its turn, round after round, and reports.
func (b *bench) measureTable(ctx context.Context, sc scenario, f *fleet, clients int) error {
	table := make([]result, len(f.members))
	for i, m := range f.members {
		table[i] = result{Scenario: sc.name, Clients: clients, Row: m.name, Title: m.title, base: sc.base, latency: sc.action == actEvent}
	}
	for range b.rounds {
		for i, m := range f.members {
			if table[i].NotMeasured != "" {
				continue
			}
			s, err := b.turn(ctx, m, sc.action, clients)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				table[i].NotMeasured = b.reason(err)
				continue
			}
			table[i].rounds = append(table[i].rounds, s)
		}
	}
	for _, missing := range f.missing {
		missing.Scenario, missing.Clients = sc.name, clients
		table = append(table, missing)
	}
	b.results = append(b.results, table...)
	b.report.table(b, sc, clients, table)
	return nil
}
