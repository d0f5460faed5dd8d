package main

import (
	"context"
	"os"
	"time"
)

// An idleResult is a row of the idle scenario.
type idleResult struct {
	Scenario    string `json:"scenario"`
	Row         string `json:"row"`
	Title       string `json:"-"`
	NotMeasured string `json:"not_measured,omitempty"`
	Resident    spread `json:"resident_mib"`
	Ready       spread `json:"ready_ms"`
	resident    []float64
	ready       []float64
}

// idleTime is how long an empty server runs before its memory is looked at.
const idleTime = time.Second / 2

// runIdle starts each system several times, empty: how soon it answers, and
// the memory that it then keeps.
func (b *bench) runIdle(ctx context.Context, sc scenario) error {
	var table []idleResult
	for _, name := range sc.rows {
		if s, ok := systemNamed(name); ok && b.wants(name) {
			table = append(table, idleResult{Scenario: sc.name, Row: name, Title: s.title})
		}
	}
	for range b.rounds {
		for i := range table {
			if err := b.idleRound(ctx, &table[i]); err != nil {
				return err
			}
		}
	}
	for i := range table {
		table[i].Resident, table[i].Ready = spreadOf(table[i].resident), spreadOf(table[i].ready)
	}
	b.report.idle(b, sc, table)
	return nil
}

// idleRound is one start. Only the end of the context is an error: a system
// that can't run is a row that says so.
func (b *bench) idleRound(ctx context.Context, r *idleResult) error {
	if r.NotMeasured != "" {
		return nil
	}
	s, _ := systemNamed(r.Row)
	dir, err := os.MkdirTemp(b.temp, s.name+"-")
	if err != nil {
		return err
	}
	m, took, err := b.startMember(ctx, s, dir)
	if err != nil {
		r.NotMeasured = b.reason(err)
		return ctx.Err()
	}
	defer m.process.stop()
	select {
	case <-time.After(idleTime):
	case <-ctx.Done():
		return ctx.Err()
	}
	resident, err := m.resident(residentNow)
	if err != nil {
		r.NotMeasured = err.Error()
		return nil
	}
	r.resident = append(r.resident, resident)
	r.ready = append(r.ready, float64(took.Microseconds())/1e3)
	return nil
}
