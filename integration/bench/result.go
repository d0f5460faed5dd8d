package main

import (
	"slices"
	"time"
)

// A sample is one round of one row.
type sample struct {
	loadResult
	ServerUs float64       // processor time of the server for each operation
	ClientUs float64       // and of the clients
	Others   float64       // share of the machine that other processes used meanwhile
	Settle   time.Duration // until the server had worked off what was left
}

// A result is one row of a table.
type result struct {
	Scenario    string
	Clients     int
	Row         string
	Title       string
	NotMeasured string // why there is nothing else
	base        string // the row to compare with
	latency     bool   // whether the score is the latency
	rounds      []sample
}

// score is the figure that ratios compare: more is better.
func (r *result) score(round int) float64 {
	if s := r.rounds[round]; !r.latency {
		return s.Rate
	} else if s.P50us > 0 {
		return 1e6 / s.P50us
	}
	return 0
}

// of collects one figure of all rounds.
func (r *result) of(f func(sample) float64) spread {
	values := make([]float64, len(r.rounds))
	for i, s := range r.rounds {
		values[i] = f(s)
	}
	return spreadOf(values)
}

// ratio compares two rows round by round, so that a change of the machine's
// speed meets both. ok is false if either was not measured.
func ratio(row, base *result) (s spread, ok bool) {
	if row == nil || base == nil || row.NotMeasured != "" || base.NotMeasured != "" {
		return s, false
	}
	var values []float64
	for i := range min(len(row.rounds), len(base.rounds)) {
		if of := base.score(i); of > 0 {
			values = append(values, row.score(i)/of)
		}
	}
	return spreadOf(values), len(values) > 0
}

// A spread is the median of several rounds and what lies around it.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	slices.Sort(values)
	middle := len(values) / 2
	median := values[middle]
	if len(values)%2 == 0 {
		median = (values[middle-1] + values[middle]) / 2
	}
	return spread{median, values[0], values[len(values)-1]}
}

// find returns a row that was measured earlier in the run, or nil.
func (b *bench) find(scenario string, clients int, row string) *result {
	for i := range b.results {
		if r := &b.results[i]; r.Scenario == scenario && r.Clients == clients && r.Row == row {
			return r
		}
	}
	return nil
}
