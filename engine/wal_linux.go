package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ownSync says that commits are synced by [wal], and not by Badger.
const ownSync = true

// wal syncs Badger's write-ahead log. Badger would, after each commit, sync the
// log of values too, which is empty: on many disks that is a second flush, and
// as long as the first.
//
// The log is one file for each memtable, NNNNN.mem, numbered upwards; it is
// written through a memory map, which fdatasync covers on Linux. Only the last
// one is written, and a commit lies in one file whole. Only the writer uses it.
type wal struct {
	dir  string
	room int64 // that a file takes
	id   int
	file *os.File // of that number
}

// sync makes the last commit durable: the files that may hold it. Another is
// begun by whoever finds the memtable full, so there may be one that is newer
// than the commit's.
func (w *wal) sync() error {
	for {
		if err := syscall.Fdatasync(int(w.file.Fd())); err != nil {
			return fmt.Errorf("sync %s: %w", w.file.Name(), err)
		}
		// Looking takes no descriptor: clients may have taken all there are.
		if _, err := os.Stat(w.name(w.id + 1)); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		next, err := os.OpenFile(w.name(w.id+1), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		w.close()
		w.file, w.id = next, w.id+1
		w.takeRoom()
	}
}

// takeRoom takes the room on the disk that Badger will write of the present
// file. It writes to memory, where a disk that is full is a fault that ends the
// process; so the next commits have room whatever another program takes, until
// the free space is looked at. Where there is no room now, nothing is worse.
func (w *wal) takeRoom() {
	const keepSize = 1 // FALLOC_FL_KEEP_SIZE
	_ = syscall.Fallocate(int(w.file.Fd()), keepSize, 0, w.room)
}

func (w *wal) name(id int) string { return filepath.Join(w.dir, fmt.Sprintf("%05d.mem", id)) }

// openLast finds the file with the highest number, before the first commit.
func (w *wal) openLast() error {
	files, err := os.ReadDir(w.dir)
	if err != nil {
		return err
	}
	last := -1
	for _, f := range files {
		name, isLog := strings.CutSuffix(f.Name(), ".mem")
		if id, err := strconv.Atoi(name); isLog && err == nil {
			last = max(last, id)
		}
	}
	if last < 0 {
		return fmt.Errorf("%s has no write-ahead log", w.dir)
	}
	w.id = last
	w.file, err = os.OpenFile(w.name(last), os.O_RDWR, 0)
	if err == nil {
		w.takeRoom()
	}
	return err
}

func (w *wal) close() {
	if w.file != nil {
		_ = w.file.Close() // it was synced
		w.file = nil
	}
}
