package consumer

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/subjects"
)

// ServiceName is what a store calls itself among NATS services.
const ServiceName = "sett"

// srv are the subjects on which NATS services say what they are.
const srv = "$SRV."

// micro answers $SRV.PING, $SRV.INFO and $SRV.STATS as NATS services do, so
// that `nats micro ls`, `info` and `stats` show the store. The library of that
// name is not used: it loses the order between subjects, and answers to
// commands come from another goroutine than it allows.
type micro struct {
	c     *consumer
	mine  microIdentity
	asked chan *nats.Msg
	subs  []*nats.Subscription
}

// microPending bounds the questions that wait. Who asked beyond it asks again.
const microPending = 256

// microConfirm is how long the broker may take to confirm the subscriptions.
const microConfirm = 5 * time.Second

type microIdentity struct {
	Name     string            `json:"name"`
	ID       string            `json:"id"`
	Version  string            `json:"version"`
	Metadata map[string]string `json:"metadata"`
}

type microPing struct {
	microIdentity
	Type string `json:"type"`
}

type microInfo struct {
	microPing
	Description string          `json:"description"`
	Endpoints   []microEndpoint `json:"endpoints"`
}

type microEndpoint struct {
	Name       string            `json:"name"`
	Subject    string            `json:"subject"`
	QueueGroup string            `json:"queue_group"`
	Metadata   map[string]string `json:"metadata"`
}

type microStats struct {
	microPing
	Started   time.Time            `json:"started"`
	Endpoints []microEndpointStats `json:"endpoints"`
}

type microEndpointStats struct {
	Name           string        `json:"name"`
	Subject        string        `json:"subject"`
	QueueGroup     string        `json:"queue_group"`
	NumRequests    uint64        `json:"num_requests"`
	NumErrors      uint64        `json:"num_errors"`
	LastError      string        `json:"last_error"`
	ProcessingTime time.Duration `json:"processing_time"`
	AverageTime    time.Duration `json:"average_processing_time"`
	Data           any           `json:"data,omitempty"`
}

func newMicro(c *consumer) *micro {
	m := &micro{c: c, asked: make(chan *nats.Msg, microPending)}
	m.mine = microIdentity{
		Name: ServiceName, ID: rand.Text(), Version: semantic(c.o.Version),
		Metadata: map[string]string{"store_id": c.o.StoreID},
	}
	if c.prefix != "" {
		m.mine.Metadata["prefix"] = string(c.prefix)
	}
	return m
}

// version is what NATS services must have for one.
var version = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)

// semantic makes a semantic version of ours; a build without one is 0.0.0, with
// what it is called behind it where that may stand there.
func semantic(v string) string {
	const none = "0.0.0"
	for _, is := range []string{strings.TrimPrefix(v, "v"), none + "+" + v} {
		if version.MatchString(is) {
			return is
		}
	}
	return none
}

// subscribe takes the questions to everyone, to all stores, and to this one. A
// store serves all the same where its user may not.
func (m *micro) subscribe() {
	for _, verb := range []string{"PING", "INFO", "STATS"} {
		all := srv + verb
		for _, subject := range []string{all, all + "." + m.mine.Name, all + "." + m.mine.Name + "." + m.mine.ID} {
			sub, err := m.c.conn.ChanSubscribe(subject, m.asked)
			if err != nil {
				m.c.log.Warn("the store does not show up among NATS services", "subject", subject, "error", err)
				return
			}
			m.subs = append(m.subs, sub)
		}
	}
	if err := flush(m.c.conn, microConfirm); err != nil {
		m.c.log.Warn("the broker does not confirm the subscriptions of a NATS service", "error", err)
	}
}

// run answers until ctx ends.
func (m *micro) run(ctx context.Context) error {
	defer m.unsubscribe()
	for {
		select {
		case <-ctx.Done():
			return nil
		case q := <-m.asked:
			m.answer(q)
		}
	}
}

func (m *micro) unsubscribe() {
	for _, sub := range m.subs {
		_ = sub.Unsubscribe() // fails where the connection is closed
	}
}

func (m *micro) answer(q *nats.Msg) {
	reply := m.c.replySubject(q.Reply)
	rest, ok := strings.CutPrefix(q.Subject, srv)
	if !ok || reply == "" {
		return
	}
	verb, _, _ := strings.Cut(rest, ".")
	about := m.about(verb)
	if about == nil {
		return
	}
	payload, err := json.Marshal(about)
	if err == nil {
		err = m.c.conn.Publish(reply, payload)
	}
	if err != nil {
		m.c.stats.Unsent.Add(1)
	}
}

// about is the answer to a verb, or nil.
func (m *micro) about(verb string) any {
	switch verb {
	case "PING":
		return m.ping("ping")
	case "INFO":
		return m.info()
	case "STATS":
		return m.stats()
	}
	return nil
}

func (m *micro) ping(kind string) microPing {
	return microPing{m.mine, "io.nats.micro.v1." + kind + "_response"}
}

func (m *micro) info() microInfo {
	info := microInfo{microPing: m.ping("info"), Description: "key-value store and service registry"}
	for _, e := range subjects.All() {
		meta := map[string]string{"description": e.Doc}
		if e.Form != subjects.Bare {
			meta["also"] = m.c.prefix.Wrap(e.Subject) + ".>"
		}
		info.Endpoints = append(info.Endpoints, microEndpoint{
			Name: endpointName(e), Subject: m.c.prefix.Wrap(e.Subject), QueueGroup: m.c.o.StoreID, Metadata: meta,
		})
	}
	return info
}

func (m *micro) stats() microStats {
	stats := microStats{microPing: m.ping("stats"), Started: m.c.began.UTC()}
	for _, meter := range m.c.stats.Meters() {
		e := microEndpointStats{
			Name: endpointName(meter.Info), Subject: m.c.prefix.Wrap(meter.Info.Subject), QueueGroup: m.c.o.StoreID,
			NumRequests: meter.Time.Count(), NumErrors: meter.Failed(), LastError: meter.LastError(),
			ProcessingTime: time.Duration(meter.Time.Sum()),
		}
		if e.NumRequests > 0 {
			e.AverageTime = e.ProcessingTime / time.Duration(e.NumRequests)
		}
		if m.c.o.Figures != nil && meter.Info == subjects.StoreStatus.Info {
			e.Data = m.c.o.Figures()
		}
		stats.Endpoints = append(stats.Endpoints, e)
	}
	return stats
}

// endpointName is the subject in the letters that such a name may have.
func endpointName(info *subjects.Info) string { return strings.ReplaceAll(info.Subject, ".", "-") }
