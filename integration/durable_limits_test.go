package integration

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestOutboxFull: when too much waits for a broker that is away, whatever would
// add to it is unavailable; reads, renewals and deadlines go on, and nothing is
// lost.
func TestOutboxFull(t *testing.T) {
	t.Parallel() // it mostly waits
	b := startBroker(t)
	w, p := joinTapped(t, b, "--outbox-max", "20000")
	nc := connect(t, b.url)
	must(t, nc, "svc.register", `{"name":"web","id":"1","ttl_ms":600000}`)
	epoch, _ := announcedAll(t, nc)
	w.hold(true)
	must(t, nc, "kv.set", `{"key":"dying","value":"1","ttl_ms":500}`)
	applied := fillOutbox(t, nc)
	if applied < 50 {
		t.Errorf("%d writes filled the outbox", applied)
	}
	status := must(t, nc, "store.status", "")
	if reasons, _ := status["reasons"].(list); status["ready"] != false || len(reasons) == 0 {
		t.Errorf("the status with a full outbox: %v", status)
	}
	refused := []struct{ subject, payload string }{
		{"kv.delete", `{"key":"fill/0"}`}, {"kv.increment", `{"key":"n"}`}, {"svc.deregister", `{"name":"web","id":"1"}`},
		{"batch.apply", `{"ops":[{"op":"kv.set","key":"b","value":"1"}]}`}, {"kv.clear", `{"prefix":"fill/"}`},
	}
	for _, r := range refused {
		if err := checkError(ask(t, nc, r.subject, []byte(r.payload)), "unavailable"); err != nil {
			t.Errorf("%s: %v", r.subject, err)
		}
	}
	must(t, nc, "svc.heartbeat", `{"name":"web","id":"1"}`)
	must(t, nc, "kv.delete", `{"key":"none"}`) // changes nothing
	if value, _, _ := get(t, nc, "fill/0"); value == "" {
		t.Error("reads do not go on")
	}
	eventually(t, patience, func() error {
		if n := must(t, nc, "store.status", "")["store_revision"].(int64); n != int64(applied)+3 {
			return fmt.Errorf("the end of a key is not committed: revision %d", n)
		}
		return nil
	})
	w.release()
	w.cut()
	mustTakeWrites(t, nc)
	set(t, nc, "again", "1")
	wantEpochs(t, wholeStream(t, nc))
	wantEpoch(t, nc, epoch)
	if n := streamState(t, nc).Msgs; n != uint64(applied)+4 {
		t.Errorf("the stream has %d messages of %d changes", n, applied+4)
	}
	p.stop()
}

// fillOutbox writes until it is refused, and returns how often it was not.
func fillOutbox(t testing.TB, nc *nats.Conn) (applied int) {
	t.Helper()
	for ; applied < 1000; applied++ {
		a := ask(t, nc, "kv.set", fmt.Appendf(nil, `{"key":"fill/%d","value":"v"}`, applied))
		if a.refused() {
			if err := checkError(a, "unavailable"); err != nil {
				t.Error(err)
			}
			return applied
		}
	}
	t.Fatal("the outbox is never full")
	return 0
}

// TestLargestEvents: what is at a limit reaches the stream: a value that JSON
// must write in base64, and a batch with 2 MiB of events, whole.
func TestLargestEvents(t *testing.T) {
	p := serve(t)
	nc := p.connect()
	value := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 512<<10))
	must(t, nc, "kv.set", fmt.Sprintf(`{"key":"large","value_base64":%q}`, value))
	events := wholeStream(t, nc)
	if len(events) != 1 || !bytes.Contains(events[0].raw, []byte(value)) {
		t.Fatalf("the stream has %d events", len(events))
	}
	const instances = 60
	each := registerLarge(t, nc, instances)
	most := (2 << 20) / each
	if most >= instances || most < 10 {
		t.Fatalf("an event takes %d bytes", each)
	}
	if err := checkError(ask(t, nc, "batch.apply", deregister(0, instances)), "too_large"); err != nil {
		t.Error(err)
	}
	before := len(wholeStream(t, nc))
	a := ask(t, nc, "batch.apply", deregister(0, most))
	if a.refused() {
		t.Fatalf("%d events of %d bytes: %s", most, each, a.raw)
	}
	events = wholeStream(t, nc)[before:]
	if len(events) != most || events[0].CommitRevision != a.int("revision") {
		t.Errorf("%d events of a batch of %d", len(events), most)
	}
}

// registerLarge registers instances whose events are as large as they can be,
// and returns the size of the event of an end.
func registerLarge(t testing.TB, nc *nats.Conn, n int) (size int) {
	t.Helper()
	tags, meta := list{}, obj{}
	for i := range 64 {
		tags = append(tags, fmt.Sprintf("%02d%s", i, strings.Repeat("t", 253)))
		meta[fmt.Sprintf("%02d%s", i, strings.Repeat("k", 126))] = strings.Repeat("v", 512)
	}
	for i := range n {
		must(t, nc, "svc.register", string(inJSON.payload(t, obj{"name": "web", "id": fmt.Sprintf("%03d", i), "tags": tags, "meta": meta})))
	}
	ended := must(t, nc, "svc.deregister", fmt.Sprintf(`{"name":"web","id":"%03d"}`, n-1))["revision"].(int64)
	announcedAll(t, nc)
	size = len(readStream(t, nc, uint64(ended))[0].raw)
	must(t, nc, "svc.register", string(inJSON.payload(t, obj{"name": "web", "id": fmt.Sprintf("%03d", n-1), "tags": tags, "meta": meta})))
	return size + 16 // commit revisions may be longer
}

// deregister is a batch that ends instances.
func deregister(from, to int) []byte {
	var ops []string
	for i := from; i < to; i++ {
		ops = append(ops, fmt.Sprintf(`{"op":"svc.deregister","name":"web","id":"%03d"}`, i))
	}
	return []byte(`{"ops":[` + strings.Join(ops, ",") + `]}`)
}

// TestAwayForLong keeps the stream out of reach for longer than anything in the
// store waits for it.
func TestAwayForLong(t *testing.T) {
	if !long {
		t.Skip("takes half a minute: SETT_LONG=1 runs it")
	}
	b := startBroker(t)
	w, p := joinTapped(t, b)
	nc := connect(t, b.url)
	l := newLoad(t)
	l.start(b.url, false)
	for range 3 {
		w.hold(true)
		pause(t, 12*time.Second)
		w.release()
		pause(t, time.Second)
	}
	l.end()
	l.verify(nc)
	wantEpochs(t, mustTellAll(t, nc))
	p.stop()
}
