package engine

import "github.com/settkv/sett/codec"

// work is what a group leaves to be committed and then shown. The machine fills
// one while another is being committed.
type work struct {
	arena   arena
	writes  []write
	changes []codec.Change
	events  []codec.Event // the same, encoded
	stale   []*record     // overwritten or gone
	lives   []*record     // with a deadline, to be scheduled once they are visible

	// Since it was sealed:
	commit uint64 // its number; 0: there is nothing to commit
	parts  []part // of the outbox
	after  counters
	keys   *snapshot
	shown  map[*slot]item // what becomes visible
}

func (w *work) reset() {
	w.arena.reset()
	clear(w.changes) // which hold values
	*w = work{
		arena: w.arena, writes: w.writes[:0], changes: w.changes[:0], events: w.events[:0], stale: w.stale[:0], lives: w.lives[:0],
	}
}

// arena holds the bytes of a group's writes, so that a group makes few
// allocations. What it returned stays valid until reset, also when it grows.
type arena struct{ buf []byte }

func (a *arena) reset() { a.buf = a.buf[:0] }

func (a *arena) add(s string) []byte {
	start := len(a.buf)
	a.buf = append(a.buf, s...)
	return a.since(start)
}

func (a *arena) record(key []byte, r *codec.Record) []byte {
	start := len(a.buf)
	a.buf = codec.AppendRecord(a.buf, key, r)
	return a.since(start)
}

func (a *arena) event(enc codec.Encoding, c *codec.Change) []byte {
	start := len(a.buf)
	a.buf = codec.Append(a.buf, enc, c)
	return a.since(start)
}

// part writes changes; those that inRecord tells of stand in records.
func (a *arena) part(key []byte, p *codec.Part, changes []codec.Change, inRecord func(*codec.Change) bool) []byte {
	start := len(a.buf)
	a.buf = codec.AppendPart(a.buf, p)
	for i := range changes {
		a.buf = codec.AppendChange(a.buf, &changes[i], inRecord(&changes[i]))
	}
	a.buf = codec.SealPart(a.buf, start, key)
	return a.since(start)
}

func (a *arena) since(start int) []byte { return a.buf[start:len(a.buf):len(a.buf)] }
