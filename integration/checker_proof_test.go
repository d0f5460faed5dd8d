package integration

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"testing"
)

// proof compares what writers and readers have seen with the events of the
// stream, of which revision N is at N-1.
type proof struct {
	t      testing.TB
	events []event
	fates  map[fate]int
	traced int // values of unknown orders that the feed has
	wrong  []error
}

func newProof(t testing.TB, events []event) *proof {
	t.Helper()
	if len(events) == 0 || events[0].Revision != 1 || events[len(events)-1].Revision != int64(len(events)) {
		t.Fatalf("%d events are not those from revision 1 on", len(events))
	}
	return &proof{t: t, events: events, fates: make(map[fate]int)}
}

func (p *proof) fail(format string, args ...any) {
	p.wrong = append(p.wrong, fmt.Errorf(format, args...))
}

// report fails the test if anything was wrong.
func (p *proof) report() {
	p.t.Helper()
	if len(p.wrong) > 0 {
		p.t.Errorf("%d mistakes: %v", len(p.wrong), joined(p.wrong))
	}
}

// String sums it up.
func (p *proof) String() string {
	return fmt.Sprintf("%d events; %d commands acknowledged, %d refused, %d of unknown outcome, which left %d values in the feed",
		len(p.events), p.fates[acknowledged], p.fates[refusedOrder], p.fates[unknown], p.traced)
}

// orders checks every order against the feed, and that the feed has nothing
// that nobody ordered.
func (p *proof) orders(all []*order) {
	by := make(map[string]*order) // by value
	counted := [2]int{}           // increments: of the feed, and ordered for sure
	for _, o := range all {
		p.fates[o.fate]++
		for _, value := range o.sets() {
			by[value] = o
		}
		if o.fate == acknowledged {
			counted[1] += p.acknowledged(o)
		}
	}
	seen := make(map[string]int64)
	for _, e := range p.events {
		switch {
		case strings.HasPrefix(e.Key, "counter/"):
			counted[0]++
		case e.Op == "set" && !strings.HasPrefix(e.Key, "end/"):
			p.ordered(e, by[e.Value], seen)
		}
	}
	if counted[0] < counted[1] {
		p.fail("the feed has %d increments, and %d were acknowledged", counted[0], counted[1])
	}
}

// ordered checks that a value in the feed was ordered, and comes once.
func (p *proof) ordered(e event, o *order, seen map[string]int64) {
	switch before, again := seen[e.Value]; {
	case o == nil:
		p.fail("nobody ordered revision %d: %s", e.Revision, e.raw)
	case o.fate == refusedOrder:
		p.fail("revision %d was refused: %s", e.Revision, e.raw)
	case again:
		p.fail("revision %d does again what revision %d did: %s", e.Revision, before, e.raw)
	case o.fate == unknown:
		p.traced++
	}
	seen[e.Value] = e.Revision
}

// acknowledged checks that an order was done as its reply says, and returns how
// many increments it has.
func (p *proof) acknowledged(o *order) (increments int) {
	outcomes := o.outcomes()
	if len(outcomes) != len(o.ops) || o.reply.StoreRevision < o.reply.Revision {
		p.fail("%s %s was answered %+v", o.subject, o.payload(), o.reply)
		return 0
	}
	last := int64(0) // the revision of the last change
	for i, w := range o.ops {
		if w.op == "kv.increment" {
			increments++
		}
		done := outcomes[i]
		if w.op == "kv.delete" && done.Deleted != nil && !*done.Deleted {
			continue
		}
		if done.Revision < 1 || done.Revision > int64(len(p.events)) {
			p.fail("%s %s was acknowledged with revision %d, the feed ends at %d", w.op, w.key, done.Revision, len(p.events))
			continue
		}
		if done.Revision <= last {
			p.fail("%s: revision %d follows %d in one batch", o.payload(), done.Revision, last)
		}
		last = done.Revision
		p.operation(w, done, p.events[done.Revision-1])
	}
	for i, done := range outcomes {
		if e := p.at(done.Revision); last > 0 && o.ops[i].op != "kv.delete" && e.CommitRevision != last {
			p.fail("revision %d is of a commit up to %d, its order of one up to %d", e.Revision, e.CommitRevision, last)
		}
	}
	if o.reply.Epoch != p.events[0].Epoch {
		p.fail("%s %s was answered in epoch %d, not %d", o.subject, o.payload(), o.reply.Epoch, p.events[0].Epoch)
	}
	return increments
}

// at is the event of a revision, or none.
func (p *proof) at(revision int64) event {
	if revision < 1 || revision > int64(len(p.events)) {
		return event{}
	}
	return p.events[revision-1]
}

// operation checks the event of one operation that was acknowledged.
func (p *proof) operation(w want, done outcome, e event) {
	ok := e.Key == w.key
	switch w.op {
	case "kv.delete":
		ok = ok && e.Op == "delete"
	case "kv.set":
		ok = ok && e.Op == "set" && e.Value == w.value && done.Created == (e.PreviousRevision == 0)
	case "kv.increment":
		ok = ok && e.Op == "set" && e.Value == strconv.FormatInt(done.Value, 10) && done.Created == (e.PreviousRevision == 0)
	}
	if !ok {
		p.fail("%s %s=%s was acknowledged as %+v, and the feed says %s", w.op, w.key, w.value, done, e.raw)
	}
}

// reader checks that a reader has seen exactly these messages.
func (p *proof) reader(r *reader) {
	p.wrong = append(p.wrong, r.wrong...)
	if len(r.seen) != len(p.events) {
		p.fail("the reader has %d revisions of %d", len(r.seen), len(p.events))
		return
	}
	for i, e := range p.events {
		if r.seen[i] != maphash.Bytes(r.seed, e.raw) {
			p.fail("the reader has another change than %s", e.raw)
		}
	}
}

// timedEntry is what the proof knows of a key while it replays.
type timedEntry struct {
	entry
	expiresMs int64
}

// replay applies the feed: every change must fit what was there before. It
// returns what is there at the end.
func (p *proof) replay() map[string]entry {
	state := make(map[string]timedEntry)
	for _, e := range p.events {
		before, was := state[e.Key]
		if before.Revision != e.PreviousRevision {
			p.fail("before revision %d of %s was revision %d: %s", e.Revision, e.Key, before.Revision, e.raw)
		}
		switch {
		case e.Op == "set":
			p.counts(e, before)
			var deadline struct {
				ExpiresAtMs int64 `json:"expires_at_ms"`
			}
			if err := json.Unmarshal(e.raw, &deadline); err != nil {
				p.fail("%v in %s", err, e.raw)
			}
			state[e.Key] = timedEntry{entry{e.Value, e.Revision}, deadline.ExpiresAtMs}
			continue
		case !was:
			p.fail("there was nothing to end: %s", e.raw)
		case e.Op == "expire" && (before.expiresMs == 0 || e.TimeMs < before.expiresMs):
			p.fail("it was to live until %d: %s", before.expiresMs, e.raw)
		case e.Op != "expire" && e.Op != "delete":
			p.fail("nobody did this: %s", e.raw)
		}
		delete(state, e.Key)
	}
	left := make(map[string]entry)
	for key, e := range state {
		left[key] = e.entry
	}
	return left
}

// counts checks that a counter goes on by one.
func (p *proof) counts(e event, before timedEntry) {
	if !strings.HasPrefix(e.Key, "counter/") {
		return
	}
	was, _ := strconv.ParseInt(before.Value, 10, 64) // 0 where there was none
	if e.Value != strconv.FormatInt(was+1, 10) {
		p.fail("the counter was at %q: %s", before.Value, e.raw)
	}
}
