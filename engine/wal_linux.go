package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
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
// the committer uses it.
type wal struct {
	dir     string
	room    int64 // that a file takes
	through bool  // the page cache: the file system has no other way
	id      int
	file    *os.File // of that number
	data    []byte   // Badger's memory of the file; nil: it is still the file's
	own     int      // where plain memory begins in it
	end     int      // of what the file has of it
	zero    int      // the end of the zeros behind that
	direct  bool     // the file is written past the page cache

	early    []byte // a commit that Badger is still to take in, from begin on
	earlyEnd int    // where the file has it until; 0: it has nothing of it
}

// block is what a file is written in past the page cache, from memory that
// begins at one.
const block = 4 << 10

func blocksUpTo(end int) int { return (end + block - 1) &^ (block - 1) }

// zeros are written ahead of the commits. Where a block is written for the first
// time the file system notes that, and a sync has to bring the note to the disk,
// too, and in a journal all that others have noted: it takes half as long again.
// Over zeros there is nothing to note but each quarter of a megabyte.
var zeros = blocks(256 << 10)

// blocks is memory that begins at a block.
func blocks(size int) []byte {
	b := make([]byte, size+block)
	return b[-uintptr(unsafe.Pointer(&b[0]))%block:][:size]
}

// earlyMost is the most of a commit that is written while Badger takes it in: a
// few clients get 5 to 7 % more sets. With many the processor has other work
// meanwhile, and encoding what Badger encodes too costs as much.
const earlyMost = 8 << 10

// prepare makes a commit ready to be written before Badger has it, on top of all
// that it has. False says that it will be written as Badger does, which has the
// key of what is encrypted.
func (w *wal) prepare(ts uint64, writes []write, size int64) bool {
	if w.data == nil || w.end < w.own || size > earlyMost || binary.BigEndian.Uint64(w.data) != 0 {
		return false
	}
	if w.early == nil {
		w.early = blocks(earlyMost + 2*block) // one for where it begins, one for what entries take beyond [writeOverhead]
	}
	w.early = append(w.early[:0], w.data[w.begin():w.end]...)
	w.early = appendCommit(w.early, ts, writes)
	return true
}

// writeEarly makes durable what was prepared.
func (w *wal) writeEarly() error {
	whole := w.early[:blocksUpTo(len(w.early))]
	clear(whole[len(w.early):])
	if err := w.write(whole); err != nil {
		return fmt.Errorf("sync %s: %w", w.file.Name(), err)
	}
	w.earlyEnd = w.begin() + len(w.early)
	return nil
}

// takeEarly brings to Badger's memory what was written early, which Badger may
// have in another order. False says that Badger has something else.
func (w *wal) takeEarly() bool {
	end := w.earlyEnd
	if end == 0 {
		return false
	}
	w.earlyEnd = 0
	if have, err := endOfLog(w.data, w.end); err != nil || have != end {
		return false
	}
	copy(w.data[w.end:end], w.early[w.end-w.begin():])
	w.end = end
	return true
}

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
		w.follow(next, w.id+1)
	}
	if w.takeEarly() {
		return nil
	}
	if err := w.flush(); err != nil {
		return fmt.Errorf("sync %s: %w", w.file.Name(), err)
	}
	return nil
}

// flush brings to the disk what Badger has written of the present file.
func (w *wal) flush() error {
	if w.data == nil {
		return unix.Fdatasync(int(w.file.Fd()))
	}
	end, err := endOfLog(w.data, w.end)
	if err == nil && end == w.end {
		err = errors.New("it has nothing of the commit")
	}
	if err == nil {
		err = w.write(w.data[w.begin():blocksUpTo(end)])
	}
	if err == nil {
		w.end = end
	}
	return err
}

// begin is the block in which the log ends.
func (w *wal) begin() int { return w.end &^ (block - 1) }

// write writes blocks from begin on, and syncs them.
func (w *wal) write(data []byte) error {
	fd, at := int(w.file.Fd()), w.begin()
	w.passCache()
	w.writeAhead(at + len(data))
	if w.direct {
		// A disk that can makes one request of writing and syncing.
		n, err := unix.Pwritev2(fd, [][]byte{data}, int64(at), unix.RWF_DSYNC)
		switch {
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
			w.through = true
			if err := w.setDirect(false); err != nil {
				return err
			}
		case err == nil && n < len(data):
			return io.ErrShortWrite
		default:
			return err
		}
	}
	if _, err := w.file.WriteAt(data, int64(at)); err != nil {
		return err
	}
	return unix.Fdatasync(fd)
}

// passCache lets what follows be written past the page cache, where the file
// system can: there it would only be copied, and its pages looked up to be
// written. It takes plain memory: the pages before are the page cache itself.
func (w *wal) passCache() {
	if !w.direct && !w.through && w.end >= w.own {
		w.through = w.setDirect(true) != nil
	}
}

func (w *wal) setDirect(on bool) error {
	flags := 0
	if on {
		flags = unix.O_DIRECT
	}
	_, err := unix.FcntlInt(w.file.Fd(), unix.F_SETFL, flags)
	w.direct = on && err == nil
	return err
}

// writeAhead writes zeros where the commits behind a block will stand. A disk
// that has no room for them is found full by the commits.
func (w *wal) writeAhead(from int) {
	if from < w.zero {
		return
	}
	w.zero = min(from+len(zeros), len(w.data))
	_, _ = w.file.WriteAt(zeros[:w.zero-from], int64(from))
}

// follow goes on with a file that Badger has begun, with a commit or without.
func (w *wal) follow(file *os.File, id int) {
	w.file, w.id, w.direct, w.earlyEnd = file, id, false, 0
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
			w.data, w.own, w.end, w.zero = data, free, logHeader, 0
		}
		return
	}
}

// takeRoom takes the room on the disk that the present file will need, so that
// the next commits have it whatever another program takes, until the free space
// is looked at. Where there is no room now, nothing is worse.
func (w *wal) takeRoom() {
	_ = unix.Fallocate(int(w.file.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, w.room)
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
		w.follow(file, last)
	}
	return err
}

func (w *wal) close() {
	if w.file != nil {
		_ = w.file.Close() // it was synced
		w.file = nil
	}
}
