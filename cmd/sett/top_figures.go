package main

import (
	"time"

	"github.com/settkv/sett/engine"
)

// figures is what a store measures beside its requests. It goes with them to
// whoever asks $SRV.STATS, so that `sett top` needs no other port.
type figures struct {
	Commits     measured `json:"commits"` // nanoseconds, the sync included
	Groups      measured `json:"groups"`  // commands in a commit; no steps
	Expired     measured `json:"expired"` // milliseconds late; no steps
	Events      uint64   `json:"events"`  // changes that were announced
	Lost        uint64   `json:"lost"`    // requests that were dropped
	CommitAgeNs int64    `json:"commit_age_ns"`
	Queued      queued   `json:"queued"`
	DiskFree    int64    `json:"disk_free"` // -1: there is no disk
}

// queued is what waits, in messages.
type queued struct {
	Commands int `json:"commands"`
	Reads    int `json:"reads"`
	Writer   int `json:"writer"`
}

// measured is a histogram on the wire: how many values, their sum, and how many
// were at most so much, for each step.
type measured struct {
	Count uint64     `json:"count"`
	Sum   int64      `json:"sum"`
	Steps [][2]int64 `json:"steps,omitempty"`
}

// measure reads a histogram between two steps.
func measure(h *engine.Histogram, from, to int64) (m measured) {
	count, sum, steps := h.Read(from, to)
	m.Count, m.Sum = count, sum
	for _, s := range steps {
		m.Steps = append(m.Steps, [2]int64{s.UpTo, int64(s.Count)})
	}
	return m
}

// figures reads all of it, as /metrics does.
func (m *monitor) figures() any {
	f := figures{
		Commits: measure(&m.engine.Commits, int64(10*time.Microsecond), int64(10*time.Second)),
		Groups:  measure(&m.engine.Groups, 0, -1),
		Expired: measure(&m.engine.Expiry, 0, -1),
		Events:  m.serving.Events.Load(),
		Lost:    m.serving.Lost.Load(),
	}
	if store := m.opening(); store != nil {
		g := store.Gauges()
		f.CommitAgeNs, f.Queued.Writer, f.DiskFree = int64(g.CommitAge), g.Waiting, g.DiskFree
	}
	if s, ok := m.serving.Serving(); ok {
		f.Queued.Commands, f.Queued.Reads = s.Commands, s.Reads
	}
	return &f
}

// since is what came after an earlier reading.
func (m measured) since(before measured) measured {
	after := measured{Count: m.Count - before.Count, Sum: m.Sum - before.Sum}
	for i, s := range m.Steps {
		if i < len(before.Steps) {
			s[1] -= before.Steps[i][1]
		}
		after.Steps = append(after.Steps, s)
	}
	return after
}

// mean is 0 of nothing.
func (m measured) mean() float64 {
	if m.Count == 0 {
		return 0
	}
	return float64(m.Sum) / float64(m.Count)
}

// atMost is the step that a share of the values does not pass: 0 of nothing,
// and -1 where it is beyond all steps.
func (m measured) atMost(share float64) int64 {
	if m.Count == 0 {
		return 0
	}
	for _, s := range m.Steps {
		if float64(s[1]) >= share*float64(m.Count) {
			return s[0]
		}
	}
	return -1
}
