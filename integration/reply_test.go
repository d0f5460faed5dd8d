package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// join starts a store on an external broker.
func join(t testing.TB, b *broker, flags ...string) *process {
	t.Helper()
	return serve(t, append([]string{"--listen", "", "--nats-url", b.url}, flags...)...)
}

// TestBorrowedReply: a requester chooses the reply subject, and the store's
// rights publish there. So some subjects count as none.
func TestBorrowedReply(t *testing.T) {
	p := join(t, startBroker(t))
	nc := p.connect()
	all, err := nc.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	borrowed := []string{
		"$JS.API.STREAM.PURGE.X", "$SYS.REQ", "_sett._.feed.a", "_sett._.claim", "kv.set", "kv.changed.a", "svc.changed.a.b",
		"store.changed.gap", "batch.apply", "store.rejected.x", "kv.set.b", "svc.register.a", "kv",
	}
	for i, reply := range borrowed {
		message := &nats.Msg{Subject: "kv.set", Reply: reply, Data: inJSON.payload(t, obj{"key": fmt.Sprint("k", i), "value": "borrowed"})}
		if err := nc.PublishMsg(message); err != nil {
			t.Fatal(err)
		}
		read := &nats.Msg{Subject: "kv.get", Reply: reply, Data: []byte(`{"key":"none"}`)}
		if err := nc.PublishMsg(read); err != nil {
			t.Fatal(err)
		}
	}
	set(t, nc, "last", "1") // answered behind all of them
	for i := range borrowed {
		if _, _, ok := get(t, nc, fmt.Sprint("k", i)); !ok {
			t.Errorf("the command with the reply subject %s was not applied", borrowed[i])
		}
	}
	events := 0
	eventually(t, patience, func() error {
		for {
			m, err := all.NextMsg(time.Millisecond)
			if err != nil {
				break
			}
			switch {
			case strings.HasPrefix(m.Subject, "kv.changed."):
				events++
			case strings.Contains(string(m.Data), `"created"`) && !strings.HasPrefix(m.Subject, "_INBOX."),
				strings.Contains(string(m.Data), "not_found"):
				t.Errorf("the store has answered on %s: %s", m.Subject, m.Data)
			}
		}
		if events < len(borrowed)+1 {
			return fmt.Errorf("%d events of %d", events, len(borrowed)+1)
		}
		return nil
	})
}

// TestNoReply: a command that nobody waits for is applied, and announced where
// it fails; reads without reply are nothing.
func TestNoReply(t *testing.T) {
	nc := serve(t).connect()
	rejected, err := nc.SubscribeSync("store.rejected.>")
	if err != nil {
		t.Fatal(err)
	}
	publish := func(subject, reply, payload, id string) {
		m := &nats.Msg{Subject: subject, Reply: reply, Data: []byte(payload)}
		if id != "" {
			m.Header = header(id)
		}
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	publish("kv.set", "", `{"key":"a","value":"1"}`, "")
	publish("kv.get", "", `{"key":"none"}`, "") // a read: nothing to announce
	publish("kv.set", "", `{"key":"a","value":"2","if_revision":0}`, "my-id")
	publish("kv.set.a", "$JS.x", `{"key":"b","value":"2"}`, "")
	publish("svc.heartbeat", "", `{"name":"secret","id":"1"}`, "")
	publish("batch.apply", "", "\xc1", "")
	want := map[string]bool{
		`store.rejected.kv.set {"code":"conflict","command":"kv.set","id":"my-id"}`:   true,
		`store.rejected.kv.set {"code":"invalid","command":"kv.set"}`:                 true,
		`store.rejected.svc.heartbeat {"code":"not_found","command":"svc.heartbeat"}`: true,
		`store.rejected.batch.apply {"code":"invalid","command":"batch.apply"}`:       true,
	}
	for len(want) > 0 { // in any order: some are refused before the writer sees them
		m, err := rejected.NextMsg(patience)
		if err != nil {
			t.Fatalf("%v; not announced: %v", err, want)
		}
		got := m.Subject + " " + string(m.Data)
		if !want[got] {
			t.Errorf("announced: %s", got)
		}
		delete(want, got)
	}
	if value, _, _ := get(t, nc, "a"); value != "1" {
		t.Errorf("a is %q, not 1", value)
	}
	if m, err := rejected.NextMsg(50 * time.Millisecond); err == nil {
		t.Errorf("announced too: %s %s", m.Subject, m.Data)
	}
}

// TestRejectedIsBounded: at most 100 announcements a second.
func TestRejectedIsBounded(t *testing.T) {
	nc := serve(t).connect()
	rejected, err := nc.SubscribeSync("store.rejected.>")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	const failures = 5000
	for range failures {
		if err := nc.Publish("kv.delete", []byte(`{"nope":1}`)); err != nil {
			t.Fatal(err)
		}
	}
	set(t, nc, "last", "1")
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	count := 0
	for {
		if _, err := rejected.NextMsg(50 * time.Millisecond); err != nil {
			break
		}
		count++
	}
	if most := 100 * (int(took.Seconds()) + 2); count == 0 || count > most {
		t.Errorf("%d announcements of %d failures in %v", count, failures, took)
	}
}
