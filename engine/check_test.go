package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/settkv/sett/codec"
)

// check proves, in the writer's turn, what must hold between any two groups:
// the index says what the backend holds, counters count, revisions and the
// outbox have no hole, message ids are where they are said to be, and the cache
// keeps its books.
func (h *harness) check() {
	h.t.Helper()
	if h.closed || h.Err() != nil {
		return
	}
	var problems []string
	err := h.inTurn(func() {
		c := checker{s: h.store, st: h.state.Load()}
		c.run()
		problems = c.problems
	})
	if err != nil {
		h.t.Errorf("check: %v", err)
	}
	for _, p := range problems {
		h.t.Errorf("check: %s", p)
	}
}

// inTurn runs a function while no group is under way.
func (h *harness) inTurn(run func()) error {
	done := make(chan error, 1)
	r := &Request{Command: &exclusive{run: func() error { run(); return nil }}}
	r.Done = func(_ codec.Reply, err error) { done <- err }
	if err := h.Submit(r); err != nil {
		return err
	}
	return <-done
}

type checker struct {
	s        *store
	st       *state
	view     view
	report   CheckReport // of what is stored
	problems []string
}

func (c *checker) fail(format string, args ...any) {
	if len(c.problems) < 10 {
		c.problems = append(c.problems, fmt.Sprintf(format, args...))
	}
}

func (c *checker) run() {
	c.view = c.st.backend.View(c.st.commit)
	defer c.view.Close()
	if c.st.commit != c.st.backend.Last() {
		c.fail("readers see commit %d, the backend has %d", c.st.commit, c.st.backend.Last())
	}
	c.meta()
	c.stored()
	c.records()
	c.outbox()
	c.ids()
	c.cache()
}

// stored proves what CheckDir does.
func (c *checker) stored() {
	id := c.s.identity.get()
	stored := storedCheck{dir: c.s.identity.dir, id: &id, backend: c.st.backend, report: &c.report}
	stored.run()
	for _, problem := range c.report.Problems {
		c.fail("stored: %s", problem)
	}
}

func (c *checker) meta() {
	m, _, err := readMeta(c.st.backend)
	if err != nil {
		c.fail("%v", err)
	}
	n := &c.st.counters
	if m.revision != n.revision || m.epoch != n.epoch || m.clean != 0 {
		c.fail("stored counters are %+v, readers see %+v", m, *n)
	}
	w := c.s.machine.counters
	if w.revision != n.revision || w.epoch != n.epoch || w.keys != n.keys || w.inst != n.inst {
		c.fail("the writer counts %+v, readers see %+v", w, *n)
	}
}

// records compares the index of readers and of the writer with the backend.
func (c *checker) records() {
	var keys, inst int64
	c.st.index.Scan(func(i item) bool {
		if isKey(i.path) {
			keys++
		} else {
			inst++
		}
		if own, ok := c.s.machine.index.Get(i.path); !ok || own.rec != i.rec {
			c.fail("%q: the writer has another record than readers", i.path)
		}
		c.record(i)
		return true
	})
	if n := &c.st.counters; keys != n.keys || inst != n.inst {
		c.fail("the index has %d keys and %d instances, counted are %d and %d", keys, inst, n.keys, n.inst)
	}
	if n := c.s.machine.index.Len(); n != c.st.index.Len() {
		c.fail("the writer has %d records, readers %d", n, c.st.index.Len())
	}
	stored := int(c.report.Keys + c.report.Instances)
	if stored != c.st.index.Len() {
		c.fail("the backend has %d records, the index %d", stored, c.st.index.Len())
	}
}

func (c *checker) record(i item) {
	stored, ok, err := c.view.Get([]byte(i.path), nil)
	if err != nil || !ok {
		c.fail("%q is not in the backend: %v", i.path, err)
		return
	}
	r, err := codec.ParseRecord([]byte(i.path), stored)
	if err != nil {
		c.fail("%v", err)
		return
	}
	if r.Revision != i.rec.revision || r.Created != i.rec.created || r.TTLMs != i.rec.ttl() || len(r.Value) != int(i.rec.size) {
		c.fail("%q: stored %+v, the index has %+v", i.path, r, i.rec)
	}
	if isKey(i.path) {
		if r.ExpiresAtMs != i.rec.expires() {
			c.fail("%q: stored deadline %d, the index has %d", i.path, r.ExpiresAtMs, i.rec.expires())
		}
		if v, ok := c.s.cache.get(i.rec); ok && !bytes.Equal(v, r.Value) {
			c.fail("%q: cached %q, stored %q", i.path, v, r.Value)
		}
		return
	}
	if r.ExpiresAtMs > i.rec.expires() {
		c.fail("%q: stored deadline %d, the index has %d", i.path, r.ExpiresAtMs, i.rec.expires())
	}
	if in := i.rec.life.instance; !bytes.Equal(codec.Append(nil, codec.Msgpack, in), r.Value) {
		c.fail("%q: the index has %+v, stored is %q", i.path, in, r.Value)
	}
}

