package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/settkv/sett/codec"
)

// part is one entry of the outbox: the changes of a commit, or a share of
// them. What is stored of it is a [codec.Part].
type part struct {
	first, last uint64
	commit      uint64
	size        int           // of the events
	events      []codec.Event // nil: make them of what the backend holds
}

// maxPart is what the events of a part take, unless a single one is larger: what
// is stored of them is then below the backend's limit for a value.
const maxPart = 512 << 10

func (p *part) key() []byte { return outboxKey(p.first) }

func outboxKey(first uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(outboxPrefix), first)
}

// sealParts packs the group's events, which it copies, and adds the changes to
// the writes. With a backend that keeps versions a value that stands in its
// key's record is not stored again: it is there as of this commit.
func (w *work) sealParts(enc codec.Encoding, versions bool) {
	passing := w.passing()
	inRecord := func(c *codec.Change) bool {
		_, passed := passing[c.Revision]
		return versions && !passed
	}
	for first := 0; first < len(w.events); {
		size, end := 0, first
		for end < len(w.events) && (end == first || size+eventSize(&w.events[end]) <= maxPart) {
			size += eventSize(&w.events[end])
			end++
		}
		p := newPart(w.commit, w.events[first:end], size)
		key := p.key()
		stored := codec.Part{Commit: p.commit, Encoding: enc, Last: p.last, Size: p.size}
		w.parts = append(w.parts, p)
		w.writes = append(w.writes, write{key: key, value: w.arena.part(key, &stored, w.changes[first:end], inRecord)})
		first = end
	}
}

// passing are the revisions that the group itself overwrote or removed again,
// so that nobody can find their values.
func (w *work) passing() map[uint64]struct{} {
	var passing map[uint64]struct{}
	for _, rec := range w.stale {
		if len(w.changes) > 0 && rec.revision >= w.changes[0].Revision {
			if passing == nil {
				passing = map[uint64]struct{}{}
			}
			passing[rec.revision] = struct{}{}
		}
	}
	return passing
}

func eventSize(e *codec.Event) int { return len(e.Name) + len(e.ID) + len(e.Payload) + 24 }

// newPart makes a part of events, which it copies.
func newPart(commit uint64, events []codec.Event, size int) part {
	p := part{
		first: events[0].Revision, last: events[len(events)-1].Revision, commit: commit, size: size,
		events: slices.Clone(events),
	}
	payloads := make([]byte, 0, size)
	for i := range p.events {
		e := &p.events[i]
		payloads = append(payloads, e.Payload...)
		e.Payload = payloads[len(payloads)-len(e.Payload) : len(payloads) : len(payloads)]
	}
	return p
}

// loadEvents makes the events of a part that memory no longer holds.
func (s *store) loadEvents(p *part) error {
	if p.events != nil {
		return nil
	}
	events, err := storedEvents(s.state.Load().backend, p.key())
	if err != nil {
		return fmt.Errorf("engine: outbox entry of revision %d: %w", p.first, err)
	}
	p.events = events
	return nil
}

// storedEvents makes the events of the part that is stored under key: byte for
// byte those that were made when it was committed.
func storedEvents(b backend, key []byte) ([]codec.Event, error) {
	v := b.View(b.Last())
	defer v.Close()
	data, ok, err := v.Get(key, nil)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errors.New("it is missing")
	}
	p, err := codec.ParsePart(key, data)
	if err != nil {
		return nil, err
	}
	changes, err := storedChanges(b, &p)
	if err != nil {
		return nil, err
	}
	events := make([]codec.Event, len(changes))
	for i := range changes {
		events[i] = event(&changes[i], codec.Append(nil, p.Encoding, &changes[i]))
	}
	return events, nil
}

// storedChanges gives the changes of a part, with the values that their commit
// left in records.
func storedChanges(b backend, p *codec.Part) ([]codec.Change, error) {
	changes, err := p.Changes()
	if err != nil {
		return nil, err
	}
	v := b.View(p.Commit)
	defer v.Close()
	for i := range changes {
		c := &changes[i]
		if c.Op != codec.OpSet || c.Value != nil {
			continue
		}
		if c.Value, err = valueAt(v, c); err != nil {
			return nil, fmt.Errorf("the value of revision %d: %w", c.Revision, err)
		}
	}
	return changes, nil
}

// valueAt reads the value that a change gave its key, as of the change's commit.
func valueAt(v view, c *codec.Change) ([]byte, error) {
	key := []byte(keyPath(c.Key))
	data, ok, err := v.Get(key, nil)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("there is no record %.100q", key)
	}
	r, err := codec.ParseRecord(key, data)
	if err == nil && r.Revision != c.Revision {
		err = fmt.Errorf("the record %.100q is of revision %d", key, r.Revision)
	}
	return r.Value, err
}
