package integration

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// tokens is the mapping of DESIGN 3.4 written out by hand.
var tokens = map[string]string{
	"config/host":    "config.host",
	"config.host":    "config%2Ehost",
	"/":              "%.%",
	"a//b":           "a.%.b",
	"/a":             "%.a",
	"a/":             "a.%",
	"%":              "%25",
	"a b":            "a%20b",
	"*":              "%2A",
	">":              "%3E",
	"a/*/>":          "a.%2A.%3E",
	"$JS":            "%24JS",
	"ü":              "%C3%BC",
	"-_:=@+~AZaz09":  "-_:=@+~AZaz09",
	"a,b;c!d'e\"f\\": "a%2Cb%3Bc%21d%27e%22f%5C",
}

// TestKeysInSubjects writes by subject and reads by key, and the other way
// round, and sees the change announced under the same tokens.
func TestKeysInSubjects(t *testing.T) {
	nc := serve(t).connect()
	events, err := nc.SubscribeSync("kv.changed.>")
	if err != nil {
		t.Fatal(err)
	}
	for key, tail := range tokens {
		must(t, nc, "kv.set."+tail, obj{"value": key})
		if value, _, ok := get(t, nc, key); !ok || value != key {
			t.Errorf("kv.set.%s did not set %q", tail, key)
		}
		if reply := must(t, nc, "kv.get."+tail, ""); reply["key"] != key {
			t.Errorf("kv.get.%s has the key %q, not %q", tail, reply["key"], key)
		}
		m, err := events.NextMsg(patience)
		if err != nil {
			t.Fatal(err)
		}
		if event, err := decode(m.Data); err != nil || m.Subject != "kv.changed."+tail || event["key"] != key {
			t.Errorf("%q is announced on %s: %v %v", key, m.Subject, event, err)
		}
	}
	must(t, nc, "svc.register.web%20api", `{"id":"10.0.0.1:80"}`)
	if reply := must(t, nc, "svc.get.web%20api", ""); len(reply["instances"].(list)) != 1 {
		t.Errorf("svc.get.web%%20api: %v", reply)
	}
}

// TestBoundSubjects sends what a subject does not cover, or what is not the
// one form of a key.
func TestBoundSubjects(t *testing.T) {
	nc := serve(t).connect()
	set(t, nc, "config/a", "1")
	set(t, nc, "other/a", "1")
	set(t, nc, "config", "1")
	for _, c := range []struct{ subject, payload, field string }{
		{"kv.get.a", `{"key":"b"}`, "key"},
		{"kv.set.a", `{"key":"b","value":"1"}`, "key"},
		{"kv.get.config%2fa", ``, "subject"},
		{"kv.get.config%2Fa", ``, "subject"},
		{"kv.get.%41", ``, "subject"},
		{"kv.get.a%2e", ``, "subject"},
		{"kv.get.a%", ``, "subject"},
		{"kv.get.%a", ``, "subject"},
		{"kv.get.a!b", ``, "subject"},
		{"kv.get.ü", ``, "subject"},
		{"kv.get.%FF", ``, "key"},
		{"kv.get.%00", ``, "key"},
		{"svc.get.a.b", ``, "name"},
		{"svc.register.a.b", `{"id":"1"}`, "name"},
		{"svc.register.a", `{"name":"b","id":"1"}`, "name"},
		{"svc.list.a", ``, "subject"},
		{"store.status.a", ``, "subject"},
		{"kv.list.config", `{"prefix":"other/"}`, "prefix"},
		{"kv.list.config", `{"prefix":"config"}`, "prefix"},
		{"kv.clear.config", `{"prefix":"conf"}`, "prefix"},
		{"batch.get.config", `{"keys":["config/a","other/a"]}`, "keys[1]"},
		{"batch.get.config", `{"keys":["config"]}`, "keys[0]"},
		{"batch.apply.config", `{"ops":[{"op":"kv.set","key":"other/a","value":"2"}]}`, "ops[0]"},
		{"batch.apply.config", `{"ops":[{"op":"kv.set","key":"config/a","value":"2"}],"if":[{"key":"other/a","revision":1}]}`, "if[0]"},
		{"batch.apply.config", `{"ops":[{"op":"kv.set","key":"config/a","value":"2"}],"if":[{"name":"web","id":"1","revision":0}]}`, "if[0]"},
		{"batch.apply.config", `{"ops":[{"op":"svc.register","name":"web","id":"1"}]}`, "ops[0]"},
	} {
		mustRefuse(t, nc, c.subject, []byte(c.payload), "invalid", c.field)
	}
	reply := must(t, nc, "kv.list.config", "")
	if entries := reply["entries"].(list); len(entries) != 1 || entries[0].(obj)["key"] != "config/a" {
		t.Errorf("kv.list.config shows %v", reply)
	}
	if reply := must(t, nc, "kv.list.config", `{"after":"a"}`); len(reply["entries"].(list)) != 1 {
		t.Errorf("after a key before the prefix: %v", reply)
	}
	if reply := must(t, nc, "kv.list.config", `{"after":"zzz"}`); len(reply["entries"].(list)) != 0 {
		t.Errorf("after a key behind the prefix: %v", reply)
	}
	if reply := must(t, nc, "kv.clear.config", ""); reply["deleted"] != int64(1) {
		t.Errorf("kv.clear.config: %v", reply)
	}
	if _, _, ok := get(t, nc, "config"); !ok {
		t.Error("kv.clear.config has deleted the key config")
	}
}

// TestForeignSubjects are nobody's: a requester learns it at once.
func TestForeignSubjects(t *testing.T) {
	nc := serve(t).connect()
	for _, subject := range []string{"kv", "kv.sets", "kv.nope.a", "KV.SET", "svc", "store", "batch.set", "prod.kv.get.a"} {
		if _, err := nc.Request(subject, nil, patience); !errors.Is(err, nats.ErrNoResponders) {
			t.Errorf("%s: %v, not no responders", subject, err)
		}
	}
}

// TestSubjectPrefix: two stores on one broker, each with subjects of its own.
func TestSubjectPrefix(t *testing.T) {
	b := startBroker(t)
	plain := serve(t, "--listen", "", "--nats-url", b.url)
	serve(t, "--listen", "", "--nats-url", b.url, "--subject-prefix", "prod")
	nc := plain.connect()
	events, err := nc.SubscribeSync("prod.kv.changed.>")
	if err != nil {
		t.Fatal(err)
	}
	set(t, nc, "a", "plain")
	must(t, nc, "prod.kv.set.a", obj{"value": "prod"})
	if reply := must(t, nc, "prod.kv.get", obj{"key": "a"}); reply["value"] != "prod" {
		t.Errorf("prod.kv.get: %v", reply)
	}
	if value, _, _ := get(t, nc, "a"); value != "plain" {
		t.Errorf("kv.get: %q", value)
	}
	m, err := events.NextMsg(patience)
	if err != nil || m.Subject != "prod.kv.changed.a" {
		t.Errorf("the change in prod: %v %v", m, err)
	}
	if m, err := events.NextMsg(50 * time.Millisecond); err == nil {
		t.Errorf("one more change in prod: %s %s", m.Subject, m.Data)
	}
	for _, prefix := range []string{"kv", "store", "_x", "a.b", "a b"} {
		p := launch(t, "--data-dir", t.TempDir(), "--nats-url", b.url, "--subject-prefix", prefix)
		if err := p.wait(); err == nil || p.cmd.ProcessState.ExitCode() != 2 {
			t.Errorf("--subject-prefix %q ended with %v, not with status 2", prefix, err)
		}
	}
}
