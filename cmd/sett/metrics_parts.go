package main

import (
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/settkv/sett/engine"
)

// exposition takes metrics one by one. Labels are pairs of name and value; their
// values come from the contract, the configuration or the broker, never from a
// request, so that there are only so many.
type exposition chan<- prometheus.Metric

func (e exposition) gauge(name, help string, v float64, labels ...string) {
	e.send(prometheus.GaugeValue, name, help, v, labels)
}

func (e exposition) counter(name, help string, v float64, labels ...string) {
	e.send(prometheus.CounterValue, name, help, v, labels)
}

func (e exposition) send(kind prometheus.ValueType, name, help string, v float64, labels []string) {
	names, values := labelPairs(labels)
	e <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), kind, v, values...)
}

// histogram tells the steps from one value to another, in some unit.
func (e exposition) histogram(name, help string, h *engine.Histogram, from, to, unit time.Duration, labels ...string) {
	count, sum, steps := h.Read(int64(from), int64(to))
	buckets := make(map[float64]uint64, len(steps))
	for _, s := range steps {
		buckets[float64(s.UpTo)/float64(unit)] = s.Count
	}
	names, values := labelPairs(labels)
	e <- prometheus.MustNewConstHistogram(prometheus.NewDesc(name, help, names, nil), count, float64(sum)/float64(unit), buckets, values...)
}

func labelPairs(labels []string) (names, values []string) {
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	return names, values
}

// collectBadger tells what Badger says of itself.
func collectBadger(e exposition, g *engine.Gauges) {
	if len(g.Levels) == 0 {
		return // it is not there
	}
	for i, l := range g.Levels {
		level := strconv.Itoa(i)
		e.gauge("sett_badger_level_tables", "Tables of a level of Badger's tree.", float64(l.Tables), "level", level)
		e.gauge("sett_badger_level_bytes", "Size of a level of Badger's tree.", float64(l.Bytes), "level", level)
		e.gauge("sett_badger_level_score", "How much a level wants to be compacted; above 1 compaction is behind.", l.Score, "level", level)
	}
	for cache, use := range map[string]engine.CacheUse{"block": g.BlockCache, "index": g.IndexCache} {
		e.counter("sett_badger_cache_hits_total", "What a cache of Badger had.", float64(use.Hits), "cache", cache)
		e.counter("sett_badger_cache_misses_total", "What a cache of Badger did not have.", float64(use.Misses), "cache", cache)
	}
}

// collectConnections tells of the store's own connections to the broker.
func (m *monitor) collectConnections(e exposition) {
	link := m.link.Load()
	if link == nil {
		return
	}
	for name, conn := range map[string]*nats.Conn{"requests": link.conn, "feed": link.feed} {
		connected := 0.0
		if conn.IsConnected() {
			connected = 1
		}
		s := conn.Stats()
		e.gauge("sett_connected", "1 while a connection to the broker stands.", connected, "connection", name)
		e.counter("sett_reconnects_total", "How often a connection was made again.", float64(s.Reconnects), "connection", name)
		e.counter("sett_connection_in_bytes_total", "Payload received.", float64(s.InBytes), "connection", name)
		e.counter("sett_connection_out_bytes_total", "Payload sent.", float64(s.OutBytes), "connection", name)
	}
}

// collectBroker tells of the embedded broker.
func (m *monitor) collectBroker(e exposition) {
	link := m.link.Load()
	if link == nil || link.broker == nil || !link.broker.server.Running() {
		return
	}
	if v, err := link.broker.server.Varz(&server.VarzOptions{}); err == nil {
		const messages, bytes = "Messages through the embedded broker.", "Payload through the embedded broker."
		e.gauge("sett_broker_connections", "Connections to the embedded broker.", float64(v.Connections))
		e.gauge("sett_broker_subscriptions", "Subscriptions at the embedded broker.", float64(v.Subscriptions))
		e.counter("sett_broker_slow_consumers_total", "Connections that were ended because they read too slowly.", float64(v.SlowConsumers))
		e.counter("sett_broker_messages_total", messages, float64(v.InMsgs), "direction", "in")
		e.counter("sett_broker_messages_total", messages, float64(v.OutMsgs), "direction", "out")
		e.counter("sett_broker_bytes_total", bytes, float64(v.InBytes), "direction", "in")
		e.counter("sett_broker_bytes_total", bytes, float64(v.OutBytes), "direction", "out")
	}
	if js, err := link.broker.server.Jsz(&server.JSzOptions{}); err == nil && !js.Disabled {
		const bytes = "What JetStream of the embedded broker keeps."
		e.gauge("sett_broker_jetstream_bytes", bytes, float64(js.Store), "storage", "file")
		e.gauge("sett_broker_jetstream_bytes", bytes, float64(js.Memory), "storage", "memory")
		e.gauge("sett_broker_jetstream_messages", "Messages in its streams.", float64(js.Messages))
		e.gauge("sett_broker_jetstream_streams", "Its streams.", float64(js.Streams))
		e.gauge("sett_broker_jetstream_consumers", "Its consumers.", float64(js.Consumers))
	}
}
