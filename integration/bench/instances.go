package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"
)

const (
	manyInstances = 100_000
	// Long enough for each to be renewed several times, and for the silent ones
	// to end.
	instancesWarmUp  = 5 * time.Second
	instancesMeasure = instanceTTL + 10*time.Second
)

// An instancesResult is a row of the scenario with many live instances.
type instancesResult struct {
	Scenario    string  `json:"scenario"`
	Row         string  `json:"row"`
	NotMeasured string  `json:"not_measured,omitempty"`
	Instances   int     `json:"instances"`
	EmptyMiB    float64 `json:"empty_mib"`    // resident before
	OneNameMiB  float64 `json:"one_name_mib"` // with those of one name
	AllMiB      float64 `json:"all_mib"`      // with all of them
	ServeMiB    float64 `json:"serve_mib"`    // after the measurement
	PeakMiB     float64 `json:"peak_mib"`     // the most that ever was
	Rate        float64 `json:"rate"`         // heartbeats a second
	P50us       float64 `json:"p50_us"`
	P99us       float64 `json:"p99_us"`
	BehindMs    float64 `json:"behind_ms"`
	ServerCores float64 `json:"server_cores"` // processor time of the server by time
	ClientCores float64 `json:"client_cores"`
	Others      float64 `json:"others_cpu_share"`

	Late lateness `json:"late"`

	title string
}

// runInstances keeps many instances alive for longer than their TTL.
func (b *bench) runInstances(ctx context.Context, sc scenario) error {
	for _, name := range sc.rows {
		if !b.wants(name) {
			continue
		}
		s, _ := systemNamed(name)
		r := instancesResult{Scenario: sc.name, Row: name, title: s.title, Instances: manyInstances}
		err := b.instancesRow(ctx, sc, s, &r)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.NotMeasured = b.reason(err)
		}
		b.report.instances(b, sc, r)
	}
	return nil
}

func (b *bench) instancesRow(ctx context.Context, sc scenario, s system, r *instancesResult) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	m, err := b.startFilled(ctx, s, false)
	if err != nil {
		return err
	}
	defer m.process.stop()
	for _, step := range []struct {
		first, count int
		mib          *float64
	}{{0, 0, &r.EmptyMiB}, {1, oneName, &r.OneNameMiB}, {1 + oneName, r.Instances - oneName, &r.AllMiB}} {
		if step.count > 0 {
			if _, err := b.load(ctx, m, loadSpec{Action: actRegister, Clients: fillClients, First: step.first, Count: step.count, Times: 1}); err != nil {
				return err
			}
		}
		if *step.mib, err = m.resident(residentNow); err != nil {
			return err
		}
	}
	clients := sc.clients[0]
	if len(b.clients) > 0 {
		clients = b.clients[0]
	}
	var l instancesLoad
	before, _ := m.cpuTime()
	begin := time.Now()
	var used time.Duration
	r.Others, err = b.others(m, func() (time.Duration, error) {
		used, err = b.generate(ctx, m, loadSpec{
			Action: sc.action, Clients: clients, Count: r.Instances, WarmUp: instancesWarmUp, Measure: instancesMeasure,
			Keys: keyCount, Digits: keyDigits,
		}, &l)
		return used, err
	})
	if err != nil {
		return err
	}
	took := time.Since(begin)
	after, _ := m.cpuTime()
	r.ServerCores, r.ClientCores = (after-before).Seconds()/took.Seconds(), used.Seconds()/took.Seconds()
	r.Rate, r.P50us, r.P99us, r.BehindMs, r.Late = l.Rate, l.P50us, l.P99us, l.BehindMs, l.Late
	if r.ServeMiB, err = m.resident(residentNow); err == nil {
		r.PeakMiB, err = m.resident(residentPeak)
	}
	return err
}

// instances writes one row of the scenario with many live instances.
func (r *report) instances(b *bench, sc scenario, row instancesResult) {
	ok := row.NotMeasured == ""
	verdicts := []verdict{
		atMost(sc.name, row.title+", live instances that were announced as gone", single(float64(row.Late.Wrong)), ok, 0, 0),
		atMost(sc.name, row.title+", silent ones that were not", single(float64(row.Late.Expected-row.Late.Announced)), ok, 0, 0),
		atMost(sc.name, row.title+", early", single(float64(row.Late.Early)), ok, 0, 0),
		atMost(sc.name, row.title+", ms late, 99th percentile", single(row.Late.P99Ms), ok, expiryLateMs, 0),
	}
	if r.json {
		r.line("row", row)
		for _, v := range verdicts {
			r.line("verdict", v)
		}
		return
	}
	fmt.Fprintf(r.out, "\n%s: %d with a TTL of %v, heartbeats every %v for %v\n", sc.title, row.Instances, instanceTTL, heartbeatEvery, instancesWarmUp+instancesMeasure)
	if !ok {
		fmt.Fprintf(r.out, "  %s  not measured: %s\n", row.title, firstLine(row.NotMeasured))
	} else {
		w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "  \tresident empty\t%d of one name\tall\tafter it\tat most\n", oneName)
		fmt.Fprintf(w, "  %s\t%.0f MiB\t%.0f MiB\t%.0f MiB\t%.0f MiB\t%.0f MiB\n", row.title,
			row.EmptyMiB, row.OneNameMiB, row.AllMiB, row.ServeMiB, row.PeakMiB)
		fmt.Fprintf(w, "  \theartbeats/s\tp50\tp99\tsent late\tcores server\tclients\tothers\n")
		fmt.Fprintf(w, "  \t%s\t%s\t%s\t%.0f ms\t%.2f\t%.2f\t%.0f%%\n",
			count(row.Rate), micros(row.P50us), micros(row.P99us), row.BehindMs, row.ServerCores, row.ClientCores, 100*row.Others)
		fmt.Fprintf(w, "  \tfell silent\tannounced\tlate p50\tp99\tlatest\n")
		fmt.Fprintf(w, "  \t%d\t%d\t%.1f ms\t%.1f ms\t%.1f ms\n", row.Late.Expected, row.Late.Announced, row.Late.P50Ms, row.Late.P99Ms, row.Late.MaxMs)
		w.Flush()
	}
	r.busy(row.Others)
	r.verdicts(verdicts)
	fmt.Fprintf(r.out, "  repeat: %s\n", b.repeat(sc, 0))
}
