package engine

import (
	"sync"
	"sync/atomic"
)

// cachedValue is a value that is held in memory, and the record that it is of.
type cachedValue struct {
	rec   *record
	bytes []byte
	used  atomic.Bool // since the hand last came by
}

// cacheOverhead is about what a cached value costs beyond its bytes.
const cacheOverhead = 80

// What a record's cached says: the place in the ring plus one, or
const (
	notCached = 0
	gone      = -1 // the record left the index: it is not cached again
)

// cache bounds the values that are held in memory: a clock whose hand drops what
// was not used since it last came by. Values that are not in it are read from
// the backend. Readers look at the ring without a lock: a value that has just
// moved is one that they do not find.
type cache struct {
	max  int64
	ring atomic.Pointer[ring]

	mu    sync.Mutex
	size  int64
	n     int     // places in use at the front of the ring, and
	holes []int32 // those of them that are free
	hand  int
}

type ring []atomic.Pointer[cachedValue]

// get returns a record's value, if it is in memory.
func (c *cache) get(r *record) ([]byte, bool) {
	at, ring := int(r.cached.Load())-1, c.ring.Load()
	if at < 0 || ring == nil || at >= len(*ring) {
		return nil, false
	}
	v := (*ring)[at].Load()
	if v == nil || v.rec != r {
		return nil, false
	}
	if !v.used.Load() {
		v.used.Store(true)
	}
	return v.bytes, true
}

// add takes in a value, unless it is there already.
func (c *cache) add(v *cachedValue) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.rec.cached.Load() != notCached {
		return
	}
	at := c.n
	if last := len(c.holes) - 1; last >= 0 {
		at, c.holes = int(c.holes[last]), c.holes[:last]
	} else {
		c.n++
	}
	c.put(at, v)
	c.size += int64(len(v.bytes)) + cacheOverhead
	for c.size > max(c.max, 0) {
		c.evictOne()
	}
}

// put sets a place of the ring, which grows as it must.
func (c *cache) put(at int, v *cachedValue) {
	all := c.ring.Load()
	if all == nil || at >= len(*all) {
		larger := make(ring, max(1024, 2*at))
		for i := range at {
			larger[i].Store((*all)[i].Load())
		}
		all = &larger
		c.ring.Store(all)
	}
	(*all)[at].Store(v)
	v.rec.cached.Store(int32(at + 1))
}

// fill caches a value that a reader fetched.
func (c *cache) fill(r *record, value []byte) {
	if int64(len(value)) > c.max/64 {
		return // one large value is not worth many small ones
	}
	c.add(&cachedValue{rec: r, bytes: value})
}

// drop takes out the record of a key that was overwritten or deleted.
func (c *cache) drop(r *record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := int(r.cached.Load()) - 1; at >= 0 {
		c.remove(at)
	}
	r.cached.Store(gone)
}

// clear drops everything: the records themselves were replaced.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.n {
		if v := c.at(i); v != nil {
			v.rec.cached.Store(gone)
		}
	}
	c.ring.Store(nil)
	c.size, c.n, c.holes, c.hand = 0, 0, nil, 0
}

func (c *cache) at(i int) *cachedValue { return (*c.ring.Load())[i].Load() }

// evictOne moves the hand on until it has dropped a value, of which there is one.
func (c *cache) evictOne() {
	for {
		if c.hand >= c.n {
			c.hand = 0
		}
		if v := c.at(c.hand); v != nil && !v.used.Swap(false) {
			c.remove(c.hand)
			return
		}
		c.hand++
	}
}

// remove takes a value out. The next one gets its place.
func (c *cache) remove(at int) {
	v := c.at(at)
	c.size -= int64(len(v.bytes)) + cacheOverhead
	(*c.ring.Load())[at].Store(nil)
	c.holes = append(c.holes, int32(at))
	v.rec.cached.Store(notCached)
}
