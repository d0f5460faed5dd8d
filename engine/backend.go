package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Limits of what one write may hold. A value at or over Badger's threshold
// would leave the tables for the value log, which is meant to stay empty; a
// longer key does not fit Badger's tables. The memory backend keeps the same
// limits, so that both refuse the same writes.
const (
	maxBackendKey   = 65000
	maxBackendValue = 1<<20 - 1
)

// writeOverhead is what a write costs beyond its key and its value when a
// group is measured against [backend.Capacity]: the version and flag bytes.
const writeOverhead = 16

// errClosed is what every call on a closed backend answers.
var errClosed = errors.New("engine: backend is closed")

// backend is the small ordered key-value store under the engine. All methods
// may be called from any goroutine, but Commit only from one at a time: the
// engine's writer is its only caller. After Close each method answers
// [errClosed], or does nothing if it has no error to answer with.
type backend interface {
	// Commit makes the writes of one group happen at once, under commit number
	// ts, which must be greater than the last one; the engine counts by one. If
	// a key occurs twice its last write wins. When Commit returns nil the
	// writes are visible to new views and, if the backend syncs, durable. After
	// an error their fate is unknown and the engine must stop; the exception is
	// [errRefused], which comes before anything was written.
	//
	// Keys and values belong to the backend until Commit returns, and to the
	// caller again afterwards.
	Commit(ts uint64, writes []write) error

	// View gives a reader of the state after commit ts; a ts beyond the last
	// commit means the last one. It shows a later commit, but never part of one,
	// where ts was forgotten or the backend keeps one version only. It never
	// blocks and costs less than one Get: open one for each request, and close
	// it.
	View(ts uint64) view

	// Forget says that nobody needs a view before ts any more, so that older
	// versions may be reclaimed. Views that are open keep what they see: they
	// hold it back until a later call. It never goes back, nor beyond the last
	// commit, and is not kept across a restart.
	Forget(ts uint64)

	// KeepsVersions tells whether a view is exact also before the last commit,
	// down to what was forgotten. Otherwise it always shows the last one.
	KeepsVersions() bool

	// CollectGarbage reclaims space until there is nothing left to reclaim. It
	// may take long and runs beside everything else.
	CollectGarbage() error

	// Capacity says how much one Commit can hold: fewer writes than entries,
	// and less than bytes for the sum of key, value and [writeOverhead].
	Capacity() (entries int, bytes int64)

	// Size is the number of bytes on disk, or in memory.
	Size() int64

	// Last is the largest commit number stored, 0 if there is none. After a
	// restart it is exact if each commit sets a key that is never deleted, as
	// the engine's counters are: a deletion leaves nothing behind for ever.
	Last() uint64

	// Close waits for the calls and views that are open and for background
	// work. New ones are refused from its start. Only the first call does it.
	Close() error
}

// view reads one state of a backend. It belongs to one goroutine at a time.
type view interface {
	// Get appends the value of key to dst and tells whether there is one; dst
	// may be nil. The result never aliases the backend's memory.
	Get(key, dst []byte) (value []byte, ok bool, err error)

	// Scan calls fn for each key that begins with prefix, in byte order, until
	// fn returns an error, which Scan returns unchanged. Key and value are
	// valid until fn returns.
	Scan(prefix []byte, fn func(key, value []byte) error) error

	// Close ends the view; a second call does nothing.
	Close()
}

// write is one change of a group: a set, or a deletion if delete is true.
type write struct {
	key    []byte
	value  []byte
	delete bool
}

// errRefused marks a group that a backend cannot take as it stands: nothing of
// it was written. The engine's limits make it impossible.
var errRefused = errors.New("group refused")

