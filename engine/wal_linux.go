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

// wal writes and syncs Badger's write-ahead log. Badger would, after each
// commit, sync the log of values too, which is empty: on many disks that is a
// second flush, and as long as the first.
//
// The log is one file for each memtable, NNNNN.mem, numbered upwards. Only the
// last one is written, and a commit lies in one file whole. Badger writes it
// through a shared memory map. To sync that, the kernel has to protect the pages
// against writing, interrupt the other processors for it, and take a fault at the
// next write: 4 % of the server's processor time of a kv.set. And a full disk is
// a fault that ends the process. So plain memory takes the map's place behind a
// log's first commit, and what Badger leaves there is written to the file. Only
// the writer uses it.
type wal struct {
	dir  string
	room int64 // that a file takes
	id   int
	file *os.File // of that number
	data []byte   // Badger's memory of the file; nil: it is still the file's
	end  int      // of what the file has of it
	zero int      // the end of the zeros behind that
}

// zeros are written ahead of the commits. Where a block is written for the first
// time the file system notes that, and a sync has to bring the note to the disk,
// too, and in a journal all that others have noted: it takes half as long again.
// Over zeros there is nothing to note but each quarter of a megabyte.
var zeros [256 << 10]byte

// sync makes the last commit durable. It lies in the newest file: Badger looks
// before a commit whether the memtable is full, and the map of one that was may
// be gone by now.
func (w *wal) sync() error {
	for {
		// Looking takes no descriptor: clients may have taken all there are.
		if _, err := os.Stat(w.name(w.id + 1)); errors.Is(err, fs.ErrNotExist) {
			break
		}
		next, err := os.OpenFile(w.name(w.id+1), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		w.close()
		w.begin(next, w.id+1)
	}
	if err := w.flush(); err != nil {
		return fmt.Errorf("sync %s: %w", w.file.Name(), err)
	}
	return nil
}

// flush brings to the disk what Badger has written of the present file.
func (w *wal) flush() error {
	if w.data != nil {
		end, err := endOfLog(w.data, w.end)
		if err == nil && end == w.end {
			err = errors.New("it has nothing of the commit")
		}
		if err != nil {
			return err
		}
		if _, err := w.file.WriteAt(w.data[w.end:end], int64(w.end)); err != nil {
			return err
		}
		w.end = end
		w.writeAhead()
	}
	return syscall.Fdatasync(int(w.file.Fd()))
}

// writeAhead writes zeros where the next commits will stand. A disk that has no
// room for them is found full by the commits.
func (w *wal) writeAhead() {
	if w.end < w.zero {
		return
	}
	ahead := min(len(zeros), len(w.data)-w.end)
	_, _ = w.file.WriteAt(zeros[:ahead], int64(w.end))
	w.zero = w.end + ahead
}

// begin goes on with a file that Badger has begun, with a commit or without.
func (w *wal) begin(file *os.File, id int) {
	w.file, w.id = file, id
	w.takeRoom()
	w.takeOver()
}

// takeOver puts plain memory in the place of the present file's map, but for the
// pages that are written already. That is safe while the map stays, and it does
// until the memtable is in a table: Badger ends a memtable only in a commit, and
// none is under way. Where no map is found, all is as Badger has made it.
func (w *wal) takeOver() {
	w.data = nil
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", w.file.Fd()))
	if err != nil {
		return
	}
	for m := range mappings() {
		if m.path != name || !m.shared {
			continue
		}
		data := m.bytes()
		end, err := endOfLog(data, logHeader)
		free := (end/os.Getpagesize() + 1) * os.Getpagesize()
		if err == nil && free < len(data) && m.replace(free) == nil {
			w.data, w.end, w.zero = data, logHeader, 0
		}
		return
	}
}

// takeRoom takes the room on the disk that the present file will need, so that
// the next commits have it whatever another program takes, until the free space
// is looked at. Where there is no room now, nothing is worse.
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
	file, err := os.OpenFile(w.name(last), os.O_RDWR, 0)
	if err == nil {
		w.begin(file, last)
	}
	return err
}

func (w *wal) close() {
	if w.file != nil {
		_ = w.file.Close() // it was synced
		w.file = nil
	}
}