// outbox proves that the parts follow each other up to the last revision, and
// that each is stored as it is said to be.
func (c *checker) outbox() {
	o := c.s.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	var size int64
	resident := 0
	next := uint64(0)
	announced, synced := stretch{revision: o.announced.revision}, stretch{revision: o.synced.revision}
	for i := range o.parts {
		p := &o.parts[i]
		begins := c.part(p)
		if next != 0 && p.first != next && (p.first < next || !begins) {
			c.fail("outbox part %d follows a part that ends at %d", p.first, next-1)
		}
		next = p.last + 1
		for _, s := range []*stretch{&announced, &synced} {
			if p.last <= s.revision {
				s.parts, s.bytes = s.parts+1, s.bytes+int64(p.size)
			}
		}
		size += int64(p.size)
		if p.events != nil {
			resident += p.size
		}
	}
	if announced != o.announced || synced != o.synced || synced.parts > announced.parts {
		c.fail("counted are %+v announced and %+v synced, noted %+v and %+v", announced, synced, o.announced, o.synced)
	}
	if len(o.parts) > 0 && next != c.st.counters.revision+1 {
		c.fail("the outbox spans %d-%d, the store is at %d", o.parts[0].first, next-1, c.st.counters.revision)
	}
	if len(o.parts) == 0 && o.announced.revision < c.st.counters.revision {
		c.fail("the outbox is empty, announced is %d, the store is at %d", o.announced.revision, c.st.counters.revision)
	}
	if size != o.bytes || resident != o.resident || resident > outboxInMemory {
		c.fail("the outbox has %d bytes, %d in memory; counted are %d and %d", size, resident, o.bytes, o.resident)
	}
	stored := 0
	_ = c.view.Scan([]byte(outboxPrefix), func([]byte, []byte) error { stored++; return nil })
	if stored != len(o.parts) {
		c.fail("the backend has %d parts, the outbox %d", stored, len(o.parts))
	}
}

// part checks one entry, and tells whether it begins an epoch.
func (c *checker) part(p *part) (begins bool) {
	data, ok, err := c.view.Get(outboxKey(p.first), nil)
	if err != nil || !ok {
		c.fail("outbox part %d is not stored as it should: %v", p.first, err)
		return false
	}
	if stored, err := codec.ParsePart(p.key(), data); err != nil || stored.Commit != p.commit || stored.Size != p.size || stored.Last != p.last {
		c.fail("outbox part %d is stored as %+v: %v", p.first, stored, err)
	}
	loaded := part{first: p.first}
	if err := c.s.loadEvents(&loaded); err != nil {
		c.fail("%v", err)
		return false
	}
	events := loaded.events
	revision, size := p.first, 0
	for i, e := range events {
		size += eventSize(&e)
		if p.events != nil && (e.Name != p.events[i].Name || !bytes.Equal(e.Payload, p.events[i].Payload)) {
			c.fail("event %d is in memory as %q, stored as %q", revision, p.events[i].Payload, e.Payload)
		}
		revision++
	}
	if revision != p.last+1 || size != p.size {
		c.fail("outbox part %d-%d has %d events of %d bytes, not %d", p.first, p.last, len(events), size, p.size)
	}
	return events[0].Kind == codec.StoreEvent
}

// ids proves that every remembered id is stored in the entry of its commit.
func (c *checker) ids() {
	d := c.s.machine.dedup
	if len(d.known) != len(d.queue) || len(d.fresh) != 0 {
		c.fail("%d ids are known, %d in line, %d not stored", len(d.known), len(d.queue), len(d.fresh))
	}
	want := map[uint64]bool{}
	for _, commit := range d.gone {
		want[commit] = true
	}
	for i, e := range d.queue {
		want[e.commit] = true
		if d.known[e.id] != e {
			c.fail("an id of commit %d is known as another", e.commit)
		}
		if i > 0 && (e.atMs < d.queue[i-1].atMs || e.commit < d.queue[i-1].commit) {
			c.fail("the id of commit %d is behind that of %d", e.commit, d.queue[i-1].commit)
		}
		if i > 0 && d.queue[i-1].last != (d.queue[i-1].commit != e.commit) {
			c.fail("the ids of commit %d do not end where they say", d.queue[i-1].commit)
		}
	}
	err := c.view.Scan([]byte(idsPrefix), func(key, _ []byte) error {
		commit := binary.BigEndian.Uint64(key[len(idsPrefix):])
		if !want[commit] {
			c.fail("ids of commit %d are stored, but forgotten", commit)
		}
		delete(want, commit)
		return nil
	})
	if err != nil || len(want) > 0 {
		c.fail("ids of %d commits are not stored: %v", len(want), err)
	}
}

func (c *checker) cache() {
	k := &c.s.cache
	k.mu.Lock()
	defer k.mu.Unlock()
	var (
		size   int64
		values int
		holes  = map[int]bool{}
	)
	for _, at := range k.holes {
		holes[int(at)] = true
	}
	if len(holes) != len(k.holes) {
		c.fail("the cache counts a free place twice: %v", k.holes)
	}
	for i := range k.n {
		v := k.at(i)
		if (v == nil) != holes[i] {
			c.fail("place %d of the cache: free is %v, and counted as such %v", i, v == nil, holes[i])
		}
		if v == nil {
			continue
		}
		values++
		size += int64(v.rec.size) + cacheOverhead
		if int(v.rec.cached.Load()) != i+1 || int(v.rec.size) != len(v.bytes) {
			c.fail("place %d of the cache holds %d bytes of a record of place %d and %d bytes", i, len(v.bytes), v.rec.cached.Load()-1, v.rec.size)
		}
	}
	if ring := k.ring.Load(); ring != nil {
		for i := k.n; i < len(*ring); i++ {
			if (*ring)[i].Load() != nil {
				c.fail("place %d of the cache holds a value, though only %d do", i, k.n)
			}
		}
	}
	if size != k.size || size > max(k.max, 0) {
		c.fail("the cache holds %d bytes, counts %d, may hold %d", size, k.size, k.max)
	}
	held := 0
	c.st.index.Scan(func(i item) bool {
		if isKey(i.path) && i.rec.cached.Load() > 0 {
			held++
		}
		return true
	})
	if held != values {
		c.fail("records hold %d values, the cache %d", held, values)
	}
}
