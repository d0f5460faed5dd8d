package integration

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestServesAlone: of two stores on the same subjects the younger leaves, with
// an error that names both.
func TestServesAlone(t *testing.T) {
	b := startBroker(t)
	first := join(t, b)
	nc := first.connect()
	id := must(t, nc, "store.status", "")["store_id"].(string)
	other := serve(t) // a store that exists already, so that its id is known
	otherID := must(t, other.connect(), "store.status", "")["store_id"].(string)
	other.stop()
	second := launch(t, append(other.args, "--listen", "", "--nats-url", b.url)...)
	if log := second.mustFail(); !strings.Contains(log, id) || !strings.Contains(log, otherID) {
		t.Errorf("the error does not name %s and %s: %s", id, otherID, log)
	}
	set(t, nc, "a", "1")
	launch(t, append(other.args, "--listen", "", "--nats-url", b.url, "--subject-prefix", "two")...).mustBeReady()
}

// TestTwoAtOnce: whoever starts at the same moment, one stays.
func TestTwoAtOnce(t *testing.T) {
	b := startBroker(t)
	start := func() *process { return launch(t, "--data-dir", t.TempDir(), "--nats-url", b.url) }
	one, two := start(), start()
	select {
	case <-one.exited:
		one, two = two, one
	case <-two.exited:
	case <-time.After(patience):
		t.Fatal("both serve")
	}
	two.mustFail()
	nc := connect(t, b.url)
	eventually(t, patience, func() error {
		_, err := nc.Request("store.status", nil, time.Second)
		return err
	})
	select {
	case <-one.exited:
		t.Errorf("the other one has left too: %s", one.logged())
	default:
	}
}

// TestCapturedSubjects: a stream that takes in commands would answer them.
func TestCapturedSubjects(t *testing.T) {
	b := startBroker(t)
	js, err := connect(t, b.url).JetStream()
	if err != nil {
		t.Fatal(err)
	}
	flags := []string{"--data-dir", t.TempDir(), "--nats-url", b.url}
	for _, subject := range []string{"kv.set", "kv.>", "svc.*", "kv.get.config.>"} {
		if _, err := js.AddStream(&nats.StreamConfig{Name: "MINE", Subjects: []string{subject}}); err != nil {
			t.Fatal(err)
		}
		if log := launch(t, flags...).mustFail(); !strings.Contains(log, "MINE") {
			t.Errorf("a stream on %s: the error does not name it: %s", subject, log)
		}
		if err := js.DeleteStream("MINE"); err != nil {
			t.Fatal(err)
		}
	}
	// One on the events answers nobody, but is no way to get all of them.
	if _, err := js.AddStream(&nats.StreamConfig{Name: "FEED", Subjects: []string{"kv.changed.>"}}); err != nil {
		t.Fatal(err)
	}
	p := launch(t, flags...).mustBeReady()
	if _, err := js.AddStream(&nats.StreamConfig{Name: "LATER", Subjects: []string{"batch.apply.>"}}); err != nil {
		t.Fatal(err)
	}
	if log := p.mustFail(); !strings.Contains(log, "LATER") || strings.Count(log, "stream=FEED")+strings.Count(log, `"stream":"FEED"`) != 1 {
		t.Errorf("a stream that came later: %s", log)
	}
}

// TestPortTaken says how to join the NATS server that has the port, and does
// not take another program for one.
func TestPortTaken(t *testing.T) {
	b := startBroker(t)
	p := launch(t, "--listen", b.setup.Address, "--data-dir", t.TempDir())
	if log := p.mustFail(); !strings.Contains(log, "sett serve --nats-url nats://"+b.setup.Address) {
		t.Errorf("the error does not say how to join: %s", log)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p = launch(t, "--listen", l.Addr().String(), "--data-dir", t.TempDir())
	if log := p.mustFail(); !strings.Contains(log, l.Addr().String()) || strings.Contains(log, "--nats-url") {
		t.Errorf("the error is %s", log)
	}
}