// checkGroup refuses what a backend could not store, before it touches
// anything: a group over the capacity, or a key or value over its limit. It
// returns what the rest takes.
func checkGroup(b backend, writes []write) (size int64, err error) {
	entries, limit := b.Capacity()
	if len(writes) >= entries {
		return 0, fmt.Errorf("%w: %d writes, the limit is %d", errRefused, len(writes), entries-1)
	}
	for i := range writes {
		w := &writes[i]
		if len(w.key) == 0 || len(w.key) > maxBackendKey {
			return 0, fmt.Errorf("%w: write %d: key of %d bytes, the limit is 1 to %d", errRefused, i, len(w.key), maxBackendKey)
		}
		if len(w.value) > maxBackendValue {
			return 0, fmt.Errorf("%w: write %d: value of %d bytes, the limit is %d", errRefused, i, len(w.value), maxBackendValue)
		}
		size += int64(len(w.key) + len(w.value) + writeOverhead)
	}
	if size >= limit {
		return 0, fmt.Errorf("%w: %d bytes, the limit is %d", errRefused, size, limit-1)
	}
	return size, nil
}

// gate counts the calls and the views inside a backend: Close waits for them
// and refuses later ones, and an open view holds Forget back.
//
// One mutex, held for a few instructions, is enough: a read costs twenty times
// as much. The zero gate is open.
type gate struct {
	mu     sync.Mutex
	empty  *sync.Cond // set by shut; signalled when nothing is inside any more
	calls  int
	views  []pin // open views, oldest commit first; seldom more than a few
	forgot uint64
}

// pin counts the views that are open at one commit.
type pin struct {
	ts uint64
	n  int
}

// enter lets a call in, or answers false if the gate is shut.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.empty != nil {
		return false
	}
	g.calls++
	return true
}

// leave ends a call that enter let in.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls--
	g.signal()
}

// open lets a view in, or answers false if the gate is shut. The view is at ts,
// or at the commit that was forgotten since: what was there before may be gone.
func (g *gate) open(ts uint64) (uint64, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.empty != nil {
		return 0, false
	}
	ts = max(ts, g.forgot)
	// Nearly every view is at the last commit or just behind it.
	i := len(g.views)
	for i > 0 && g.views[i-1].ts > ts {
		i--
	}
	if i > 0 && g.views[i-1].ts == ts {
		g.views[i-1].n++
	} else {
		g.views = slices.Insert(g.views, i, pin{ts: ts, n: 1})
	}
	return ts, true
}

// done ends a view that open let in at ts.
func (g *gate) done(ts uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := len(g.views) - 1
	for g.views[i].ts != ts {
		i--
	}
	if g.views[i].n--; g.views[i].n == 0 {
		g.views = slices.Delete(g.views, i, i+1)
	}
	g.signal()
}

// forget notes that no view before ts will be opened and tells apply the commit
// that is still needed: ts, or the one of the oldest open view. What it tells
// never goes back. It does nothing once the gate is shut.
func (g *gate) forget(ts uint64, apply func(ts uint64)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.views) > 0 {
		ts = min(ts, g.views[0].ts)
	}
	if g.empty == nil && ts > g.forgot {
		g.forgot = ts
		apply(ts)
	}
}

// shut refuses new calls and views and waits for those inside. It answers false
// if it was called before.
func (g *gate) shut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.empty != nil {
		return false
	}
	g.empty = sync.NewCond(&g.mu)
	for g.calls > 0 || len(g.views) > 0 {
		g.empty.Wait()
	}
	return true
}

// isShut tells long work that it should end.
func (g *gate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.empty != nil
}

// signal wakes shut when nothing is left inside. The caller holds mu.
func (g *gate) signal() {
	if g.empty != nil && g.calls == 0 && len(g.views) == 0 {
		g.empty.Broadcast()
	}
}

// closedView is what a closed backend gives: it only answers errClosed.
type closedView struct{}

func (closedView) Get(_, dst []byte) ([]byte, bool, error)          { return dst, false, errClosed }
func (closedView) Scan([]byte, func(key, value []byte) error) error { return errClosed }
func (closedView) Close()                                           {}
