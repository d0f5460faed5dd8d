package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2"
)

// badgerOptions says how much Badger may use. The zero value of a field takes
// its default. The defaults need about 350 MiB under a constant load of writes,
// for memtables, caches and compaction, if a Go memory limit says so; without
// one the collector leaves twice as much.
type badgerOptions struct {
	NoSync     bool         // commits are not synced: a power cut, but no crash, may lose the last ones
	MemTable   int64        // bytes of a memtable; default 32 MiB; a commit holds 15 % of it
	MemTables  int          // full memtables waiting to become tables; default 3
	BlockCache int64        // bytes of decompressed blocks; default 64 MiB
	IndexCache int64        // bytes of table indexes and filters; default 32 MiB
	Compactors int          // compactions at once; default 2, the least that Badger takes
	Logger     *slog.Logger // default: none

	Key         []byte        // seals Badger's data keys; nil: nothing is encrypted
	KeyRotation time.Duration // how long a data key is used; default a week
	Least       uint64        // a commit that must be there
	Lossy       bool          // commits may be missing: they were not synced
}

// withDefaults fills in what is zero.
func (o badgerOptions) withDefaults() badgerOptions {
	o.MemTable = cmp.Or(o.MemTable, 32<<20)
	o.MemTables = cmp.Or(o.MemTables, 3)
	o.BlockCache = cmp.Or(o.BlockCache, 64<<20)
	o.IndexCache = cmp.Or(o.IndexCache, 32<<20)
	o.Compactors = cmp.Or(o.Compactors, 2)
	o.KeyRotation = cmp.Or(o.KeyRotation, 7*24*time.Hour)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// badger translates the options.
func (o badgerOptions) badger(dir string) badger.Options {
	b := badger.DefaultOptions(dir).
		WithLogger(badgerLog{o.Logger}).
		WithSyncWrites(!o.NoSync && !ownSync).
		WithMemTableSize(o.MemTable).
		WithNumMemtables(o.MemTables).
		WithBlockCacheSize(o.BlockCache).
		WithIndexCacheSize(o.IndexCache).
		WithNumCompactors(o.Compactors).
		WithCompression(options.Snappy).
		WithNumVersionsToKeep(1).
		WithEncryptionKey(o.Key).
		WithEncryptionKeyRotationDuration(o.KeyRotation).
		// There is one writer, which decides conflicts itself.
		WithDetectConflicts(false).
		// Every value stays in the tables, so the log of values is small, too.
		WithValueThreshold(maxBackendValue + 1).
		WithValueLogFileSize(16 << 20).
		// Few, larger tables and a larger first level: 7 % less CPU for each
		// commit than Badger's 2 and 10 MiB, since less is compacted again.
		WithBaseTableSize(16 << 20).
		WithBaseLevelSize(64 << 20).
		// Twice Badger's number of tables before they are compacted: a few
		// percent more writes. Reads of the tables are slower for it, but the
		// index and the cache answer most of them, and every miss.
		WithNumLevelZeroTables(10).
		WithNumLevelZeroTablesStall(20).
		// survey has done it, once; Badger would also do it for each new
		// table, which takes 8 % of a commit's CPU, and dies of some damage.
		WithChecksumVerificationMode(options.NoVerification).
		WithMetricsEnabled(false).
		WithBypassLockGuard(true) // lockDir holds the same lock
	// All tables alike: compaction makes up to eight at once in memory, each in
	// six times its size, and with the usual doubling from level to level that
	// grows with the store.
	b.TableSizeMultiplier = 1
	return b
}

// badgerBackend keeps everything in Badger, in managed mode: the version of an
// entry is the number of the commit that wrote it. It must never be the
// engine's revision: commits that take no revision would change what readers of
// that revision see.
type badgerBackend struct {
	gate gate
	dir  string
	lock *os.File // the locked directory
	db   *badger.DB
	last atomic.Uint64 // the last commit that succeeded
	sync bool          // commits are synced by wal
	stop chan struct{} // ends tendPages
	tend sync.WaitGroup

	memTable int64        // bytes of a log that is full
	logged   atomic.Int64 // bytes of the present log, about

	// Only the writer touches these.
	entries []badger.Entry // of the commit in progress, kept to be used again
	broken  error          // why a commit failed; none is tried after it
	wal     wal
}

// openBadger opens the database in dir, or creates it where there is none. It
// refuses a damaged one and one that another process uses.
func openBadger(dir string, o badgerOptions) (*badgerBackend, error) {
	b, err := openBadgerDir(dir, o.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("engine: badger: open %s: %w", dir, err)
	}
	return b, nil
}

func openBadgerDir(dir string, o badgerOptions) (b *badgerBackend, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = lock.Close()
		}
	}()
	// The checks come under the lock and before Badger, which would repair by
	// deleting.
	opts := o.badger(dir)
	f, err := survey(dir, o, opts)
	if err != nil {
		return nil, err
	}
	if err := removeEmpty(dir, f.empty, o.Logger); err != nil {
		return nil, err
	}
	db, err := badger.OpenManaged(opts)
	if err != nil {
		return nil, err
	}
	if err := makePrivate(dir); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	b = &badgerBackend{dir: dir, lock: lock, db: db, stop: make(chan struct{}), sync: ownSync && !o.NoSync, memTable: o.MemTable, wal: wal{dir: dir, room: o.MemTable + largestGroup}}
	b.last.Store(db.MaxVersion())
	if b.sync {
		err = b.wal.openLast()
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	b.tend.Go(func() { b.tendPages(b.stop) })
	return b, nil
}

