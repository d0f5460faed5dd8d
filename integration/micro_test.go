package integration

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
)

// TestMicroService: the store is a NATS service like others, to anyone whom the
// embedded broker lets in.
func TestMicroService(t *testing.T) {
	p := serve(t)
	nc := p.connect()
	set(t, nc, "a", "1")
	ask(t, nc, "kv.get.none", nil)
	var ping, info struct {
		Type, Name, ID, Version string
		Metadata                map[string]string
		Endpoints               []struct{ Name, Subject string }
	}
	say := func(subject string, into any) {
		t.Helper()
		m, err := nc.Request(subject, nil, patience)
		if err == nil {
			err = json.Unmarshal(m.Data, into)
		}
		if err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
	}
	say("$SRV.PING", &ping)
	say("$SRV.INFO.sett."+ping.ID, &info)
	id := must(t, nc, "store.status", "")["store_id"]
	if ping.Type != "io.nats.micro.v1.ping_response" || ping.Name != "sett" || ping.Metadata["store_id"] != id {
		t.Errorf("%+v", ping)
	}
	if info.ID != ping.ID || len(info.Endpoints) < 15 || info.Endpoints[0].Subject != "kv.set" {
		t.Errorf("%+v", info)
	}
	eventually(t, patience, func() error {
		var stats struct {
			Endpoints []struct {
				Subject   string
				Requests  int    `json:"num_requests"`
				Errors    int    `json:"num_errors"`
				LastError string `json:"last_error"`
			}
		}
		say("$SRV.STATS.sett", &stats)
		for _, e := range stats.Endpoints {
			switch got := fmt.Sprintf("%d/%d %s", e.Requests, e.Errors, e.LastError); {
			case e.Subject == "kv.set" && got != "1/0 ", e.Subject == "kv.get" && got != "1/1 404:not_found":
				return fmt.Errorf("%s: %s", e.Subject, got)
			}
		}
		return nil
	})
	before := ping.ID
	p.stop()
	nc = p.again().connect()
	if say("$SRV.PING", &ping); ping.ID == before {
		t.Error("another run of the store has the same id")
	}
}

// TestDiscoverServices: a NATS service shows up in the registry by itself, and
// one that another owner registered stays as it is.
func TestDiscoverServices(t *testing.T) {
	b := startBroker(t)
	nc := connect(t, b.url)
	for _, name := range []string{"orders", "mine"} {
		_, err := nc.Subscribe("$SRV.INFO", func(m *nats.Msg) {
			_ = m.Respond(fmt.Appendf(nil, `{"type":"io.nats.micro.v1.info_response","name":%q,"id":"A1","version":"1.2.3",
				"metadata":{"team":"shop"},"endpoints":[{"name":"place","subject":"orders.place"}]}`, name))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	p := join(t, b, "--subject-prefix", "off")
	must(t, nc, "off.svc.register", `{"name":"mine","id":"A1","address":"10.0.0.1","port":80}`)
	p.stop()
	launch(t, append(p.args, "--discover-services")...).mustBeReady()
	eventually(t, patience, func() error {
		found := must(t, nc, "off.svc.get", `{"name":"orders"}`)["instances"].([]any)
		if len(found) != 1 {
			return fmt.Errorf("found %v", found)
		}
		in := found[0].(obj)
		if in["id"] != "A1" || in["ttl_ms"] != int64(15_000) || in["meta"].(obj)["endpoint.place"] != "orders.place" {
			t.Errorf("%v", in)
		}
		return nil
	})
	in := must(t, nc, "off.svc.get", `{"name":"mine"}`)["instances"].([]any)[0].(obj)
	if in["address"] != "10.0.0.1" || in["tags"] != nil {
		t.Errorf("%v", in)
	}
	if got := must(t, nc, "off.svc.get", `{"name":"sett"}`)["instances"].([]any); len(got) != 0 {
		t.Errorf("the store registered itself: %v", got)
	}
}
