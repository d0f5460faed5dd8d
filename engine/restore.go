package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/settkv/sett/codec"
)

// Restore implements [Maintenance].
//
// The file is read twice: once to refuse a damaged one before anything is
// touched, and once to fill new data beside the old, while reads and writes go
// on. Only to put the new data in the old one's place it takes the writer's
// turn; a backup under way ends then, since its view would have to be waited
// for.
func (s *store) Restore(path string) error {
	if err := s.down(); err != nil {
		return err
	}
	s.restoring.Lock()
	defer s.restoring.Unlock()
	f, err := openBackup(path, s.options.EncryptionKey)
	if err != nil {
		return err
	}
	defer f.Close()
	b, swap, err := s.newBackend()
	if err != nil {
		return restoreError(path, err)
	}
	info, err := fillBackend(b, f, s.options.EncryptionKey, s.state.Load().commit+1)
	if err != nil {
		return restoreError(path, errors.Join(err, b.Close()))
	}
	ran := false
	err = s.alone(func() error {
		ran = true
		return s.replace(b, swap, info)
	})
	if !ran {
		err = errors.Join(err, b.Close())
	}
	if err != nil {
		return restoreError(path, err)
	}
	return nil
}

func restoreError(path string, err error) error {
	return fmt.Errorf("engine: restore %s: %w", path, err)
}

// openBackup opens a file that is a whole backup, at its beginning.
func openBackup(path string, master []byte) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("engine: restore: %w", err)
	}
	_, err = VerifyBackupKey(f, master)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, restoreError(path, errors.Join(err, f.Close()))
	}
	return f, nil
}

// replace puts a backend that holds a backup's records in the place of the
// store's own, in the writer's turn.
func (s *store) replace(b backend, swap swapper, info BackupInfo) error {
	s.restores.Add(1) // ends the backups under way: closing the old data waits for them
	old := s.state.Load()
	m := afterRestore(info, meta{
		revision: old.counters.revision, epoch: old.counters.epoch, nowMs: uint64(old.counters.nowMs),
	})
	if err := b.Commit(nextCommit(b, old.commit), []write{m.write()}); err != nil {
		return errors.Join(err, b.Close())
	}
	b, err := swap(b, old.backend)
	if err != nil {
		s.fail(fmt.Errorf("engine: restore: %w", err))
		return err
	}
	s.outbox.clear()
	s.cache.clear()
	if err := s.load(b, m); err != nil {
		s.fail(err)
		return err
	}
	s.machine.advance(s.clock.ms())
	if _, err := s.machine.apply(&Request{Command: s.epochCommand(codec.ReasonRestored, codec.Position{})}); err != nil {
		return err
	}
	return s.commitNow(&state{commit: b.Last(), backend: b})
}

// afterRestore is what a store that had the old counters goes on from. Whoever
// opens it then begins a new epoch.
func afterRestore(info BackupInfo, old meta) meta {
	revision := max(old.revision, info.Revision)
	return meta{
		revision: revision, epoch: max(old.epoch, info.Epoch), nowMs: old.nowMs, announced: revision, clean: leftRestored,
	}
}

// nextCommit is the number of a backend's next commit: never one that the store
// has used for other data.
func nextCommit(b backend, used uint64) uint64 { return max(b.Last(), used) + 1 }

// fillBackend commits the records of a backup in groups, the first of them
// under a number. The backend is good for nothing before its counters follow.
func fillBackend(b backend, f io.Reader, master []byte, first uint64) (BackupInfo, error) {
	var writes []write
	size := 0
	flush := func() error {
		if len(writes) == 0 {
			return nil
		}
		if err := roomToFill(b); err != nil {
			return err
		}
		defer func() { writes, size = writes[:0], 0 }()
		return b.Commit(nextCommit(b, first-1), writes)
	}
	info, err := readBackup(f, master, func(key, value []byte) error {
		writes = append(writes, write{key: bytes.Clone(key), value: bytes.Clone(value)})
		if size += len(key) + len(value); size < groupBytes && len(writes) < groupCommands {
			return nil
		}
		return flush()
	})
	if err != nil {
		return info, err
	}
	return info, flush()
}

// swapper puts one backend into the place of another, which it closes, and
// returns it opened anew. After an error neither is open.
type swapper func(b, old backend) (backend, error)

// newBackend opens an empty backend beside the store's own.
func (s *store) newBackend() (backend, swapper, error) {
	if s.options.Kind == Memory {
		return openMemory(), func(b, old backend) (backend, error) { return b, old.Close() }, nil
	}
	current := filepath.Join(s.options.Dir, storeDir)
	if err := removeLeftovers(current); err != nil {
		return nil, nil, err
	}
	options := s.badgerOptions()
	b, err := openBadger(current+restoringSuffix, options)
	if err != nil {
		return nil, nil, err
	}
	return b, func(b, old backend) (backend, error) {
		if err := errors.Join(b.Close(), old.Close()); err != nil {
			return nil, err
		}
		lock, err := lockDir(current)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(swapIn(current), lock.Close()); err != nil {
			return nil, err
		}
		reopened, err := openBadger(current, options)
		if err != nil {
			return nil, err
		}
		return reopened, removeLeftovers(current)
	}, nil
}
