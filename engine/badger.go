package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2"
	"github.com/dgraph-io/ristretto/v2/z"
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
}

// withDefaults fills in what is zero.
func (o badgerOptions) withDefaults() badgerOptions {
	o.MemTable = cmp.Or(o.MemTable, 32<<20)
	o.MemTables = cmp.Or(o.MemTables, 3)
	o.BlockCache = cmp.Or(o.BlockCache, 64<<20)
	o.IndexCache = cmp.Or(o.IndexCache, 32<<20)
	o.Compactors = cmp.Or(o.Compactors, 2)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// badger translates the options.
func (o badgerOptions) badger(dir string) badger.Options {
	return badger.DefaultOptions(dir).
		WithLogger(badgerLog{o.Logger}).
		WithSyncWrites(!o.NoSync).
		WithMemTableSize(o.MemTable).
		WithNumMemtables(o.MemTables).
		WithBlockCacheSize(o.BlockCache).
		WithIndexCacheSize(o.IndexCache).
		WithNumCompactors(o.Compactors).
		WithCompression(options.Snappy).
		WithNumVersionsToKeep(1).
		// There is one writer, which decides conflicts itself.
		WithDetectConflicts(false).
		// Every value stays in the tables, so the log of values is small, too.
		WithValueThreshold(maxBackendValue + 1).
		WithValueLogFileSize(16 << 20).
		// Few, larger tables and a larger first level: 7 % less CPU for each
		// commit than Badger's 2 and 10 MiB, since less is compacted again.
		WithBaseTableSize(8 << 20).
		WithBaseLevelSize(64 << 20).
		// Twice Badger's number of tables before they are compacted: a few
		// percent more writes. Reads of the tables are slower for it, but the
		// index and the cache answer most of them, and every miss.
		WithNumLevelZeroTables(10).
		WithNumLevelZeroTablesStall(20).
		// verifyTables has done it, once; Badger would also do it for each new
		// table, which takes 8 % of a commit's CPU, and dies of some damage.
		WithChecksumVerificationMode(options.NoVerification).
		WithMetricsEnabled(false).
		WithBypassLockGuard(true) // lockDir holds the same lock
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

	// Only the writer touches these.
	entries []badger.Entry // of the commit in progress, kept to be used again
	broken  error          // why a commit failed; none is tried after it
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
	if err := checkDir(dir, o.Logger); err != nil {
		return nil, err
	}
	opts := o.badger(dir)
	if err := verifyTables(dir, opts); err != nil {
		return nil, err
	}
	db, err := badger.OpenManaged(opts)
	if err != nil {
		return nil, err
	}
	if err := makePrivate(dir); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	b = &badgerBackend{dir: dir, lock: lock, db: db}
	b.last.Store(db.MaxVersion())
	return b, nil
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
	if err := checkGroup(b, writes); err != nil {
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
	b.broken = txn.CommitAt(ts, nil)
	return b.broken
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

// Size implements [backend].
func (b *badgerBackend) Size() int64 { return dirSize(b.dir) }

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

// checkDir refuses a database whose MANIFEST is missing: Badger would take it
// for a new one and delete every table without a word. It also removes empty
// write-ahead logs, which Badger leaves if it is killed while it deletes one
// and then refuses to open.
func checkDir(dir string, log *slog.Logger) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	manifest := false
	var data, empty []string
	for _, f := range files {
		switch ext := filepath.Ext(f.Name()); {
		case f.Name() == badger.ManifestFilename:
			manifest = true
		case ext == ".sst" || ext == ".vlog" || ext == ".mem":
			data = append(data, f.Name())
			if info, err := f.Info(); err != nil {
				return err
			} else if ext == ".mem" && info.Size() == 0 {
				empty = append(empty, f.Name())
			}
		}
	}
	if !manifest && len(data) > 0 {
		return fmt.Errorf("the file %s is missing, but there is data (%d files, such as %s), which opening would delete: "+
			"put %s back, or restore a backup, or move the directory away to start empty",
			badger.ManifestFilename, len(data), data[0], badger.ManifestFilename)
	}
	for _, name := range empty {
		log.Warn("removing an empty write-ahead log, as a kill may leave behind", "dir", dir, "file", name)
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// verifyTables checks every block of every table against its checksum. Badger
// can do so, too, but in goroutines of its own, where damage that breaks the
// compression or an index is a panic that nobody can catch.
func verifyTables(dir string, opts badger.Options) error {
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a new database
	}
	if err != nil {
		return err
	}
	defer f.Close()
	manifest, _, err := badger.ReplayManifestFile(f, 0, opts)
	if err != nil {
		return fmt.Errorf("%s is damaged: %w: restore a backup", f.Name(), err)
	}
	for id, t := range manifest.Tables {
		name := table.NewFilename(id, dir)
		if err := verifyTable(name, table.Options{Compression: t.Compression, BlockSize: opts.BlockSize}); err != nil {
			return fmt.Errorf("table %s is damaged: %w: restore a backup", name, err)
		}
	}
	return nil
}

// verifyTable checks one table. Badger panics on some damage.
func verifyTable(name string, opts table.Options) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it cannot be read (%.200v)", r)
		}
	}()
	file, err := z.OpenMmapFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	t, err := table.OpenTable(file, opts) // closes file if it fails
	if err != nil {
		return err
	}
	return errors.Join(t.VerifyChecksum(), t.Close(-1))
}

// badgerLog passes on what Badger logs. Its information is detail to us, and
// its debug messages come several times in each commit.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(format string, args ...any)   { l.logf(slog.LevelError, format, args) }
func (l badgerLog) Warningf(format string, args ...any) { l.logf(slog.LevelWarn, format, args) }
func (l badgerLog) Infof(format string, args ...any)    { l.logf(slog.LevelDebug, format, args) }
func (l badgerLog) Debugf(string, ...any)               {}

func (l badgerLog) logf(level slog.Level, format string, args []any) {
	if ctx := context.Background(); l.log.Enabled(ctx, level) {
		l.log.Log(ctx, level, "badger: "+strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}
