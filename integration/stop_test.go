package integration

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestStopUnderLoad: SIGTERM while 64 clients write. What reached the store is
// answered, every acknowledged write is there after the restart, and nothing
// else but what nobody was told anything about.
func TestStopUnderLoad(t *testing.T) {
	p := serve(t)
	l := newLoad(t)
	for range 3 {
		l.start(p.url, true)
		pause(t, forShort(300*time.Millisecond, 3*time.Second))
		p.stop()
		if acked := l.end(); acked == 0 {
			t.Error("nothing was acknowledged")
		}
		p = p.again()
		l.mustBeAnswered(p.connect())
		l.verify(p.connect())
	}
}

// mustBeAnswered fails where a write was applied that its client was not told
// of although the store had all the time to say so.
func (l *load) mustBeAnswered(nc *nats.Conn) {
	l.t.Helper()
	found := contents(l.t, nc, "load/")
	silent := 0
	for _, c := range l.clients {
		for key, e := range c.known {
			for _, w := range e.maybe {
				if have := found[key]; !w.gone && have.Value == w.value {
					silent++
				}
			}
		}
	}
	if silent > 0 {
		l.t.Errorf("%d writes were applied and never answered", silent)
	}
}

// TestStopOnForeignBroker: there every request gets an answer or no
// responders, since the broker stays.
func TestStopOnForeignBroker(t *testing.T) {
	b := startBroker(t)
	p := join(t, b)
	nc := p.connect()
	w := watch(t, nc)
	l := newLoad(t)
	for range 3 {
		l.start(b.url, false)
		pause(t, forShort(300*time.Millisecond, 3*time.Second))
		p.stop()
		if l.end() == 0 {
			t.Error("nothing was acknowledged")
		}
		if n := l.unknown(); n > 0 {
			t.Errorf("%d requests got no answer at all", n)
		}
		p = launch(t, p.args...).mustBeReady()
		l.verify(nc)
	}
	w.upTo(set(t, nc, "mark", "1"))
	events := w.checkOrder(0)
	for _, e := range events {
		if e.Op == "changed" {
			t.Errorf("a clean stop opens an epoch: %s", e.raw)
		}
	}
	sameState(t, fold(t, events), contents(t, nc, ""))
}

// unknown counts the requests whose outcome nobody was told.
func (l *load) unknown() (n int) {
	for _, c := range l.clients {
		for _, e := range c.known {
			n += len(e.maybe)
		}
	}
	return n
}

// TestBrokerKilled kills an external broker under load: the store reconnects,
// acknowledged writes are there, and the feed goes on in the same epoch.
func TestBrokerKilled(t *testing.T) {
	b := startBroker(t)
	p := join(t, b)
	l := newLoad(t)
	epoch, _ := storeEpoch(t, p.connect())
	f := follow(t, p.connect())
	for range 3 {
		l.start(b.url, false)
		pause(t, forShort(300*time.Millisecond, 3*time.Second))
		b.kill()
		l.interrupt()
		b.start()
		nc := p.connect()
		eventually(t, patience, func() error {
			_, err := nc.Request("store.status", nil, time.Second)
			return err
		})
		l.interrupt() // what went into the dead connection
		w := watch(t, nc)
		first := set(t, nc, "mark", "1")
		pause(t, 100*time.Millisecond)
		l.end()
		l.verify(nc)
		w.upTo(set(t, nc, "mark", "2"))
		events := w.checkOrder(1)
		if events[0].Revision > first {
			t.Errorf("the feed goes on at revision %d, not %d", events[0].Revision, first)
		}
		for _, e := range events {
			if e.Epoch != epoch {
				t.Fatalf("the broker's end has opened an epoch: %s", e.raw)
			}
		}
	}
	f.mustHold(p.connect())
	p.stop()
}
