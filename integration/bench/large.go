package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"
)

// A largeResult is a row of the scenario with many keys.
type largeResult struct {
	Scenario    string  `json:"scenario"`
	Row         string  `json:"row"`
	NotMeasured string  `json:"not_measured,omitempty"`
	Keys        int     `json:"keys"`
	LoadRate    float64 `json:"load_rate"`     // keys a second
	LoadMiB     float64 `json:"load_peak_mib"` // the most that was resident while loading
	ReadyMs     float64 `json:"ready_ms"`      // from a start with all keys to the first answer
	ServeMiB    float64 `json:"serve_peak_mib"`
	GetRate     float64 `json:"get_rate"`

	title string
}

// largeTimeout bounds the loading of one row.
const largeTimeout = time.Hour

// runLarge loads many keys, starts the server again, and lets it serve.
func (b *bench) runLarge(ctx context.Context, sc scenario) error {
	for _, name := range sc.rows {
		if !b.wants(name) {
			continue
		}
		s, _ := systemNamed(name)
		r := largeResult{Scenario: sc.name, Row: name, title: s.title, Keys: b.largeKeys}
		err := b.largeRow(ctx, sc, s, &r)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.NotMeasured = b.reason(err)
		}
		b.report.large(b, sc, r)
	}
	return nil
}

func (b *bench) largeRow(ctx context.Context, sc scenario, s system, r *largeResult) error {
	dir, err := os.MkdirTemp(b.temp, s.name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // gigabytes, before the next row needs as much
	if err := b.loadLarge(ctx, s, dir, r); err != nil {
		return err
	}
	m, took, err := b.startMember(ctx, s, dir)
	if err != nil {
		return err
	}
	defer m.process.stop()
	r.ReadyMs = float64(took.Microseconds()) / 1e3
	got, err := b.load(ctx, m, loadSpec{
		Action: sc.action, Clients: sc.clients[0], WarmUp: b.warmUp, Measure: time.Duration(b.rounds) * b.measure,
		Keys: r.Keys, Digits: largeDigits,
	})
	if err != nil {
		return err
	}
	r.GetRate = got.Rate
	r.ServeMiB, err = m.resident(residentPeak)
	return err
}

func (b *bench) loadLarge(ctx context.Context, s system, dir string, r *largeResult) error {
	ctx, cancel := context.WithTimeout(ctx, largeTimeout)
	defer cancel()
	m, _, err := b.startMember(ctx, s, dir)
	if err != nil {
		return err
	}
	begin := time.Now()
	_, err = b.load(ctx, m, loadSpec{
		Action: actFill, Clients: fillClients, First: 1, Count: r.Keys, Times: 1, Keys: r.Keys, Digits: largeDigits,
	})
	r.LoadRate = float64(r.Keys) / time.Since(begin).Seconds()
	if err == nil {
		r.LoadMiB, err = m.resident(residentPeak)
	}
	if stopErr := m.process.stop(); err == nil {
		err = stopErr
	}
	return err
}

// large writes one row of the scenario with many keys.
func (r *report) large(b *bench, sc scenario, row largeResult) {
	ok := row.NotMeasured == ""
	judge := func(what string, measured, most float64) verdict {
		return atMost(sc.name, row.title+", "+what, spread{measured, measured, measured}, ok, most, largeGoalFactor*most)
	}
	verdicts := []verdict{
		judge("MiB resident while loading", row.LoadMiB, largeLoadMiB),
		judge("ms to open", row.ReadyMs, largeReadyMs),
		judge("MiB resident while serving", row.ServeMiB, largeServeMiB),
	}
	if r.json {
		r.line("row", row)
		for _, v := range verdicts {
			r.line("verdict", v)
		}
		return
	}
	fmt.Fprintf(r.out, "\n%s: %d of 32 B with values of %d B\n", sc.title, row.Keys, valueSize)
	if ok {
		w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "  \tkeys loaded/s\tgets/s\n")
		fmt.Fprintf(w, "  %s\t%s\t%s\n", row.title, count(row.LoadRate), count(row.GetRate))
		w.Flush()
	} else {
		fmt.Fprintf(r.out, "  %s  not measured: %s\n", row.title, firstLine(row.NotMeasured))
	}
	r.verdicts(verdicts)
	fmt.Fprintf(r.out, "  repeat: %s\n", b.repeat(sc, 0))
}
