package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2"
	"github.com/dgraph-io/ristretto/v2/z"
)

// found is what stands in a directory before Badger opens it.
type found struct {
	last      uint64 // the last commit
	tables    int
	tablesEnd uint64 // the last commit in them
	bytes     int64  // of them
	empty     []string
	logs      []logFile
}

// survey proves what Badger would not, and changes nothing: every block of every
// table, that no commit is missing in its logs, and that its own files are whole.
func survey(dir string, o badgerOptions, opts badger.Options) (f found, err error) {
	if f.empty, err = checkDir(dir); err != nil {
		return f, err
	}
	if err := checkRegistry(dir); err != nil {
		return f, err
	}
	registry, err := badger.OpenKeyRegistry(badger.KeyRegistryOptions{Dir: dir, ReadOnly: true, EncryptionKey: o.Key})
	if err != nil { // the key is right: the identity has told so
		return f, fmt.Errorf("%s is damaged, or of another store (%w): put an undamaged copy of it back, or restore a backup",
			filepath.Join(dir, registryFile), err)
	}
	if err := f.verifyTables(dir, opts, registry); err != nil {
		return f, err
	}
	dataKey := func(id uint64) ([]byte, error) {
		key, err := registry.DataKey(id)
		return key.GetData(), err
	}
	if err := checkValueLogs(dir, dataKey); err != nil {
		return f, err
	}
	f.last = f.tablesEnd
	if f.logs, err = checkLogs(dir, dataKey, f.last, o.Lossy); err != nil {
		return f, err
	}
	for _, l := range f.logs {
		f.last = max(f.last, l.last)
	}
	if f.last < o.Least {
		return f, fmt.Errorf("it is at commit %d, but commit %d was acknowledged: it is an older copy, or files of it were lost; "+
			"put the newest copy of the whole data directory back, or restore a backup", f.last, o.Least)
	}
	return f, nil
}

// verifyTables checks every block of every table against its checksum. Badger
// can do so, too, but in goroutines of its own, where damage that breaks the
// compression or an index is a panic that nobody can catch.
func (f *found) verifyTables(dir string, opts badger.Options, keys *badger.KeyRegistry) error {
	file, err := os.Open(filepath.Join(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a new database
	}
	if err != nil {
		return err
	}
	defer file.Close()
	manifest, end, err := badger.ReplayManifestFile(file, 0, opts)
	if err != nil {
		return fmt.Errorf("%s is damaged: %w: restore a backup", file.Name(), err)
	}
	if err := checkManifestTail(file.Name(), end); err != nil {
		return err
	}
	// Encrypted tables can be read through a cache only.
	indexes, err := ristretto.NewCache(&ristretto.Config[uint64, *fb.TableIndex]{NumCounters: 64, MaxCost: 32 << 20, BufferItems: 64})
	if err != nil {
		return err
	}
	defer indexes.Close()
	// Each takes time, of the processor and of the disk.
	var damage []error
	var mu sync.Mutex // of f and damage
	var workers sync.WaitGroup
	next := make(chan uint64)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for id := range next {
				name := table.NewFilename(id, dir)
				o := table.Options{Compression: manifest.Tables[id].Compression, BlockSize: opts.BlockSize, IndexCache: indexes}
				checked, err := verifyTable(name, o, keys, manifest.Tables[id].KeyID)
				mu.Lock()
				f.tables, f.bytes, f.tablesEnd = f.tables+1, f.bytes+checked.bytes, max(f.tablesEnd, checked.end)
				if err != nil && len(damage) < maxProblems {
					damage = append(damage, fmt.Errorf("table %s is damaged: %w: restore a backup", name, err))
				}
				mu.Unlock()
			}
		})
	}
	for id := range manifest.Tables {
		next <- id
	}
	close(next)
	workers.Wait()
	return errors.Join(damage...)
}

// checkedTable is what a table is said to hold.
type checkedTable struct {
	bytes int64
	end   uint64 // the last commit
}

// verifyTable checks one table. Badger panics on some damage.
func verifyTable(name string, opts table.Options, keys *badger.KeyRegistry, keyID uint64) (checked checkedTable, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("it cannot be read")
			if fault, ok := r.(runtime.Error); ok {
				err = fmt.Errorf("it cannot be read (%w)", fault)
			}
		}
	}()
	if opts.DataKey, err = keys.DataKey(keyID); err != nil {
		return checked, err
	}
	file, err := z.OpenMmapFile(name, os.O_RDONLY, 0)
	if err != nil {
		return checked, err
	}
	t, err := table.OpenTable(file, opts) // closes file if it fails
	if err != nil {
		return checked, err
	}
	checked = checkedTable{bytes: t.Size(), end: t.MaxVersion()}
	return checked, errors.Join(t.VerifyChecksum(), t.Close(-1))
}
