package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// lockDir takes the lock that Badger and its tools take, so that the checks can
// be made under it. It ends with the file, hence with the process.
func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.New("another process uses this directory: stop it or choose another directory")
	}
	return nil, fmt.Errorf("lock: %w", err)
}

// makePrivate closes the directory and its files to other users. Badger makes
// new files readable for all, but nobody else gets through the directory.
func makePrivate(dir string) error {
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		err := os.Chmod(filepath.Join(dir, f.Name()), 0o600)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // compacted away since
			return err
		}
	}
	return nil
}

// dirSize is what the files of a directory take on the disk, but for those with
// an extension, which it counts. It looks at blocks, since files may be sparse.
func dirSize(dir, but string) (size int64, others int) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return 0, 0
	}
	for _, f := range files {
		if filepath.Ext(f.Name()) == but {
			others++
			continue
		}
		info, err := f.Info()
		if err != nil {
			continue // compacted away since
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			size += int64(stat.Blocks) * 512
		}
	}
	return size, others
}

// freeSpace is what the disk of a directory has left for us, in bytes.
func freeSpace(dir string) (int64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0, err
	}
	size := max(1, int64(stat.Bsize)) // the types differ from system to system
	return min(max(0, int64(stat.Bavail)), 1<<50/size) * size, nil
}

// filesNeeded is what a store opens at least: its logs and tables, and whoever is
// connected.
const filesNeeded = 128

// mayOpenFiles refuses a process that may open so few files that Badger would
// wait for ever for one.
func mayOpenFiles() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur >= filesNeeded {
		return nil // an unknown limit is none
	}
	return fmt.Errorf("engine: this process may open %d files, and a store needs %d at least: raise the limit (ulimit -n, LimitNOFILE of systemd)",
		limit.Cur, filesNeeded)
}