// openFrozen opens the database in dir for reading, and changes nothing there:
// Badger gets a scratch directory. The caller holds the lock of dir.
func openFrozen(dir, scratch string, o badgerOptions) (b *badgerBackend, f found, err error) {
	o = o.withDefaults()
	if f, err = survey(dir, o, o.badger(dir)); err != nil {
		return nil, f, err
	}
	if err := freeze(scratch, dir, f.logs); err != nil {
		return nil, f, err
	}
	lock, err := lockDir(scratch)
	if err != nil {
		return nil, f, err
	}
	db, err := badger.OpenManaged(o.badger(scratch).WithReadOnly(true))
	if err != nil {
		return nil, f, errors.Join(err, lock.Close())
	}
	b = &badgerBackend{dir: dir, lock: lock, db: db, stop: make(chan struct{})}
	b.last.Store(db.MaxVersion())
	return b, f, nil
}

// Commit implements [backend].
func (b *badgerBackend) Commit(ts uint64, writes []write) error {
	if !b.gate.enter() {
		return errClosed
	}
	defer b.gate.leave()
	if err := b.commit(ts, writes); err != nil {
		return fmt.Errorf("engine: badger: commit %d: %w", ts, err)
	}
	b.last.Store(ts)
	return nil
}

// commit is one transaction: Badger's write batches may split a group, and its
// loader cannot be told to keep one together.
func (b *badgerBackend) commit(ts uint64, writes []write) error {
	if b.broken != nil {
		return fmt.Errorf("an earlier one failed: %w", b.broken)
	}
	if last := b.last.Load(); ts <= last {
		return fmt.Errorf("%w: the last one was %d", errRefused, last)
	}
	size, err := checkGroup(b, writes)
	if err != nil {
		return err
	}
	b.entries = slices.Grow(b.entries[:0], len(writes))[:len(writes)]
	// Badger keeps no entry after the commit; a huge group's are not kept.
	defer func() {
		clear(b.entries)
		if cap(b.entries) > maxKeptEntries {
			b.entries = nil
		}
	}()
	txn := b.db.NewTransactionAt(ts, true)
	defer txn.Discard()
	for i := range writes {
		w := &writes[i]
		var err error
		if w.delete {
			err = txn.Delete(w.key)
		} else {
			b.entries[i] = badger.Entry{Key: w.key, Value: w.value}
			err = txn.SetEntry(&b.entries[i])
		}
		if err != nil {
			return fmt.Errorf("%w: write %d: %w", errRefused, i, err)
		}
	}
	b.broken = b.insert(txn, ts, writes, size)
	b.logged.Store((b.logged.Load() + size) % b.memTable) // Badger then begins another
	if b.broken == nil && b.sync {
		b.broken = b.wal.sync()
	}
	return b.broken
}

// insert lets Badger take a transaction in. Its log is written meanwhile, if it
// is small.
func (b *badgerBackend) insert(txn *badger.Txn, ts uint64, writes []write, size int64) error {
	if !b.wal.prepare(ts, writes, size) {
		return txn.CommitAt(ts, nil)
	}
	inserted := make(chan error, 1)
	_ = txn.CommitAt(ts, func(err error) { inserted <- err }) // which has all of its errors
	err := b.wal.writeEarly()
	return cmp.Or(<-inserted, err)
}

// maxKeptEntries bounds the memory that Commit keeps from one group to the next.
const maxKeptEntries = 8192

// View implements [backend].
func (b *badgerBackend) View(ts uint64) view {
	// Beyond the last commit there may be half of the next one.
	ts, ok := b.gate.open(min(ts, b.last.Load()))
	if !ok {
		return closedView{}
	}
	return &badgerView{gate: &b.gate, ts: ts, txn: b.db.NewTransactionAt(ts, false)}
}

// Forget implements [backend].
func (b *badgerBackend) Forget(ts uint64) {
	b.gate.forget(min(ts, b.last.Load()), b.db.SetDiscardTs)
}

// KeepsVersions implements [backend].
func (b *badgerBackend) KeepsVersions() bool { return true }

// CollectGarbage implements [backend] for the log of values, which is normally
// empty. The tables are compacted by Badger itself.
func (b *badgerBackend) CollectGarbage() error {
	if !b.gate.enter() {
		return errClosed
	}
	defer b.gate.leave()
	for !b.gate.isShut() {
		switch err := b.db.RunValueLogGC(0.5); {
		case errors.Is(err, badger.ErrNoRewrite):
			return nil
		case err != nil:
			return fmt.Errorf("engine: badger: collect garbage: %w", err)
		}
	}
	return errClosed
}

