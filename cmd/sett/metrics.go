package main

import (
	"net/http"
	"runtime"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/settkv/sett/codec"
)

// metrics answers /metrics, from a registry of its own.
func (m *monitor) metrics() http.Handler {
	return promhttp.HandlerFor(m.registry(), promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, Timeout: httpWriteTimeout / 2, ErrorHandling: promhttp.ContinueOnError,
	})
}

func (m *monitor) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(m, collectors.NewGoCollector(), collectors.NewBuildInfoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Describe implements [prometheus.Collector]. It describes nothing: what there
// is depends on how far the store has come.
func (m *monitor) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector]. Everything is read when it is
// asked for; only what cannot be read later is counted before.
func (m *monitor) Collect(ch chan<- prometheus.Metric) {
	e := exposition(ch)
	e.gauge("sett_build_info", "Versions of this program and of what it is made of.", 1,
		"version", versionName(), "commit", build().Commit, "goversion", runtime.Version(), "nats_server", server.VERSION)
	m.collectHealth(e)
	m.collectRequests(e)
	m.collectEngine(e)
	m.collectServing(e)
	m.collectConnections(e)
	m.collectBroker(e)
	m.collectBackups(e)
}

// collectBackups tells of the schedule, where there is one.
func (m *monitor) collectBackups(e exposition) {
	if m.flags.backup.dir == "" {
		return
	}
	e.gauge("sett_backup_last_success_timestamp_seconds", "When the newest backup in --backup-dir was begun; 0: there is none.",
		float64(m.backups.last.Load())/1000)
	e.counter("sett_backup_failures_total", "Scheduled backups that failed; each is tried again.", float64(m.backups.failures.Load()))
}

func (m *monitor) collectHealth(e exposition) {
	ready := 1.0
	for _, c := range m.ready() {
		ok := 1.0
		if c.test() != nil {
			ok = 0
		}
		if !c.minor {
			ready = min(ready, ok)
		}
		e.gauge("sett_check", "1 while a check of /readyz passes.", ok, "check", c.name)
	}
	e.gauge("sett_ready", "1 while the store is ready, as /readyz says.", ready)
}

// collectRequests tells what the consumer counted, by subject of the contract.
func (m *monitor) collectRequests(e exposition) {
	s := &m.serving
	for _, meter := range s.Meters() {
		subject, all := meter.Info.Subject, meter.Time.Count()
		const requests = "Requests that were answered, by subject and outcome."
		e.counter("sett_requests_total", requests, float64(all-min(all, meter.Failed())), "subject", subject, "code", "ok")
		for _, code := range codec.Codes() {
			e.counter("sett_requests_total", requests, float64(meter.Errors(code)), "subject", subject, "code", string(code))
		}
		e.histogram("sett_request_duration_seconds", "Time from taking a request off its queue until it was answered; of a write, until it was durable.",
			&meter.Time, 10*time.Microsecond, 10*time.Second, time.Second, "subject", subject)
	}
	for _, c := range []struct {
		name, help string
		n          uint64
	}{
		{"sett_rejected_total", "Commands that nobody waited for and that failed.", s.Rejected.Load()},
		{"sett_foreign_messages_total", "Messages on none of the store's subjects, and reads without a reply subject.", s.Foreign.Load()},
		{"sett_unsent_replies_total", "Replies that could not be handed to the connection.", s.Unsent.Load()},
		{"sett_lost_messages_total", "Requests that were dropped because they came faster than they could be refused.", s.Lost.Load()},
		{"sett_feed_events_total", "Changes that were announced, repeats included.", s.Events.Load()},
		{"sett_discovered_total", "NATS services that were registered by --discover-services, or changed.", s.Discovered.Load()},
		{"sett_discovery_skipped_total", "Answers of NATS services that could not be registered.", s.Skipped.Load()},
	} {
		e.counter(c.name, c.help, float64(c.n))
	}
}

// collectEngine tells what the writer measured.
func (m *monitor) collectEngine(e exposition) {
	s := &m.engine
	e.histogram("sett_commit_duration_seconds", "Time of a commit, its sync to the disk included.", &s.Commits, 10*time.Microsecond, 10*time.Second, time.Second)
	e.histogram("sett_commit_commands", "Commands that were applied together in a group.", &s.Groups, 1, 1000, 1)
	e.histogram("sett_expiry_lateness_seconds", "Time from a deadline until its end was durable.", &s.Expiry, 1, 10_000, 1000)
	store := m.opening()
	if store == nil {
		return
	}
	g := store.Gauges()
	e.gauge("sett_commit_age_seconds", "Age of the commit in progress; 0 where there is none.", g.CommitAge.Seconds())
	e.gauge("sett_queue_messages", queues, float64(g.Waiting), "queue", "writer")
	e.gauge("sett_writer_queue_bytes", "Payload of what waits for the writer.", float64(g.WaitingBytes))
	e.gauge("sett_deadlines", "Records that will expire.", float64(g.Deadlines))
	collectBadger(e, &g)
	if g.DiskFree >= 0 {
		e.gauge("sett_disk_free_bytes", "What is left on the disk of the data directory.", float64(g.DiskFree))
	}
}

const queues = "Messages that wait, by queue."

// collectServing tells what store.status tells.
func (m *monitor) collectServing(e exposition) {
	s, ok := m.serving.Serving()
	if !ok {
		return
	}
	st := &s.Status
	e.gauge("sett_store_info", "What store this is.", 1,
		"store_id", st.StoreID, "engine", m.flags.engine, "feed", st.Feed.Mode, "prefix", m.flags.prefix)
	for _, g := range []struct {
		name, help string
		value      float64
	}{
		{"sett_keys", "Keys that live.", float64(st.Keys)},
		{"sett_instances", "Instances of services.", float64(st.Instances)},
		{"sett_store_bytes", "Size of the data, on disk or in memory.", float64(st.Bytes)},
		{"sett_store_revision", "Revision of the last change.", float64(st.StoreRevision)},
		{"sett_store_epoch", "Epoch of the revisions.", float64(st.Epoch)},
		{"sett_uptime_seconds", "Time since the store began to serve.", float64(st.UptimeMs) / 1000},
		{"sett_feed_acked_revision", "Revision up to which changes are surely announced.", float64(st.Feed.AckedRevision)},
		{"sett_feed_lag_revisions", "Changes that are not yet announced.", float64(st.Feed.OutboxRevisions)},
		{"sett_feed_lag_seconds", "Age of the oldest of them.", float64(st.Feed.LagMs) / 1000},
		{"sett_feed_outbox_bytes", "Size of the changes that are not yet announced.", float64(st.Feed.OutboxBytes)},
	} {
		e.gauge(g.name, g.help, g.value)
	}
	e.gauge("sett_queue_messages", queues, float64(s.Commands), "queue", "commands")
	e.gauge("sett_queue_messages", queues, float64(s.Reads), "queue", "reads")
}
