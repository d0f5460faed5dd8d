package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrOccupied says that a directory holds a store, and that nobody said that it
// is to be replaced.
var ErrOccupied = errors.New("the directory holds a store already")

// RestoreInfo says what [RestoreDir] did.
type RestoreInfo struct {
	BackupInfo
	// Into is the id of the store that the directory now holds: the one that
	// it had, or else the backup's.
	Into string `wire:"into"`
	// Replaced says that the directory held a store, which is gone.
	Replaced bool `wire:"replaced"`
	// Lost says why the counters of that store could not be read. Its last
	// revisions are then not known, but the new epoch still tells followers to
	// load again.
	Lost string `wire:"lost,omitempty"`
}

// RestoreOptions say how [RestoreDir] reads a backup and what it writes.
type RestoreOptions struct {
	// Replace has it remove the store that the directory holds.
	Replace bool
	// EncryptionKey is that of the store in the directory, or of the one that
	// is made there. nil: it is not encrypted.
	EncryptionKey []byte
	// BackupKey is that of the backup. nil: EncryptionKey.
	BackupKey []byte
}

// RestoreDir puts a backup into the data directory of a store that does not
// run: one that holds no store, or with Replace in the place of what is there,
// all or nothing and never merged. It reads the file whole and refuses a
// damaged one before it touches anything; it refuses a directory that a running
// store uses. Killed at any moment it leaves the old store or the new one.
//
// The next opening begins a new epoch ([codec.ReasonRestored]) at a revision
// above those of the backup and of what was replaced.
func RestoreDir(path, dir string, o RestoreOptions) (RestoreInfo, error) {
	if o.BackupKey == nil {
		o.BackupKey = o.EncryptionKey
	}
	f, err := openBackup(path, o.BackupKey)
	if err != nil {
		return RestoreInfo{}, err
	}
	defer f.Close()
	d := dirRestore{dir: dir, current: filepath.Join(dir, storeDir), options: o}
	if err := d.restore(f); err != nil {
		return RestoreInfo{}, restoreError(path, err)
	}
	return d.info, nil
}

// dirRestore is one run of [RestoreDir].
type dirRestore struct {
	dir, current string
	options      RestoreOptions
	key          []byte   // of an encrypted store
	lock         *os.File // of current: no store opens it meanwhile
	id           identity // of the directory; without a store id it has none
	old          meta     // of what is there, as far as it can be read
	used         uint64   // the last commit that it has used
	info         RestoreInfo
}

func (d *dirRestore) restore(f *os.File) error {
	if err := d.take(); err != nil {
		return err
	}
	defer func() { _ = d.lock.Close() }()
	if err := d.look(); err != nil {
		return err
	}
	if err := d.unlock(); err != nil {
		return err
	}
	if err := d.readOld(); err != nil {
		return err
	}
	if err := removeLeftovers(d.current); err != nil {
		return err
	}
	if err := d.fill(f); err != nil {
		return errors.Join(err, removeLeftovers(d.current))
	}
	return d.putIn()
}

// take locks the directory's data. Where there is none it makes an empty place
// for it, so that there is something to lock.
func (d *dirRestore) take() (err error) {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	if err := finishSwap(d.current); err != nil {
		return err
	}
	if err := os.MkdirAll(d.current, 0o700); err != nil {
		return err
	}
	if d.lock, err = lockDir(d.current); err != nil {
		return fmt.Errorf("%s: %w", d.dir, err)
	}
	return nil
}

// unlock finds the key of the directory's store. One that is made there gets
// one of its own.
func (d *dirRestore) unlock() (err error) {
	if d.id.StoreID == "" {
		if d.options.EncryptionKey != nil {
			d.key = newStoreKey()
		}
		return nil
	}
	d.key, err = d.id.unlock(d.dir, d.options.EncryptionKey)
	return err
}

// look finds out whose directory it is.
func (d *dirRestore) look() error {
	replace := d.options.Replace
	files, err := os.ReadDir(d.current)
	if err != nil {
		return err
	}
	id, err := readIdentity(d.dir)
	switch {
	case err == nil && id.Fresh:
		return nil // never opened: it holds nothing, and nobody knows its name
	case err == nil:
		d.id = id
	case id.Format > formatVersion, !replace && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	d.info.Replaced = len(files) > 0 || d.id.StoreID != ""
	if !d.info.Replaced || replace {
		return nil
	}
	return fmt.Errorf("%s: %w", d.dir, ErrOccupied)
}

// readOld reads the counters of what is to be replaced. It may well be too
// damaged for that: then the restore is what helps, and the identity knows what
// was surely not used.
func (d *dirRestore) readOld() error {
	if hasData(d.dir) {
		_ = d.lock.Close() // the backend takes it itself
		if err := d.readCounters(); err != nil {
			d.info.Lost = err.Error()
		}
		if err := d.take(); err != nil {
			return err
		}
	}
	if d.info.Lost != "" || d.used < d.id.Committed || !hasData(d.dir) {
		d.old.revision = max(d.old.revision, d.id.Reserved)
	}
	d.used = max(d.used, d.id.Committed)
	return nil
}

func (d *dirRestore) readCounters() (err error) {
	b, err := openBadger(d.current, badgerOptions{Key: secret(d.key, badgerSecret), Lossy: d.id.lossy()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	d.used = b.Last()
	d.old, _, err = readMeta(b)
	return err
}

// fill makes the new data beside the old.
func (d *dirRestore) fill(f *os.File) (err error) {
	b, err := openBadger(d.current+restoringSuffix, badgerOptions{Key: secret(d.key, badgerSecret)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if d.info.BackupInfo, err = fillBackend(b, f, d.options.BackupKey, d.used+1); err != nil {
		return err
	}
	m := afterRestore(d.info.BackupInfo, d.old)
	return b.Commit(nextCommit(b, d.used), []write{m.write()})
}

// putIn puts the new data into the old one's place. A directory without an
// identity gets the backup's, as fresh until the data is there: a directory
// that has one without the other is refused.
func (d *dirRestore) putIn() error {
	if d.id.StoreID == "" {
		d.id = identity{StoreID: d.info.StoreID, Format: formatVersion, Fresh: true}
		if d.key != nil {
			d.id.Encryption = sealKey(d.key, d.options.EncryptionKey, d.id.StoreID)
		}
		if err := d.id.save(d.dir); err != nil {
			return err
		}
	}
	d.info.Into = d.id.StoreID
	if err := swapIn(d.current); err != nil {
		return err
	}
	if d.id.Fresh {
		d.id.Fresh = false
		if err := d.id.save(d.dir); err != nil {
			return err
		}
	}
	return removeLeftovers(d.current)
}
