package integration

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// surviveRounds is how often something is cut off.
func surviveRounds(whenLong int) int {
	if long {
		return whenLong
	}
	return 3
}

// TestSurviveKill ends the store and its broker with kill -9 while 64 clients
// write. Every acknowledged write is there afterwards, and every acknowledged
// change is in the stream, with its revision.
func TestSurviveKill(t *testing.T) {
	p := serve(t)
	l := newLoad(t)
	var told tally
	for round := range surviveRounds(100) {
		l.start(p.url, true)
		pause(t, time.Duration(100+rand.IntN(500))*time.Millisecond)
		p.kill()
		if l.end() == 0 {
			t.Fatalf("round %d: no write was acknowledged", round)
		}
		p = p.again()
		told.check(t, p, l)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	told.report(t)
	p.stop()
}

// tally compares a store with what its clients were told, round by round.
type tally struct {
	rounds, changes int
	gaps, dropped   int              // dropped: the stream has gone on beyond its limit
	revision        uint64           // up to which the stream was read
	held            map[string]entry // by applying it
}

// check looks at a store that came back.
func (c *tally) check(t testing.TB, p *process, l *load) {
	t.Helper()
	nc := p.connect(nats.NoReconnect())
	defer nc.Close()
	mustTakeWrites(t, nc)
	l.verify(nc)
	announcedAll(t, nc)
	events := readStream(t, nc, max(c.revision+1, streamState(t, nc).FirstSeq))
	wrong := checkCommits(events)
	has := make(map[int64]*event, len(events))
	for i := range events {
		has[events[i].Revision] = &events[i]
		if i > 0 {
			wrong = append(wrong, events[i].follows(events[i-1])...)
		}
		if events[i].Op == "changed" {
			c.gaps++
		}
	}
	for _, client := range l.clients {
		for _, a := range client.told {
			e := has[a.revision]
			switch {
			case len(events) > 0 && a.revision < events[0].Revision:
				c.dropped++
			case e == nil || !a.is(e):
				wrong = append(wrong, fmt.Errorf("revision %d of %s was acknowledged, the stream has %v", a.revision, a.key, e))
			}
			c.changes++
		}
		client.told = client.told[:0]
	}
	if len(wrong) > 0 {
		t.Errorf("%d mistakes in the stream: %v", len(wrong), joined(wrong))
	}
	c.rounds++
	c.apply(t, events, contents(t, nc, ""))
}

// apply applies what a round has added to the stream, which must give what the
// store has. Where the stream has dropped something, that is where it goes on.
func (c *tally) apply(t testing.TB, events []event, stored map[string]entry) {
	t.Helper()
	if len(events) > 0 {
		whole := uint64(events[0].Revision) == c.revision+1
		if c.held == nil {
			c.held = make(map[string]entry)
		}
		for _, e := range events {
			if c.revision = uint64(e.Revision); e.Op == "set" {
				c.held[e.Key] = entry{e.Value, e.Revision}
			} else {
				delete(c.held, e.Key)
			}
		}
		if !whole {
			c.held = stored
		}
	}
	sameState(t, c.held, stored)
}

// is tells whether an event is the change that was acknowledged.
func (a *acknowledgement) is(e *event) bool {
	if a.gone {
		return e.Op == "delete" && e.Key == a.key
	}
	return e.Op == "set" && e.Key == a.key && e.Value == a.value
}

func (c *tally) report(t testing.TB) {
	t.Helper()
	t.Logf("%d rounds: %d acknowledged changes of %d are there, and each is in the stream but for %d that it had dropped for its limit",
		c.rounds, c.changes, c.revision, c.dropped)
	if c.gaps > 0 {
		t.Errorf("%d new epochs began", c.gaps)
	}
}
