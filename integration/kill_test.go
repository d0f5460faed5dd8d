package integration

import (
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// storeEpoch is the epoch that the store is in, and its revision.
func storeEpoch(t testing.TB, nc *nats.Conn) (epoch, revision int64) {
	t.Helper()
	status := must(t, nc, "store.status", "")
	return status["epoch"].(int64), status["store_revision"].(int64)
}

// killTime is how long the load of a round goes on: not the same in each.
func killTime(round int) time.Duration {
	base := forShort(250*time.Millisecond, time.Second)
	return base + base*time.Duration(round%5)/4
}

// killRounds is how often each variant of the two tests kills: twenty times
// together.
func killRounds() int {
	if long {
		return 20
	}
	return 5
}

// feedModes are both feeds: durable knows after a kill what it has announced,
// live does not, and begins a new epoch.
var feedModes = []string{"durable", "live"}

// TestKillUnderLoad ends the store with kill -9 while 64 clients write, and
// its own broker with it. Every acknowledged write is there afterwards, nothing
// is applied by half, and with a live feed the epoch says that there may be a
// gap.
func TestKillUnderLoad(t *testing.T) {
	for _, mode := range feedModes {
		t.Run(mode, func(t *testing.T) { killUnderLoad(t, mode) })
	}
}

func killUnderLoad(t *testing.T, mode string) {
	p := serve(t, "--feed", mode)
	l := newLoad(t)
	var epoch, revision int64
	total := 0
	for round := range killRounds() {
		nc := p.connect(nats.NoReconnect())
		before, now := epoch, revision
		epoch, revision = storeEpoch(t, nc)
		if opened := epoch > before; epoch < before || revision < now || opened != (mode == "live" || round == 0) {
			t.Fatalf("round %d: epoch %d revision %d after epoch %d revision %d", round, epoch, revision, before, now)
		}
		l.verify(nc)
		w := watch(t, nc)
		l.start(p.url, true)
		pause(t, killTime(round))
		_, revision = storeEpoch(t, nc)
		p.kill()
		acked := l.end()
		total += acked
		if w.drain(); acked == 0 || len(w.events) == 0 {
			t.Fatalf("round %d: %d writes were acknowledged and %d events seen", round, acked, len(w.events))
		}
		w.checkOrder(0)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
		p = p.again()
	}
	nc := p.connect()
	l.verify(nc)
	if mode == "durable" {
		wholeStream(t, nc)
	}
	t.Logf("%d acknowledged writes in %d rounds", total, killRounds())
	p.stop()
}

// TestKillOnForeignBroker is the same on a broker that stays: so one plain
// subscriber sees the feed of all rounds, and one program follows with the Go
// client. A live feed is dense over every kill, with repeats and new epochs; a
// durable one has neither, and its stream is dense.
func TestKillOnForeignBroker(t *testing.T) {
	for _, mode := range feedModes {
		t.Run(mode, func(t *testing.T) { killOnForeignBroker(t, mode) })
	}
}

func killOnForeignBroker(t *testing.T, mode string) {
	b := startBroker(t)
	p := join(t, b, "--feed", mode)
	nc := p.connect()
	w := watch(t, nc)
	f := follow(t, p.connect())
	l := newLoad(t)
	for round := range killRounds() {
		l.start(b.url, false)
		pause(t, killTime(round))
		p.kill()
		l.interrupt()
		p = launch(t, p.args...).mustBeReady()
		l.interrupt() // what the broker sent to the dead one
		set(t, nc, "mark", "1")
		l.end()
		l.verify(nc)
		w.drain()
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	w.upTo(set(t, nc, "mark", "2"))
	var events []event
	if mode == "durable" {
		w.checkOnce()
		events = wholeStream(t, nc)
		wantEpochs(t, events)
	} else {
		events = w.checkOrder(killRounds())
		wantEpochs(t, events, slices.Repeat([]string{"gap"}, killRounds())...)
	}
	if events[0].Revision != 1 {
		t.Errorf("the feed begins with revision %d", events[0].Revision)
	}
	sameState(t, fold(t, events), contents(t, nc, ""))
	f.mustHold(nc)
}

// checkOnce checks that nothing comes twice or out of order. What a process had
// in hand when it was killed may be missing.
func (w *watcher) checkOnce() {
	w.t.Helper()
	for i := 1; i < len(w.events); i++ {
		if before, e := w.events[i-1], w.events[i]; e.Revision <= before.Revision || e.Epoch != before.Epoch {
			w.t.Errorf("%s follows %s", e.raw, before.raw)
		}
	}
}
