package integration

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestDeadlinesAcrossRestart: a key keeps its deadline while the store is away.
// What ended meanwhile is gone for the first read, and announced once. A service
// has its whole TTL again, since nobody could heartbeat.
func TestDeadlinesAcrossRestart(t *testing.T) {
	for name, end := range map[string]func(*process){"stop": (*process).stop, "kill": (*process).kill} {
		t.Run(name, func(t *testing.T) {
			b := startBroker(t)
			p := join(t, b)
			nc := connect(t, b.url)
			ended := endings(t, nc)
			const ttl = 3000
			down := must(t, nc, "kv.set", `{"key":"down","value":"1","ttl_ms":500}`)
			up := must(t, nc, "kv.set", `{"key":"up","value":"1","ttl_ms":3600000}`)["expires_at_ms"]
			web := must(t, nc, "svc.register", fmt.Sprintf(`{"name":"web","id":"1","ttl_ms":%d}`, ttl))
			end(p)
			untilMs(t, down["expires_at_ms"].(int64))
			before := time.Now().UnixMilli()
			launch(t, p.args...).mustBeReady()
			if value, _, ok := get(t, nc, "down"); ok {
				t.Errorf("a key that ended while the store was away is %q", value)
			}
			if got := must(t, nc, "kv.get", `{"key":"up"}`)["expires_at_ms"]; got != up {
				t.Errorf("a key had the deadline %v and has %v", up, got)
			}
			if e := within(t, patience, "end of the key", ended); e.Key != "down" || e.PreviousRevision != down["revision"] {
				t.Errorf("the first end is %s", e.raw)
			}
			e := within(t, patience, "end of the service", ended)
			if e.ID != "1" || e.PreviousRevision != web["revision"] || e.TimeMs < web["expires_at_ms"].(int64) {
				t.Errorf("the second end is %s", e.raw)
			}
			if e.TimeMs > before && e.TimeMs < before+ttl {
				t.Errorf("the service had %d ms of its %d after the restart", e.TimeMs-before, ttl)
			}
			set(t, nc, "end", "1")
			select {
			case e := <-ended:
				t.Errorf("one end more: %s", e.raw)
			default:
			}
		})
	}
}

// untilMs waits for a time in Unix milliseconds.
func untilMs(t testing.TB, ms int64) {
	t.Helper()
	pause(t, time.Until(time.UnixMilli(ms)))
}

// TestEndsAcrossKills ends the store with kill -9 again and again while keys
// and instances expire: each end is announced exactly once, by revision, and
// never early, whenever the store died.
func TestEndsAcrossKills(t *testing.T) {
	b := startBroker(t)
	p := join(t, b)
	nc := connect(t, b.url)
	rounds := 6
	if long {
		rounds = 40
	}
	for round := range rounds {
		for i := range 39 {
			must(t, nc, "kv.set", obj{"key": fmt.Sprint("k", i), "value": "1", "ttl_ms": 20 + (i*37+round*53)%400})
		}
		must(t, nc, "kv.set", `{"key":"touched","value":"1","ttl_ms":3600000}`)
		for i := range 10 {
			must(t, nc, "svc.register", obj{"name": "web", "id": fmt.Sprint(i), "note": fmt.Sprint(round), "ttl_ms": 50 + 20*i})
		}
		must(t, nc, "kv.touch", `{"key":"touched","ttl_ms":100}`)
		pause(t, time.Duration(round*31%200)*time.Millisecond)
		p.kill()
		p = launch(t, p.args...).mustBeReady()
	}
	eventually(t, patience, func() error {
		status := must(t, nc, "store.status", "")
		if status["keys"] != int64(0) || status["instances"] != int64(0) {
			return fmt.Errorf("there are %v keys and %v instances", status["keys"], status["instances"])
		}
		return nil
	})
	events := wholeStream(t, nc) // of what a process had in hand when it was killed, a plain subscriber may miss the last
	sameState(t, fold(t, events), contents(t, nc, ""))
	t.Logf("%d ends in %d events over %d kills", checkEnds(t, events), len(events), rounds)
}

