package engine

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/tidwall/btree"
)

// item is a stored key and its record.
type item struct {
	path string
	rec  *record
}

// place is where a stored key stands in the order of all.
type place struct {
	path string
	slot *slot
}

// slot holds a key's record as long as the key lives, so that overwriting it
// changes one pointer and not the tree.
type slot struct {
	now  atomic.Pointer[record] // what readers see
	next *record                // what the writer has put there since; nil: nothing
}

// places is an ordered tree whose copies share what is equal.
type places = btree.BTreeG[place]

// snapshot is the index as readers see it: the keys of one commit. It costs
// nothing to keep, but a record in it is the one that was committed last, so
// that reading several of one commit takes [store.look].
type snapshot struct{ tree *places }

// Get returns the record at a path.
func (s *snapshot) Get(at item) (item, bool) {
	p, ok := s.tree.Get(place{path: at.path})
	if !ok {
		return item{}, false
	}
	return p.visible(), true
}

func (p place) visible() item { return item{p.path, p.slot.now.Load()} }

// Ascend calls fn in order from a path on, until it returns false.
func (s *snapshot) Ascend(from item, fn func(item) bool) {
	s.tree.Ascend(place{path: from.path}, func(p place) bool { return fn(p.visible()) })
}

// Descend calls fn in reverse order from a path on, until it returns false.
func (s *snapshot) Descend(from item, fn func(item) bool) {
	s.tree.Descend(place{path: from.path}, func(p place) bool { return fn(p.visible()) })
}

// Scan calls fn for every record in order, until it returns false.
func (s *snapshot) Scan(fn func(item) bool) {
	s.tree.Scan(func(p place) bool { return fn(p.visible()) })
}

// Len is the number of records.
func (s *snapshot) Len() int { return s.tree.Len() }

// index is the ordered set of live records as the writer sees it: with what is
// not yet committed. Only the writer uses it.
type index struct {
	tree    *places
	changed []*slot // with a next record
	// recent remembers where keys stand, by their hash: finding a key in the
	// tree costs a dozen cache misses, and most keys are written again.
	recent []place
	seed   maphash.Seed
}

// recentPlaces is the number of places remembered, 24 bytes each.
const recentPlaces = 1 << 18

func newIndex() *index {
	// A smaller node than usual: each commit copies the nodes that it changes.
	tree := btree.NewBTreeGOptions(func(a, b place) bool { return a.path < b.path },
		btree.Options{NoLocks: true, Degree: 16})
	return &index{tree: tree, recent: make([]place, recentPlaces), seed: maphash.MakeSeed()}
}

// find returns where a key stands; its slot is nil where there is none.
func (x *index) find(path string) *place {
	p := &x.recent[maphash.String(x.seed, path)%recentPlaces]
	if p.path != path {
		*p, _ = x.tree.Get(place{path: path})
		p.path = path
	}
	return p
}

func (s *slot) latest() *record {
	if s.next != nil {
		return s.next
	}
	return s.now.Load()
}

// Get returns the record at a path.
func (x *index) Get(at item) (item, bool) {
	p := x.find(at.path)
	if p.slot == nil {
		return item{}, false
	}
	return item{p.path, p.slot.latest()}, true
}

// Set puts a record at a path and returns what it replaced.
func (x *index) Set(i item) (before item, replaced bool) {
	p := x.find(i.path)
	if replaced = p.slot != nil; replaced {
		before = item{p.path, p.slot.latest()}
	} else {
		p.slot = &slot{}
		x.tree.Set(*p)
	}
	if p.slot.next == nil {
		x.changed = append(x.changed, p.slot)
	}
	p.slot.next = i.rec
	return before, replaced
}

// Delete removes what is at a path and returns it.
func (x *index) Delete(at item) (before item, ok bool) {
	p := x.find(at.path)
	if p.slot == nil {
		return item{}, false
	}
	before = item{p.path, p.slot.latest()}
	x.tree.Delete(*p)
	p.slot = nil
	return before, true
}

// Load adds a record behind all others, visible at once: for opening a store.
func (x *index) Load(i item) {
	s := &slot{}
	s.now.Store(i.rec)
	x.tree.Load(place{i.path, s})
}

// Ascend calls fn in order from a path on, until it returns false.
func (x *index) Ascend(from item, fn func(item) bool) {
	x.tree.Ascend(place{path: from.path}, func(p place) bool { return fn(item{p.path, p.slot.latest()}) })
}

// Len is the number of records.
func (x *index) Len() int { return x.tree.Len() }

// publish makes the latest records visible and returns the keys as they are.
func (x *index) publish() *snapshot {
	for i, s := range x.changed {
		s.now.Store(s.next)
		s.next, x.changed[i] = nil, nil
	}
	x.changed = x.changed[:0]
	return &snapshot{tree: x.tree.IsoCopy()}
}
