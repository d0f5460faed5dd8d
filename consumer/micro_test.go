package consumer_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/consumer"
	"github.com/settkv/sett/subjects"
)

// service is what NATS services say of themselves, in the words of their
// protocol.
type service struct {
	Type        string            `json:"type"`
	Name        string            `json:"name"`
	ID          string            `json:"id"`
	Version     string            `json:"version"`
	Metadata    map[string]string `json:"metadata"`
	Description string            `json:"description"`
	Started     time.Time         `json:"started"`
	Endpoints   []struct {
		Name       string            `json:"name"`
		Subject    string            `json:"subject"`
		QueueGroup string            `json:"queue_group"`
		Metadata   map[string]string `json:"metadata"`
		Requests   int               `json:"num_requests"`
		Errors     int               `json:"num_errors"`
		LastError  string            `json:"last_error"`
		Time       int64             `json:"processing_time"`
		Average    int64             `json:"average_processing_time"`
	} `json:"endpoints"`
}

func askService(t *testing.T, nc *nats.Conn, subject string) service {
	t.Helper()
	var s service
	if m := ask(t, nc, subject, ""); json.Unmarshal(m.Data, &s) != nil {
		t.Fatalf("%s: %s", subject, m.Data)
	}
	return s
}

func TestMicro(t *testing.T) {
	before := time.Now().Add(-time.Second)
	_, _, nc := serveFake(t, func(o *consumer.Options) { o.Prefix, o.Version = "prod", "v1.2.3" })
	id := askService(t, nc, "$SRV.PING").ID
	for verb, kind := range map[string]string{
		"PING": "io.nats.micro.v1.ping_response", "INFO": "io.nats.micro.v1.info_response", "STATS": "io.nats.micro.v1.stats_response",
	} {
		for _, tail := range []string{"", ".sett", ".sett." + id} {
			s := askService(t, nc, "$SRV."+verb+tail)
			if s.Type != kind || s.Name != "sett" || s.ID != id || s.Version != "1.2.3" ||
				s.Metadata["store_id"] != "store-1" || s.Metadata["prefix"] != "prod" {
				t.Errorf("$SRV.%s%s: %+v", verb, tail, s)
			}
		}
	}
	for _, subject := range []string{"$SRV.PING.other", "$SRV.PING.sett.other", "$SRV.SCHEMA"} {
		if m, err := nc.Request(subject, nil, patience); err != nats.ErrNoResponders {
			t.Errorf("%s: %v, %v; want no responders", subject, m, err)
		}
	}
	ask(t, nc, "prod.kv.set", `{"key":"a","value":"1"}`)
	ask(t, nc, "prod.kv.set", `{"key":"conflict","value":"1"}`)
	var stats service
	until(t, "both are counted", func() bool {
		stats = askService(t, nc, "$SRV.STATS.sett")
		return stats.Endpoints[0].Requests == 2
	})
	info := askService(t, nc, "$SRV.INFO.sett")
	if stats.Started.Before(before) || info.Description == "" {
		t.Errorf("started %v; %+v", stats.Started, info)
	}
	for i, e := range subjects.All() {
		name, subject := strings.ReplaceAll(e.Subject, ".", "-"), "prod."+e.Subject
		for _, got := range []service{info, stats} {
			if ep := got.Endpoints[i]; ep.Name != name || ep.Subject != subject || ep.QueueGroup != "store-1" {
				t.Errorf("%s: %+v", e.Subject, ep)
			}
		}
	}
	set := stats.Endpoints[0]
	if set.Errors != 1 || set.LastError != "409:conflict" || set.Time <= 0 || set.Average != set.Time/2 {
		t.Errorf("kv.set: %+v", set)
	}
}

// A requester must not borrow the store's rights to publish, here neither.
func TestMicroReplySubject(t *testing.T) {
	_, _, nc := serveFake(t)
	stolen := subscribe(t, nc, "kv.changed.>")
	if err := nc.PublishRequest("$SRV.PING", "kv.changed.a", nil); err != nil {
		t.Fatal(err)
	}
	ask(t, nc, "$SRV.PING", "") // which comes behind
	if n, _, err := stolen.Pending(); n != 0 || err != nil {
		t.Errorf("%d messages on a subject of the store, %v", n, err)
	}
}

// A build without a version is still a valid service.
func TestMicroVersion(t *testing.T) {
	for version, want := range map[string]string{
		"": "0.0.0", "development": "0.0.0+development", "v1.2": "0.0.0+v1.2", "16fdfa2-dirty": "0.0.0+16fdfa2-dirty", "1.2.3-rc.1+abc": "1.2.3-rc.1+abc",
		"v0.0.0-20260101000000-abcdef012345": "0.0.0-20260101000000-abcdef012345",
	} {
		_, r, nc := serveFake(t, func(o *consumer.Options) { o.Version = version })
		if got := askService(t, nc, "$SRV.PING").Version; got != want {
			t.Errorf("%q is told as %q, want %q", version, got, want)
		}
		_ = r.end()
	}
}
