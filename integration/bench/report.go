package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// A report writes the results as they come: tables for people, or one line of
// JSON for each row and each verdict.
type report struct {
	out  io.Writer
	json bool
}

func newReport(format string, out io.Writer) (*report, error) {
	switch format {
	case "table", "json":
		return &report{out: out, json: format == "json"}, nil
	}
	return nil, fmt.Errorf("-o: there is no format %q", format)
}

func (r *report) line(kind string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		body = []byte(fmt.Sprintf("%q", err))
	}
	fmt.Fprintf(r.out, "{%q:%s}\n", kind, body)
}

// A rowLine is a row of a table, as JSON and for people.
type rowLine struct {
	Scenario    string  `json:"scenario"`
	Clients     int     `json:"clients"`
	Row         string  `json:"row"`
	NotMeasured string  `json:"not_measured,omitempty"`
	Rate        spread  `json:"rate"`
	Base        string  `json:"base,omitempty"`
	Ratio       *spread `json:"ratio_to_base,omitempty"`
	P50us       spread  `json:"p50_us"`
	P99us       spread  `json:"p99_us"`
	ServerUs    spread  `json:"server_cpu_us"`
	ClientUs    spread  `json:"client_cpu_us"`
	SettleMs    spread  `json:"settle_ms"`
	Others      spread  `json:"others_cpu_share"`

	title string
}

func (b *bench) rowLine(row *result) rowLine {
	line := rowLine{
		Scenario: row.Scenario, Clients: row.Clients, Row: row.Row, NotMeasured: row.NotMeasured,
		Rate:     row.of(func(s sample) float64 { return s.Rate }),
		P50us:    row.of(func(s sample) float64 { return s.P50us }),
		P99us:    row.of(func(s sample) float64 { return s.P99us }),
		ServerUs: row.of(func(s sample) float64 { return s.ServerUs }),
		ClientUs: row.of(func(s sample) float64 { return s.ClientUs }),
		SettleMs: row.of(func(s sample) float64 { return float64(s.Settle.Milliseconds()) }),
		Others:   row.of(func(s sample) float64 { return s.Others }),
		title:    row.Title,
	}
	if toBase, ok := ratio(row, b.find(row.Scenario, row.Clients, row.base)); ok {
		line.Base, line.Ratio = row.base, &toBase
	}
	return line
}

// table writes one scenario at one number of clients.
func (r *report) table(b *bench, sc scenario, clients int, rows []result) {
	verdicts := b.verdicts(sc, clients)
	lines := make([]rowLine, len(rows))
	for i := range rows {
		lines[i] = b.rowLine(&rows[i])
	}
	if r.json {
		for _, line := range lines {
			r.line("row", line)
		}
		for _, v := range verdicts {
			r.line("verdict", v)
		}
		return
	}
	fmt.Fprintf(r.out, "\n%s, %s (%d rounds of %v)\n", sc.title, plural(clients, "client"), b.rounds, b.measure)
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "  \t%s/s\tmin - max\tx %s\tmin - max\tp50\tp99\tCPU/op server\tclients\tothers\n", sc.unit, sc.base)
	for _, line := range lines {
		line.write(w)
	}
	w.Flush()
	r.notes(b, lines)
	r.verdicts(verdicts)
	fmt.Fprintf(r.out, "  repeat: %s\n", b.repeat(sc, clients))
}

func (l rowLine) write(w io.Writer) {
	if l.NotMeasured != "" {
		fmt.Fprintf(w, "  %s\tnot measured: %s\n", l.title, firstLine(l.NotMeasured))
		return
	}
	toBase, around := "", ""
	if l.Ratio != nil {
		toBase = fmt.Sprintf("%.3f", l.Ratio.Median)
		around = fmt.Sprintf("%.3f - %.3f", l.Ratio.Min, l.Ratio.Max)
	}
	fmt.Fprintf(w, "  %s\t%s\t%s - %s\t%s\t%s\t%s\t%s\t%.1f us\t%.1f us\t%.0f%%\n", l.title,
		count(l.Rate.Median), count(l.Rate.Min), count(l.Rate.Max), toBase, around,
		micros(l.P50us.Median), micros(l.P99us.Median), l.ServerUs.Median, l.ClientUs.Median, 100*l.Others.Median)
}

// What makes a figure doubtful.
const (
	muchByOthers = 0.1 // of the machine
	longSettle   = 0.1 // of a round
)

