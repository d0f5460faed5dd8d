package engine

import (
	"hash/maphash"

	"github.com/tidwall/btree"
)

// item is a stored key and its record, with the value where that is not yet
// committed.
type item struct {
	path  string
	rec   *record
	fresh *cachedValue
}

// places is an ordered tree whose copies share what is equal.
type places = btree.BTreeG[*slot]

// snapshot is the index as readers see it: the keys of one commit. It costs
// nothing to keep, but a record in it is the one that was committed last, so
// that reading several of one commit takes [store.look].
type snapshot struct{ tree *places }

// Get returns the record at a path.
func (s *snapshot) Get(path string) (item, bool) {
	found, ok := s.tree.Get(slotFor(path))
	if !ok {
		return item{}, false
	}
	return found.visible(), true
}

// Ascend calls fn in order from a path on, until it returns false.
func (s *snapshot) Ascend(from string, fn func(item) bool) {
	s.tree.Ascend(slotFor(from), func(p *slot) bool { return fn(p.visible()) })
}

// Descend calls fn in reverse order from a path on, until it returns false.
func (s *snapshot) Descend(from string, fn func(item) bool) {
	s.tree.Descend(slotFor(from), func(p *slot) bool { return fn(p.visible()) })
}

// Scan calls fn for every record in order, until it returns false.
func (s *snapshot) Scan(fn func(item) bool) {
	s.tree.Scan(func(p *slot) bool { return fn(p.visible()) })
}

// Len is the number of records.
func (s *snapshot) Len() int { return s.tree.Len() }

// index is the ordered set of live records as the writer sees it: with what is
// not yet committed. Only the writer uses it.
type index struct {
	tree    *places
	pending map[*slot]item // put there by the group in progress
	sealed  map[*slot]item // and by the one before, which may not be visible yet
	// recent remembers where keys stand, by their hash: finding a key in the
	// tree costs two dozen cache misses, and most keys are written again.
	recent [][2]place
	seed   maphash.Seed
	probe  slotApart // to search with
}

// place is a key and its slot; nil: there is none. Two of them are a cache line.
type place struct {
	path string
	slot *slot
	hash uint64 // of the path: to look at another's would be one cache miss more
}

// recentPlaces is the number of pairs of places remembered, 64 bytes each.
const recentPlaces = 1 << 17

func newIndex() *index {
	// The tree holds nothing but pointers, and each commit copies the nodes that
	// it changes: 512 bytes each.
	tree := btree.NewBTreeGOptions(func(a, b *slot) bool { return a.path() < b.path() },
		btree.Options{NoLocks: true, Degree: 32})
	x := &index{
		tree: tree, pending: make(map[*slot]item), sealed: make(map[*slot]item),
		recent: make([][2]place, recentPlaces), seed: maphash.MakeSeed(),
	}
	x.probe.size = apart
	return x
}

// find returns where a key stands.
func (x *index) find(path string) *place {
	hash := maphash.String(x.seed, path)
	pair := &x.recent[hash%recentPlaces]
	for i := range pair {
		if p := &pair[i]; p.hash == hash && p.path == path {
			return p
		}
	}
	x.probe.path = path
	found, _ := x.tree.Get(&x.probe.slot)
	if found != nil {
		path = found.path()
	}
	pair[1] = pair[0]
	pair[0] = place{path: path, slot: found, hash: hash}
	return &pair[0]
}

// latest is what the writer has put into a slot last.
func (x *index) latest(s *slot) item {
	if i, ok := x.pending[s]; ok {
		return i
	}
	if i, ok := x.sealed[s]; ok {
		return i
	}
	return s.visible()
}

// Get returns the record at a path.
func (x *index) Get(path string) (item, bool) {
	p := x.find(path)
	if p.slot == nil {
		return item{}, false
	}
	return x.latest(p.slot), true
}

// Set puts a record at a path and returns what it replaced.
func (x *index) Set(i item) (before item, replaced bool) {
	p := x.find(i.path)
	if replaced = p.slot != nil; replaced {
		before = x.latest(p.slot)
	} else {
		p.slot = newSlot(i.path)
		p.path = p.slot.path()
		x.tree.Set(p.slot)
	}
	x.pending[p.slot] = i
	return before, replaced
}

// Delete removes what is at a path and returns it.
func (x *index) Delete(path string) (before item, ok bool) {
	p := x.find(path)
	if p.slot == nil {
		return item{}, false
	}
	before = x.latest(p.slot)
	x.tree.Delete(p.slot)
	delete(x.pending, p.slot)
	p.slot = nil
	return before, true
}

// Load adds a record behind all others, visible at once: for opening a store.
func (x *index) Load(path []byte, rec *record) item {
	s := newSlot(path)
	s.now.Store(rec)
	x.tree.Load(s)
	return s.visible()
}

// Ascend calls fn in order from a path on, until it returns false.
func (x *index) Ascend(from string, fn func(item) bool) {
	x.tree.Ascend(slotFor(from), func(p *slot) bool { return fn(x.latest(p)) })
}

// Len is the number of records.
func (x *index) Len() int { return x.tree.Len() }

// seal returns the keys as they are, and what is to become visible with them.
// What it returned before must be visible by now.
func (x *index) seal() (*snapshot, map[*slot]item) {
	clear(x.sealed)
	x.sealed, x.pending = x.pending, x.sealed
	return &snapshot{tree: x.tree.IsoCopy()}, x.sealed
}
