package engine

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/settkv/sett/codec"
)

// Backup implements [Maintenance].
func (s *store) Backup(path string) error {
	return writeFile(path, func(f *os.File) error { return s.StreamBackup(f) })
}

// StreamBackup implements [Maintenance].
func (s *store) StreamBackup(w io.Writer) error {
	_, err := s.WriteBackup(w)
	return err
}

// WriteBackup implements [Maintenance].
func (s *store) WriteBackup(w io.Writer) (BackupInfo, error) {
	if err := s.down(); err != nil {
		return BackupInfo{}, err
	}
	// In the turn between two groups: no version that the view needs can be
	// reclaimed before it is open, and none while it is.
	s.turn.Lock()
	st, restores := s.state.Load(), s.restores.Load()
	v := st.backend.View(st.commit)
	s.turn.Unlock()
	defer v.Close()
	header := backupHeader{
		StoreID: s.identity.StoreID, Revision: st.counters.revision, Epoch: st.counters.epoch,
		TimeMs: s.clock.ms(), Version: s.options.Version,
	}
	info, err := writeBackup(w, header, s.options.backupKey(), func(add func(key, value []byte) error) error {
		var buf []byte
		var err error
		st.index.Scan(func(i item) bool {
			if err = s.interrupted(restores); err == nil {
				buf, err = readRecord(v, []byte(i.path), buf[:0])
			}
			if err == nil {
				err = add([]byte(i.path), buf)
			}
			return err == nil
		})
		return err
	})
	if errors.Is(err, errClosed) {
		return info, errUnavailable()
	}
	return info, err
}

// interrupted ends a backup whose view somebody waits for: Close, or a restore
// in whose turn every command waits. A backup may take hours, all other views
// no time at all.
func (s *store) interrupted(restores uint64) error {
	if err := s.down(); err != nil {
		return err
	}
	if s.restores.Load() != restores {
		return codec.Errorf(codec.Unavailable, "the contents were replaced while the backup was written; begin again")
	}
	return nil
}

// readRecord appends the stored bytes of a key that must be there.
func readRecord(v view, key, buf []byte) ([]byte, error) {
	buf, ok, err := v.Get(key, buf)
	if err == nil && !ok {
		err = fmt.Errorf("record %q is missing", key)
	}
	return buf, err
}

// BackupOptions say how [BackupDir] reads a store and writes its backup.
type BackupOptions struct {
	EncryptionKey []byte // of the store; nil: it is not encrypted
	Plain         bool   // the backup of an encrypted store is not encrypted
}

// BackupDir writes a backup of a stopped store's data directory, and changes
// nothing in it. It refuses a directory that a running store uses.
func BackupDir(dir string, w io.Writer, o BackupOptions) (info BackupInfo, err error) {
	current := dataOf(dir)
	if !holdsData(current) {
		return info, fmt.Errorf("engine: %s holds no store", dir)
	}
	id, err := readIdentity(dir)
	if err != nil {
		return info, err
	}
	storeKey, err := id.unlock(dir, o.EncryptionKey)
	if err != nil {
		return info, err
	}
	b, done, err := openStopped(current, badgerOptions{Key: secret(storeKey, badgerSecret), Least: id.least(), Lossy: id.lossy()})
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, done()) }()
	m, _, err := readMeta(b)
	if err != nil {
		return info, err
	}
	v := b.View(b.Last())
	defer v.Close()
	header := backupHeader{StoreID: id.StoreID, Revision: m.revision, Epoch: m.epoch, TimeMs: int64(m.nowMs)}
	master := o.EncryptionKey
	if o.Plain {
		master = nil
	}
	return writeBackup(w, header, master, func(add func(key, value []byte) error) error {
		return errors.Join(v.Scan([]byte(kvPrefix), add), v.Scan([]byte(svcPrefix), add))
	})
}

// openStopped opens the data in dir for reading, under its lock, and changes
// nothing there. done ends it.
func openStopped(dir string, o badgerOptions) (b *badgerBackend, done func() error, err error) {
	lock, err := lockDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("engine: %s: %w", dir, err)
	}
	scratch, err := os.MkdirTemp("", "sett-backup-*")
	if err == nil {
		b, _, err = openFrozen(dir, scratch, o)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("engine: badger: open %s: %w", dir, err), os.RemoveAll(scratch), lock.Close())
	}
	return b, func() error { return errors.Join(b.Close(), os.RemoveAll(scratch), lock.Close()) }, nil
}

// writeBackup writes what walk adds, in the order of stored keys.
func writeBackup(w io.Writer, header backupHeader, master []byte, walk func(add func(key, value []byte) error) error) (BackupInfo, error) {
	out, err := newBackupWriter(w, header, master)
	if err == nil {
		err = walk(out.add)
	}
	if err == nil {
		err = out.end()
	}
	if err != nil {
		return BackupInfo{}, fmt.Errorf("engine: backup: %w", err)
	}
	return out.info(), nil
}
