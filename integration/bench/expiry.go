package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"
)

// expiryKeys is how many deadlines fall into one second.
const expiryKeys = 10_000

// An expiryResult is a row of the scenario with many deadlines at once.
type expiryResult struct {
	Scenario    string `json:"scenario"`
	Row         string `json:"row"`
	NotMeasured string `json:"not_measured,omitempty"`
	Keys        int    `json:"keys"`
	Clients     int    `json:"clients"`
	Rate        spread `json:"sets_rate"` // of the clients, while the deadlines came
	P50Ms       spread `json:"late_p50_ms"`
	P99Ms       spread `json:"late_p99_ms"`
	MaxMs       spread `json:"late_max_ms"`
	Early       int    `json:"early"`   // of all rounds
	Missing     int    `json:"missing"` // not announced at all
	Wrong       int    `json:"wrong"`   // announced though they live, or twice
	Others      spread `json:"others_cpu_share"`

	title  string
	rounds []expiryLoad
	others []float64
}

// runExpiry measures how late the ends of many keys are announced.
func (b *bench) runExpiry(ctx context.Context, sc scenario) error {
	clients := sc.clients[0]
	if len(b.clients) > 0 {
		clients = b.clients[0]
	}
	for _, name := range sc.rows {
		if !b.wants(name) {
			continue
		}
		s, _ := systemNamed(name)
		r := expiryResult{Scenario: sc.name, Row: name, title: s.title, Keys: expiryKeys, Clients: clients}
		err := b.expiryRow(ctx, sc, s, &r)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.NotMeasured = b.reason(err)
		}
		b.report.expiry(b, sc, r)
	}
	return nil
}

func (b *bench) expiryRow(ctx context.Context, sc scenario, s system, r *expiryResult) error {
	m, err := b.startFilled(ctx, s, true)
	if err != nil {
		return err
	}
	defer m.process.stop()
	for range b.rounds {
		if err := b.expiryRound(ctx, sc, m, r); err != nil {
			return err
		}
	}
	of := func(f func(expiryLoad) float64) spread {
		var values []float64
		for _, round := range r.rounds {
			values = append(values, f(round))
		}
		return spreadOf(values)
	}
	r.Rate = of(func(l expiryLoad) float64 { return l.Rate })
	r.P50Ms = of(func(l expiryLoad) float64 { return l.Late.P50Ms })
	r.P99Ms = of(func(l expiryLoad) float64 { return l.Late.P99Ms })
	r.MaxMs = of(func(l expiryLoad) float64 { return l.Late.MaxMs })
	r.Others = spreadOf(r.others)
	return nil
}

func (b *bench) expiryRound(ctx context.Context, sc scenario, m *member, r *expiryResult) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var l expiryLoad
	others, err := b.others(m, func() (time.Duration, error) {
		return b.generate(ctx, m, loadSpec{
			Action: sc.action, Clients: r.Clients, Count: r.Keys, Keys: keyCount, Digits: keyDigits,
		}, &l)
	})
	if err != nil {
		return err
	}
	m.settle(ctx, settleLimit)
	r.rounds, r.others = append(r.rounds, l), append(r.others, others)
	r.Early += l.Late.Early
	r.Missing += l.Late.Expected - l.Late.Announced
	r.Wrong += l.Late.Wrong
	return nil
}

// others is the share of the machine that neither the server nor a load used
// while the load ran.
func (b *bench) others(m *member, load func() (time.Duration, error)) (float64, error) {
	before, _ := m.cpuTime()
	totalBefore, busyBefore, _ := machineTime()
	used, err := load()
	total, busy, _ := machineTime()
	after, _ := m.cpuTime()
	return othersShare(totalBefore, busyBefore, total, busy, after-before+used), err
}

// single is the spread of one figure.
func single(v float64) spread { return spread{v, v, v} }

// expiry writes one row of the scenario with many deadlines.
func (r *report) expiry(b *bench, sc scenario, row expiryResult) {
	ok := row.NotMeasured == ""
	verdicts := []verdict{
		atMost(sc.name, row.title+", ms late, 99th percentile", row.P99Ms, ok, expiryLateMs, 0),
		atMost(sc.name, row.title+", early", single(float64(row.Early)), ok, 0, 0),
		atMost(sc.name, row.title+", not announced", single(float64(row.Missing)), ok, 0, 0),
		atMost(sc.name, row.title+", announced wrongly", single(float64(row.Wrong)), ok, 0, 0),
	}
	if r.json {
		r.line("row", row)
		for _, v := range verdicts {
			r.line("verdict", v)
		}
		return
	}
	fmt.Fprintf(r.out, "\n%s, %s (%s)\n", sc.title, plural(row.Clients, "client"), plural(b.rounds, "round"))
	if ok {
		w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "  \tlate p50\tp99\tmin - max\tlatest\tsets/s\tothers\n")
		fmt.Fprintf(w, "  %s\t%.1f ms\t%.1f ms\t%.1f - %.1f\t%.1f ms\t%s\t%.0f%%\n", row.title,
			row.P50Ms.Median, row.P99Ms.Median, row.P99Ms.Min, row.P99Ms.Max, row.MaxMs.Max, count(row.Rate.Median), 100*row.Others.Median)
		w.Flush()
	} else {
		fmt.Fprintf(r.out, "  %s  not measured: %s\n", row.title, firstLine(row.NotMeasured))
	}
	r.busy(row.Others.Max)
	r.verdicts(verdicts)
	fmt.Fprintf(r.out, "  repeat: %s\n", b.repeat(sc, row.Clients))
}