// checkEnds checks that each end is that of what was there, once, and not
// before its deadline. It returns how many there are.
func checkEnds(t *testing.T, events []event) (ends int) {
	t.Helper()
	type mortal struct{ revision, deadline int64 }
	alive := map[string]mortal{}
	for _, e := range events {
		var more struct {
			ExpiresAtMs int64 `json:"expires_at_ms"`
			Instance    struct {
				ExpiresAtMs int64 `json:"expires_at_ms"`
			}
		}
		if err := json.Unmarshal(e.raw, &more); err != nil {
			t.Fatal(err)
		}
		before := alive[e.subject]
		switch e.Op {
		case "expire":
			if ends++; before.revision == 0 || before.revision != e.PreviousRevision {
				t.Errorf("revision %d was there, and %s", before.revision, e.raw)
			}
			deadline := max(before.deadline, more.Instance.ExpiresAtMs)
			if e.Key == "touched" { // its deadline was moved by a touch, which nobody announces
				deadline = 0
			}
			if e.TimeMs < deadline {
				t.Errorf("%d ms early: %s", deadline-e.TimeMs, e.raw)
			}
			delete(alive, e.subject)
		case "set", "register":
			alive[e.subject] = mortal{e.Revision, max(more.ExpiresAtMs, more.Instance.ExpiresAtMs)}
		}
	}
	return ends
}

// beater heartbeats an instance until it is told to stop.
type beater struct {
	beats, missed int
	err           error
	stop, done    chan struct{}
}

// beat begins to heartbeat an instance of "web".
func beat(nc *nats.Conn, id string, every time.Duration) *beater {
	b := &beater{stop: make(chan struct{}), done: make(chan struct{})}
	go b.run(nc, fmt.Appendf(nil, `{"name":"web","id":%q}`, id), every)
	return b
}

// run asks again at once where nobody answers: the store is away. It ends where
// the instance is unknown.
func (b *beater) run(nc *nats.Conn, payload []byte, every time.Duration) {
	defer close(b.done)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-b.stop:
			return
		}
		m, err := nc.Request("svc.heartbeat", payload, time.Second)
		switch {
		case err != nil:
			b.missed++
		case m.Header.Get("Nats-Service-Error-Code") == "503":
			b.missed++
		case len(m.Header) > 0:
			b.err = fmt.Errorf("after %d heartbeats: %s", b.beats, m.Data)
			return
		default:
			b.beats++
		}
	}
}

// end stops it and reports what went wrong.
func (b *beater) end(t testing.TB) {
	t.Helper()
	close(b.stop)
	<-b.done
	if b.err != nil {
		t.Error(b.err)
	}
}

// TestHeartbeatsAcrossKills: an instance that heartbeats is never announced as
// gone, however often the store dies; one that does not is, once, after it had
// its whole TTL.
func TestHeartbeatsAcrossKills(t *testing.T) {
	const ttl = 5 * time.Second // on a busy machine, heartbeats may come late
	total, every := forShort(4*time.Second, 10*time.Minute), forShort(2*time.Second, 20*time.Second)
	b := startBroker(t)
	p := join(t, b)
	nc := connect(t, b.url)
	ended := endings(t, connect(t, b.url))
	var revisions []any
	for _, id := range []string{"beats", "silent"} {
		revisions = append(revisions, must(t, nc, "svc.register", obj{"name": "web", "id": id, "ttl_ms": ttl.Milliseconds(), "note": "last"})["revision"])
	}
	beats := beat(connect(t, b.url), "beats", 100*time.Millisecond)
	var started []int64 // in Unix milliseconds, of each store
	begin := time.Now()
	for time.Since(begin) < total {
		pause(t, every)
		p.kill()
		started = append(started, time.Now().UnixMilli())
		p = launch(t, p.args...).mustBeReady()
	}
	e := within(t, patience, "end of the silent one", ended)
	if e.ID != "silent" || e.PreviousRevision != revisions[1] || e.instance["note"] != "last" {
		t.Errorf("the end is %s", e.raw)
	}
	for _, at := range started {
		if had := e.TimeMs - at; had > 0 && had < ttl.Milliseconds() {
			t.Errorf("it ended %d ms after a start", had)
		}
	}
	beats.end(t)
	in := must(t, nc, "svc.get", `{"name":"web"}`)["instances"].(list)
	if len(in) != 1 || in[0].(obj)["id"] != "beats" || in[0].(obj)["revision"] != revisions[0] {
		t.Errorf("left are %v", in)
	}
	select {
	case e := <-ended:
		t.Errorf("one end more: %s", e.raw)
	default:
	}
	t.Logf("%d heartbeats, %d not answered, over %d kills", beats.beats, beats.missed, len(started))
}
