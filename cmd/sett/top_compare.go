package main

import (
	"math"
	"strings"
	"time"

	"github.com/settkv/sett/subjects"
)

// topFigures is what `sett top` shows of an interval. Rates are by the second;
// they, and what is measured by commits, are of the interval only.
type topFigures struct {
	TimeMs    int64    `json:"time_ms"`
	StoreID   string   `json:"store_id"`
	Version   string   `json:"version"`
	UptimeMs  int64    `json:"uptime_ms"`
	Ready     bool     `json:"ready"`
	Reasons   []string `json:"reasons,omitempty"`
	Revision  uint64   `json:"revision"`
	Epoch     uint64   `json:"epoch"`
	Keys      int64    `json:"keys"`
	Instances int64    `json:"instances"`
	Bytes     int64    `json:"bytes"`
	Feed      topFeed  `json:"feed"`

	Seconds  float64 `json:"seconds"` // how long the interval was
	Commands float64 `json:"commands_per_second"`
	Reads    float64 `json:"reads_per_second"`
	Errors   float64 `json:"errors_per_second"`

	Measured  *topMeasured  `json:"measured,omitempty"` // of a store that is too old to tell: nothing
	Endpoints []topEndpoint `json:"endpoints"`          // those that were ever asked
}

type topFeed struct {
	Mode            string `json:"mode"`
	LagMs           int64  `json:"lag_ms"`
	OutboxRevisions int64  `json:"outbox_revisions"`
	OutboxBytes     int64  `json:"outbox_bytes"`
}

// topMeasured is what a store measures beside requests.
type topMeasured struct {
	Events       float64 `json:"events_per_second"`
	Expired      float64 `json:"expired_per_second"`
	Commits      float64 `json:"commits_per_second"`
	PerCommit    float64 `json:"commands_per_commit"`
	CommitMeanMs float64 `json:"commit_mean_ms"`
	CommitP99Ms  float64 `json:"commit_p99_ms"` // rounded up to 1, 2 or 5 times a power of ten
	CommitAgeMs  float64 `json:"commit_age_ms"` // of the one under way
	Queued       queued  `json:"queued"`
	Lost         uint64  `json:"lost"`            // requests, since the store began
	DiskFree     int64   `json:"disk_free_bytes"` // -1: there is no disk
}

type topEndpoint struct {
	Subject string  `json:"subject"`
	Rate    float64 `json:"per_second"`
	Errors  float64 `json:"errors_per_second"`
	MeanMs  float64 `json:"mean_ms"` // 0 of nothing
}

// compare makes the figures of the interval between two samples. Without one to
// compare with, or from before the store began to count anew, there are no rates.
func compare(before, now *topSample) *topFigures {
	if before == nil || !before.stats.Started.Equal(now.stats.Started) {
		before = now
	}
	st := now.status
	f := &topFigures{
		TimeMs: now.at.UnixMilli(), StoreID: st.StoreID, Version: st.Version, UptimeMs: st.UptimeMs,
		Ready: st.Ready, Reasons: st.Reasons, Revision: st.StoreRevision, Epoch: st.Epoch,
		Keys: st.Keys, Instances: st.Instances, Bytes: st.Bytes,
		Feed:    topFeed{st.Feed.Mode, st.Feed.LagMs, st.Feed.OutboxRevisions, st.Feed.OutboxBytes},
		Seconds: now.at.Sub(before.at).Seconds(), Endpoints: []topEndpoint{},
	}
	for i, e := range now.stats.Endpoints {
		if e.Requests > 0 && i < len(before.stats.Endpoints) {
			f.endpoint(&before.stats.Endpoints[i], &e)
		}
	}
	if a, b := before.stats.figures(), now.stats.figures(); a != nil && b != nil {
		f.Measured = f.measured(a, b)
	}
	return f
}

// rate is by the second; 0 where no time has passed.
func (f *topFigures) rate(before, now uint64) float64 {
	if f.Seconds <= 0 || now < before {
		return 0
	}
	return rounded(float64(now-before) / f.Seconds)
}

// endpoint adds those of one subject.
func (f *topFigures) endpoint(before, now *endpointStats) {
	e := topEndpoint{
		Subject: now.Subject,
		Rate:    f.rate(before.Requests, now.Requests), Errors: f.rate(before.Errors, now.Errors),
	}
	if n := now.Requests - before.Requests; now.Requests > before.Requests {
		e.MeanMs = milliseconds(float64(now.Time-before.Time) / float64(n))
	}
	f.Endpoints = append(f.Endpoints, e)
	f.Errors += e.Errors
	switch info := endpointNamed(now.Name); {
	case info == nil || info.Subject == subjects.StoreStatus.Subject:
	case info.Write:
		f.Commands += e.Rate
	default:
		f.Reads += e.Rate
	}
}

func (f *topFigures) measured(before, now *figures) *topMeasured {
	commits := now.Commits.since(before.Commits)
	m := &topMeasured{
		Events: f.rate(before.Events, now.Events), Expired: f.rate(before.Expired.Count, now.Expired.Count),
		Commits: f.rate(before.Commits.Count, now.Commits.Count), PerCommit: rounded(now.Groups.since(before.Groups).mean()),
		CommitMeanMs: milliseconds(commits.mean()), CommitP99Ms: milliseconds(float64(commits.atMost(0.99))),
		CommitAgeMs: milliseconds(float64(now.CommitAgeNs)),
		Queued:      now.Queued, Lost: now.Lost, DiskFree: now.DiskFree,
	}
	if m.CommitP99Ms < 0 {
		m.CommitP99Ms = milliseconds(float64(10 * time.Second)) // or more: the last step
	}
	return m
}

// endpointNamed finds an endpoint of the contract by its name among NATS
// services, which has no prefix.
func endpointNamed(name string) *subjects.Info {
	for _, info := range subjects.All() {
		if strings.ReplaceAll(info.Subject, ".", "-") == name {
			return info
		}
	}
	return nil
}

func milliseconds(ns float64) float64 { return rounded(ns / float64(time.Millisecond)) }

// rounded keeps three digits behind the point.
func rounded(v float64) float64 { return math.Round(v*1000) / 1000 }
