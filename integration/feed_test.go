package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// natsMsg is a message with a payload.
func natsMsg(subject, payload string) *nats.Msg {
	return &nats.Msg{Subject: subject, Data: []byte(payload)}
}

// feedSteps are commands, and the events that they cause: revisions count from
// 1 in a new store. What changes nothing has no events.
var feedSteps = []struct {
	subject, payload string
	on               string // the events' subjects
	events           list
}{
	{"kv.set", `{"key":"config/host","value":"10.0.0.1"}`, "kv.changed.config.host", list{
		obj{"op": "set", "key": "config/host", "value": "10.0.0.1", "revision": 1, "previous_revision": 0, "commit_revision": 1}}},
	{"kv.set", `{"key":"config/host","value_base64":"AAH/","ttl_ms":60000}`, "kv.changed.config.host", list{
		obj{"op": "set", "key": "config/host", "value_base64": "AAH/", "ttl_ms": 60000, "expires_at_ms": inAbout(60000),
			"revision": 2, "previous_revision": 1, "commit_revision": 2}}},
	{"kv.touch", `{"key":"config/host","ttl_ms":90000}`, "", nil},
	{"kv.delete", `{"key":"none"}`, "", nil},
	{"kv.delete", `{"key":"config/host"}`, "kv.changed.config.host", list{
		obj{"op": "delete", "key": "config/host", "revision": 3, "previous_revision": 2, "commit_revision": 3}}},
	{"kv.set", `{"key":"a.b","value":""}`, "kv.changed.a%2Eb", list{
		obj{"op": "set", "key": "a.b", "value": "", "revision": 4, "previous_revision": 0, "commit_revision": 4}}},
	{"kv.increment", `{"key":"n","by":7}`, "kv.changed.n", list{
		obj{"op": "set", "key": "n", "value": "7", "revision": 5, "previous_revision": 0, "commit_revision": 5}}},
	{"svc.register", `{"name":"web","id":"1","address":"10.0.0.1","ttl_ms":60000}`, "svc.changed.web.1", list{
		obj{"op": "register", "name": "web", "id": "1", "revision": 6, "previous_revision": 0, "commit_revision": 6,
			"instance": obj{"name": "web", "id": "1", "address": "10.0.0.1", "status": "passing", "ttl_ms": 60000,
				"expires_at_ms": inAbout(60000), "revision": 6, "created_revision": 6}}}},
	{"svc.register", `{"name":"web","id":"1","address":"10.0.0.1","ttl_ms":60000}`, "", nil},
	{"svc.heartbeat", `{"name":"web","id":"1"}`, "", nil},
	{"svc.heartbeat", `{"name":"web","id":"1","status":"critical","note":"disk"}`, "svc.changed.web.1", list{
		obj{"op": "register", "name": "web", "id": "1", "revision": 7, "previous_revision": 6, "commit_revision": 7,
			"instance": obj{"name": "web", "id": "1", "address": "10.0.0.1", "status": "critical", "note": "disk", "ttl_ms": 60000,
				"expires_at_ms": inAbout(60000), "revision": 7, "created_revision": 6}}}},
	{"svc.deregister", `{"name":"web","id":"1"}`, "svc.changed.web.1", list{
		obj{"op": "deregister", "name": "web", "id": "1", "revision": 8, "previous_revision": 7, "commit_revision": 8,
			"instance": matcher(message)}}},
	{"svc.deregister", `{"name":"web","id":"1"}`, "", nil},
	{"batch.apply", `{"ops":[{"op":"kv.set","key":"x","value":"1"},{"op":"kv.touch","key":"x"},{"op":"kv.set","key":"x","value":"2"},{"op":"kv.delete","key":"x"}]}`,
		"kv.changed.x", list{
			obj{"op": "set", "key": "x", "value": "1", "revision": 9, "previous_revision": 0, "commit_revision": 11},
			obj{"op": "set", "key": "x", "value": "2", "revision": 10, "previous_revision": 9, "commit_revision": 11},
			obj{"op": "delete", "key": "x", "revision": 11, "previous_revision": 10, "commit_revision": 11}}},
	{"kv.clear", `{"prefix":"n"}`, "kv.changed.n", list{
		obj{"op": "delete", "key": "n", "revision": 12, "previous_revision": 5, "commit_revision": 12}}},
}

// TestFeed compares every event with what DESIGN 3.6 says about it, in both
// encodings and with both feeds.
func TestFeed(t *testing.T) {
	for _, enc := range encodings {
		for _, mode := range []string{"durable", "live"} {
			t.Run(enc.name+" "+mode, func(t *testing.T) {
				nc := serve(t, "--feed-encoding", enc.name, "--feed", mode).connect()
				feed, err := nc.SubscribeSync("*.changed.>")
				if err != nil {
					t.Fatal(err)
				}
				epoch, _ := storeEpoch(t, nc)
				for _, s := range feedSteps {
					must(t, nc, s.subject, s.payload)
					for _, want := range s.events {
						m, err := feed.NextMsg(patience)
						if err != nil {
							t.Fatalf("%s %s: no event: %v", s.subject, s.payload, err)
						}
						checkEvent(t, m, s.on, want.(obj), enc, epoch)
					}
				}
				if m, err := feed.NextMsg(50 * time.Millisecond); err == nil {
					t.Errorf("one event more on %s: %s", m.Subject, m.Data)
				}
			})
		}
	}
}