// notes warns of figures that say less than they seem to.
func (r *report) notes(b *bench, lines []rowLine) {
	others := 0.0
	for _, l := range lines {
		others = max(others, l.Others.Max)
		if behind := l.SettleMs.Median; behind > longSettle*float64(b.measure.Milliseconds()) {
			fmt.Fprintf(r.out, "  ! %s: the server worked on for %.0f ms after a round: see what longer --seconds give\n", l.title, behind)
		}
	}
	r.busy(others)
}

// busy warns where other processes used much of the machine.
func (r *report) busy(others float64) {
	if others > muchByOthers {
		fmt.Fprintf(r.out, "  ! other processes used up to %.0f%% of the machine in a round: measure again when it is quiet\n", 100*others)
	}
}

func (r *report) verdicts(all []verdict) {
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	for _, v := range all {
		fmt.Fprintf(w, "  > %s\t%s\t%s\t%s\n", v.Status, v.Target, v.bounds(), v.figures())
	}
	w.Flush()
}

// bounds says what a verdict's target asks for.
func (v verdict) bounds() string {
	var parts []string
	if v.Most > 0 || v.Least == 0 && v.Goal == 0 {
		parts = append(parts, fmt.Sprintf("at most %g", v.Most))
	}
	if v.Least > 0 {
		parts = append(parts, fmt.Sprintf("at least %g", v.Least))
	}
	if v.Goal > 0 {
		parts = append(parts, fmt.Sprintf("then %g", v.Goal))
	}
	return strings.Join(parts, ", ")
}

func (v verdict) figures() string {
	if v.Status == notMeasured {
		return ""
	}
	return fmt.Sprintf("measured %.3g (%.3g - %.3g)", v.Measured.Median, v.Measured.Min, v.Measured.Max)
}

// idle writes the idle scenario.
func (r *report) idle(b *bench, sc scenario, rows []idleResult) {
	var verdicts []verdict
	for _, row := range rows {
		if row.Row == "sett-durable" {
			ok := row.NotMeasured == ""
			verdicts = append(verdicts, atMost(sc.name, row.Title+", MiB resident", row.Resident, ok, idleMiB, 0),
				atMost(sc.name, row.Title+", ms to ready", row.Ready, ok, idleReadyMs, 0))
		}
	}
	if r.json {
		for _, row := range rows {
			r.line("row", row)
		}
		for _, v := range verdicts {
			r.line("verdict", v)
		}
		return
	}
	fmt.Fprintf(r.out, "\n%s (%s)\n", sc.title, plural(b.rounds, "start"))
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "  \tresident\tmin - max\tready after\tmin - max\n")
	for _, row := range rows {
		if row.NotMeasured != "" {
			fmt.Fprintf(w, "  %s\tnot measured: %s\n", row.Title, firstLine(row.NotMeasured))
			continue
		}
		fmt.Fprintf(w, "  %s\t%.1f MiB\t%.1f - %.1f\t%.0f ms\t%.0f - %.0f\n", row.Title,
			row.Resident.Median, row.Resident.Min, row.Resident.Max, row.Ready.Median, row.Ready.Min, row.Ready.Max)
	}
	w.Flush()
	r.verdicts(verdicts)
	fmt.Fprintf(r.out, "  repeat: %s\n", b.repeat(sc, 0))
}

// machine writes what the figures depend on.
func (r *report) machine(ctx context.Context, b *bench) {
	m := describeMachine(ctx, b)
	if r.json {
		r.line("machine", m)
		return
	}
	fmt.Fprintf(r.out, "machine: %d cores (%s), %s/%s, %s, %s on %s\n",
		m.Cores, m.Processor, m.OS, m.Arch, m.Go, m.FileSystem, m.Temp)
	fmt.Fprintf(r.out, "servers: %s\n", strings.Join(m.Servers, ", "))
	fmt.Fprintf(r.out, "clients: one process, %d connections; %d keys, values of %d B; GOMAXPROCS is the default\n",
		connections, keyCount, valueSize)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// count writes a rate with three digits that matter.
func count(rate float64) string {
	if rate >= 1000 {
		return fmt.Sprintf("%.1fk", rate/1000)
	}
	return fmt.Sprintf("%.0f", rate)
}

func micros(us float64) string {
	if us >= 1000 {
		return fmt.Sprintf("%.2f ms", us/1000)
	}
	return fmt.Sprintf("%.0f us", us)
}
