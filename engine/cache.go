package engine

import (
	"sync"
	"sync/atomic"
)

// cachedValue is a value that is held in memory beside its record.
type cachedValue struct {
	bytes []byte
	used  atomic.Bool // since the hand last came by
}

// cacheOverhead is about what a cached value costs beyond its bytes.
const cacheOverhead = 64

// gone is the slot of a record that left the index: it is not cached again.
const gone = -1

// cache bounds the memory of the values that records hold: a clock whose hand
// drops what was not used since it last came by. Values that are not in the
// cache are read from the backend.
type cache struct {
	mu   sync.Mutex
	max  int64
	size int64
	ring []*record
	hand int
}

// add takes a record into the bound. Its value must be set already.
func (c *cache) add(r *record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.slot == gone {
		r.cached.Store(nil)
		return
	}
	r.slot = int32(len(c.ring))
	c.ring = append(c.ring, r)
	c.size += int64(r.size) + cacheOverhead
	for c.size > c.max && len(c.ring) > 0 {
		c.evictOne()
	}
}

// fill caches a value that a reader fetched, unless another reader has.
func (c *cache) fill(r *record, value []byte) {
	if int64(len(value)) > c.max/64 {
		return // one large value is not worth many small ones
	}
	if r.cached.CompareAndSwap(nil, &cachedValue{bytes: value}) {
		c.add(r)
	}
}

// drop takes out the record of a key that was overwritten or deleted.
func (c *cache) drop(r *record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.slot != gone && int(r.slot) < len(c.ring) && c.ring[r.slot] == r {
		c.remove(int(r.slot))
	}
	r.slot = gone
}

// clear drops everything: the records themselves were replaced.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.ring {
		r.slot = gone
		r.cached.Store(nil)
	}
	c.ring, c.size, c.hand = nil, 0, 0
}

// evictOne moves the hand on until it has dropped a value.
func (c *cache) evictOne() {
	for {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		v := c.ring[c.hand].cached.Load()
		if v == nil || !v.used.Swap(false) {
			c.remove(c.hand)
			return
		}
		c.hand++
	}
}

func (c *cache) remove(slot int) {
	r, last := c.ring[slot], len(c.ring)-1
	c.ring[slot] = c.ring[last]
	c.ring[slot].slot = int32(slot)
	c.ring[last] = nil
	c.ring = c.ring[:last]
	c.size -= int64(r.size) + cacheOverhead
	r.cached.Store(nil)
}

// value returns a record's value from memory.
func (r *record) value() ([]byte, bool) {
	v := r.cached.Load()
	if v == nil {
		return nil, false
	}
	if !v.used.Load() {
		v.used.Store(true)
	}
	return v.bytes, true
}