// checkEvent compares one event with what is expected on a subject.
func checkEvent(t *testing.T, m *nats.Msg, subject string, want obj, enc encoding, epoch int64) {
	t.Helper()
	got, err := decode(m.Data)
	if err != nil {
		t.Fatal(err)
	}
	all := obj{"epoch": epoch, "time_ms": inAbout(0)}
	for name, value := range want {
		if name == "value_base64" && enc.name == "msgpack" {
			name, value = "value", "\x00\x01\xff"
		}
		all[name] = value
	}
	if err := match(got, all, nil); err != nil || m.Subject != subject || encodingOf(m.Data).name != enc.name || len(m.Header) > 0 || m.Reply != "" {
		t.Errorf("on %s, not %s: %v: %s %v", m.Subject, subject, err, m.Data, m.Header)
	}
}

// TestFailedBatch: a batch whose third condition fails changes nothing,
// announces nothing, and names the key and its revision.
func TestFailedBatch(t *testing.T) {
	nc := serve(t).connect()
	w := watch(t, nc)
	set(t, nc, "a", "1")
	set(t, nc, "b", "1")
	third := set(t, nc, "c", "1")
	for name, payload := range map[string]string{
		"if": `{"ops":[{"op":"kv.set","key":"a","value":"2"},{"op":"kv.delete","key":"b"}],
			"if":[{"key":"a","revision":1},{"key":"b","revision":2},{"key":"c","revision":1}]}`,
		"ops": `{"ops":[{"op":"kv.set","key":"a","value":"2"},{"op":"kv.delete","key":"b","if_revision":2},{"op":"kv.set","key":"c","value":"2","if_revision":1}]}`,
	} {
		a := ask(t, nc, "batch.apply", []byte(payload))
		if err := checkError(a, "conflict"); err != nil {
			t.Fatal(err)
		}
		if a.fields["key"] != "c" || a.int("revision") != third || a.int("index") != 2 || a.fields["field"] != name+"[2]" {
			t.Errorf("the error is %s", a.raw)
		}
		if a.int("store_revision") != third {
			t.Errorf("the store went on to revision %d", a.int("store_revision"))
		}
	}
	for _, key := range []string{"a", "b", "c"} {
		if value, _, _ := get(t, nc, key); value != "1" {
			t.Errorf("%s is %q", key, value)
		}
	}
	w.upTo(set(t, nc, "d", "1"))
	if len(w.events) != 4 {
		t.Errorf("%d events, not 4: %v", len(w.events), w.events)
	}
	w.checkOrder(0)
}

// TestExpiredIsAnnounced: a command that finds a key past its deadline expires
// it first, with a revision and an event of its own.
func TestExpiredIsAnnounced(t *testing.T) {
	nc := serve(t).connect()
	w := watch(t, nc)
	must(t, nc, "kv.set", `{"key":"a","value":"1","ttl_ms":30}`)
	eventually(t, patience, func() error {
		if _, _, ok := get(t, nc, "a"); ok {
			return fmt.Errorf("the key is still there")
		}
		return nil
	})
	reply := must(t, nc, "kv.set", `{"key":"a","value":"2","if_revision":0}`)
	if reply["created"] != true || reply["revision"] != int64(3) {
		t.Errorf("the key that had expired: %v", reply)
	}
	w.upTo(3)
	if e := w.checkOrder(0)[1]; e.Op != "expire" || e.Key != "a" || e.PreviousRevision != 1 || e.Revision != 2 || e.Value != "" {
		t.Errorf("the second event is %s", e.raw)
	}
	sameState(t, fold(t, w.events), contents(t, nc, ""))
}

// TestOrderAcrossSubjects: 2,000 alternating plain publishes of kv.set and
// kv.delete, in all of their forms, end in the state of the last one.
func TestOrderAcrossSubjects(t *testing.T) {
	nc := serve(t).connect()
	w := watch(t, nc)
	const publishes = 2000
	for i := range publishes {
		subject, payload := "kv.set", fmt.Sprintf(`{"key":"order/k","value":"%d"}`, i)
		if i%2 == 1 {
			subject, payload = "kv.delete", `{"key":"order/k"}`
		}
		if i%4 > 1 {
			subject += ".order.k"
			payload = strings.Replace(payload, `"key":"order/k",`, "", 1)
		}
		if err := nc.Publish(subject, []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, patience, func() error {
		if _, revision := storeEpoch(t, nc); revision < publishes {
			return fmt.Errorf("the store is at revision %d", revision)
		}
		return nil
	})
	if value, _, ok := get(t, nc, "order/k"); ok {
		t.Errorf("after a last delete the key is %q", value)
	}
	w.upTo(publishes)
	for i, e := range w.checkOrder(0) {
		if i%2 == 0 && (e.Op != "set" || e.Value != fmt.Sprint(i)) || i%2 == 1 && e.Op != "delete" || e.Revision != int64(i+1) {
			t.Fatalf("event %d is %s", i, e.raw)
		}
	}
	last := set(t, nc, "order/k", "again")
	if value, revision, _ := get(t, nc, "order/k"); value != "again" || revision != last {
		t.Errorf("the key is %q at %d", value, revision)
	}
}
