package engine

import (
	"bytes"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/tidwall/btree"
)

// memoryBackend keeps everything in an ordered tree and nothing on disk. It
// holds one version of each key, yet a view is exact: each commit publishes a
// copy-on-write snapshot, so that readers never wait for the writer.
type memoryBackend struct {
	gate gate
	tree *btree.BTreeG[memoryItem]   // the writer's
	now  atomic.Pointer[memoryState] // the readers'
}

// memoryItem is a key with its value. Neither slice is ever changed.
type memoryItem struct{ key, value []byte }

// memoryState is what one commit left.
type memoryState struct {
	tree *btree.BTreeG[memoryItem]
	ts   uint64
	size int64
}

// memoryItemOverhead is about what an item costs beyond its bytes.
const memoryItemOverhead = 64

// openMemory gives an empty memory backend.
func openMemory() *memoryBackend {
	less := func(a, b memoryItem) bool { return bytes.Compare(a.key, b.key) < 0 }
	b := &memoryBackend{tree: btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})}
	b.now.Store(&memoryState{tree: b.tree.IsoCopy()})
	return b
}

// Commit implements [backend].
func (b *memoryBackend) Commit(ts uint64, writes []write) error {
	if !b.gate.enter() {
		return errClosed
	}
	defer b.gate.leave()
	last := b.now.Load()
	if ts <= last.ts {
		return fmt.Errorf("engine: memory: commit %d: %w: the last one was %d", ts, errRefused, last.ts)
	}
	if _, err := checkGroup(b, writes); err != nil {
		return fmt.Errorf("engine: memory: commit %d: %w", ts, err)
	}
	size := last.size
	for i := range writes {
		size += b.apply(&writes[i])
	}
	b.now.Store(&memoryState{tree: b.tree.IsoCopy(), ts: ts, size: size})
	return nil
}

// apply makes one write and returns by how much the size grew.
func (b *memoryBackend) apply(w *write) int64 {
	if w.delete {
		old, ok := b.tree.Delete(memoryItem{key: w.key})
		if !ok {
			return 0
		}
		return -old.size()
	}
	buf := make([]byte, len(w.key)+len(w.value))
	n := copy(buf, w.key)
	copy(buf[n:], w.value)
	item := memoryItem{key: buf[:n:n], value: buf[n:]}
	old, replaced := b.tree.Set(item)
	if !replaced {
		return item.size()
	}
	return item.size() - old.size()
}

// size is about what the item costs.
func (i memoryItem) size() int64 { return int64(len(i.key)+len(i.value)) + memoryItemOverhead }

// View implements [backend].
func (b *memoryBackend) View(ts uint64) view {
	ts, ok := b.gate.open(ts)
	if !ok {
		return closedView{}
	}
	return &memoryView{gate: &b.gate, ts: ts, tree: b.now.Load().tree}
}

// Forget implements [backend]; there are no older versions to reclaim.
func (b *memoryBackend) Forget(uint64) {}

// KeepsVersions implements [backend].
func (b *memoryBackend) KeepsVersions() bool { return false }

// CollectGarbage implements [backend]; Go's collector does the work.
func (b *memoryBackend) CollectGarbage() error {
	if b.gate.isShut() {
		return errClosed
	}
	return nil
}

// Capacity implements [backend]; memory is the only limit.
func (b *memoryBackend) Capacity() (entries int, bytes int64) { return math.MaxInt, math.MaxInt64 }

// Size implements [backend].
func (b *memoryBackend) Size() int64 { return b.now.Load().size }

// Last implements [backend].
func (b *memoryBackend) Last() uint64 { return b.now.Load().ts }

// Close implements [backend].
func (b *memoryBackend) Close() error {
	if !b.gate.shut() {
		return errClosed
	}
	return nil
}

// memoryView reads one published state.
type memoryView struct {
	gate *gate
	ts   uint64
	tree *btree.BTreeG[memoryItem] // nil: closed
}

// Get implements [view].
func (v *memoryView) Get(key, dst []byte) (value []byte, ok bool, err error) {
	if v.tree == nil {
		return dst, false, errClosed
	}
	item, ok := v.tree.Get(memoryItem{key: key})
	if !ok {
		return dst, false, nil
	}
	return append(dst, item.value...), true, nil
}

// Scan implements [view].
func (v *memoryView) Scan(prefix []byte, fn func(key, value []byte) error) error {
	if v.tree == nil {
		return errClosed
	}
	var err error
	v.tree.Ascend(memoryItem{key: prefix}, func(item memoryItem) bool {
		if !bytes.HasPrefix(item.key, prefix) {
			return false
		}
		err = fn(item.key, item.value)
		return err == nil
	})
	return err
}

// Close implements [view].
func (v *memoryView) Close() {
	if v.tree != nil {
		v.tree = nil
		v.gate.done(v.ts)
	}
}