// Capacity implements [backend]. Badger adds an entry that ends the group.
func (b *badgerBackend) Capacity() (entries int, bytes int64) {
	return int(b.db.MaxBatchCount()) - 1, b.db.MaxBatchSize() - 64
}

// Size implements [backend]. Of the logs it counts what was written: they take
// their room before.
func (b *badgerBackend) Size() int64 {
	size, logs := dirSize(b.dir, ".mem")
	return size + b.logged.Load() + int64(max(0, logs-1))*b.memTable
}

// holdTables calls fn with the names of tables that stay, and stay mapped where
// they are, until it returns.
func (b *badgerBackend) holdTables(fn func(names map[string]bool)) {
	before := make(map[uint64]bool)
	for _, t := range b.db.Tables() {
		before[t.ID] = true
	}
	// An iterator holds every table that there is when it is made, and thus
	// those that there were before and still are: no number is used twice.
	txn := b.db.NewTransactionAt(b.last.Load(), false)
	defer txn.Discard()
	defer txn.NewIterator(badger.IteratorOptions{}).Close()
	held := make(map[string]bool)
	for _, t := range b.db.Tables() {
		if before[t.ID] {
			held[table.IDToFilename(t.ID)] = true
		}
	}
	fn(held)
}

// gauges adds what Badger says of itself.
func (b *badgerBackend) gauges(g *Gauges) {
	if !b.gate.enter() {
		return
	}
	defer b.gate.leave()
	for _, l := range b.db.Levels() {
		g.Levels = append(g.Levels, Level{Tables: l.NumTables, Bytes: l.Size, Score: l.Score})
	}
	g.BlockCache = cacheUse(b.db.BlockCacheMetrics())
	g.IndexCache = cacheUse(b.db.IndexCacheMetrics())
}

func cacheUse(m *ristretto.Metrics) CacheUse {
	if m == nil {
		return CacheUse{}
	}
	return CacheUse{Hits: m.Hits(), Misses: m.Misses()}
}

// Last implements [backend].
func (b *badgerBackend) Last() uint64 { return b.last.Load() }

// Close implements [backend].
func (b *badgerBackend) Close() error {
	if !b.gate.shut() {
		return errClosed
	}
	close(b.stop)
	b.tend.Wait()
	b.wal.close()
	if err := errors.Join(b.db.Close(), b.lock.Close()); err != nil {
		return fmt.Errorf("engine: badger: close %s: %w", b.dir, err)
	}
	return nil
}

// badgerView reads at one commit.
type badgerView struct {
	gate *gate
	ts   uint64
	txn  *badger.Txn // nil: closed; a reader holds nothing that Discard must free
}

// Get implements [view].
func (v *badgerView) Get(key, dst []byte) (value []byte, ok bool, err error) {
	if v.txn == nil {
		return dst, false, errClosed
	}
	item, err := v.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return dst, false, nil
	}
	if err == nil {
		err = item.Value(func(val []byte) error {
			dst = append(dst, val...)
			return nil
		})
	}
	if err != nil {
		return dst, false, fmt.Errorf("engine: badger: get %q: %w", key, err)
	}
	return dst, true, nil
}

// Scan implements [view].
func (v *badgerView) Scan(prefix []byte, fn func(key, value []byte) error) error {
	if v.txn == nil {
		return errClosed
	}
	// No PrefetchValues: it starts a goroutine for each value.
	it := v.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		var stop error
		item := it.Item()
		err := item.Value(func(val []byte) error {
			stop = fn(item.Key(), val)
			return nil
		})
		if stop != nil {
			return stop
		}
		if err != nil {
			return fmt.Errorf("engine: badger: scan %q: %q: %w", prefix, item.Key(), err)
		}
	}
	return nil
}

// Close implements [view].
func (v *badgerView) Close() {
	if v.txn != nil {
		v.txn = nil
		v.gate.done(v.ts)
	}
}

// badgerLog passes on what Badger logs. Its information is detail to us, and
// its debug messages come several times in each commit.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(format string, args ...any)   { l.logf(slog.LevelError, format, args) }
func (l badgerLog) Warningf(format string, args ...any) { l.logf(warning(format), format, args) }
func (l badgerLog) Infof(format string, args ...any)    { l.logf(slog.LevelDebug, format, args) }
func (l badgerLog) Debugf(string, ...any)               {}

// warning is the level of a warning. Badger finds a cache too small each minute
// where the index and the value cache answer what is read often, and it gets the
// rest: that is as it should be.
func warning(format string) slog.Level {
	if strings.HasPrefix(format, "%s might be too small") || strings.HasPrefix(format, "Cache life expectancy") {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

func (l badgerLog) logf(level slog.Level, format string, args []any) {
	if ctx := context.Background(); l.log.Enabled(ctx, level) {
		l.log.Log(ctx, level, "badger: "+strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}
