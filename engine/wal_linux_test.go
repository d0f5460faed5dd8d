package engine

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestTheLogThatIsSynced follows the memtables: at each moment the file that is
// synced is the one that Badger writes.
func TestTheLogThatIsSynced(t *testing.T) {
	b := openTestBadger(t, t.TempDir(), badgerOptions{MemTable: 8 << 20})
	defer b.Close()
	files := map[string]bool{}
	for ts := uint64(1); len(files) < 4; ts++ {
		if ts > 200 {
			t.Fatal("Badger begins no new log")
		}
		err := b.Commit(ts, []write{{key: []byte(fmt.Sprint("k", ts)), value: make([]byte, 512<<10)}})
		if err != nil {
			t.Fatal(err)
		}
		logs, err := filepath.Glob(filepath.Join(b.dir, "*.mem"))
		if err != nil {
			t.Fatal(err)
		}
		if last := logs[len(logs)-1]; b.wal.file.Name() != last {
			t.Fatalf("commit %d synced %s, Badger writes %s", ts, b.wal.file.Name(), last)
		}
		files[b.wal.file.Name()] = true
	}
}

// TestTheLogIsInTheFile: after each commit the file has all of it, though Badger
// writes elsewhere: in one log and over many, with a key and without, and by way
// of the page cache where the file system has no other.
func TestTheLogIsInTheFile(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	for name, c := range map[string]struct {
		key     []byte
		through bool
	}{"plain": {}, "encrypted": {key: key}, "cached": {through: true}} {
		t.Run(name, func(t *testing.T) {
			dir, ts := t.TempDir(), uint64(0)
			for range 2 { // opened twice
				b := openTestBadger(t, dir, badgerOptions{MemTable: 8 << 20, Key: c.key})
				b.wal.through = c.through
				logs := map[int]bool{}
				for len(logs) < 3 {
					ts++
					commitTo(t, b, ts, write{key: fmt.Append(nil, "k", ts), value: bytes.Repeat([]byte{byte(ts)}, int(ts%40)<<14)}, write{key: []byte("gone"), delete: true})
					if b.wal.data == nil {
						t.Fatal("Badger still writes through the map")
					}
					logs[b.wal.id] = true
					wantInFile(t, b)
					if b.wal.direct && (c.through || b.wal.end < b.wal.own) {
						t.Fatal("the log is written past the page cache")
					}
				}
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// wantInFile checks that the present log's file has what Badger has written.
func wantInFile(t *testing.T, b *badgerBackend) {
	t.Helper()
	want, err := endOfLog(b.wal.data, logHeader)
	if err != nil || want == logHeader {
		t.Fatalf("Badger's log ends at byte %d: %v", want, err)
	}
	file, err := os.Open(b.wal.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	data := make([]byte, want+1)
	if _, err := file.ReadAt(data, 0); err != nil {
		t.Fatal(err)
	}
	if end, err := endOfLog(data, logHeader); err != nil || !bytes.Equal(data[:end], b.wal.data[:want]) {
		t.Fatalf("after commit %d the file has %d bytes of %d: %v", b.Last(), end, want, err)
	}
}

// TestTheLogThatDoesNotGrow: a commit that cannot be found in the log is not
// said to be durable.
func TestTheLogThatDoesNotGrow(t *testing.T) {
	b := openTestBadger(t, t.TempDir(), badgerOptions{})
	commitTo(t, b, 1, write{key: []byte("k"), value: []byte("v")})
	if err := b.wal.sync(); err == nil || !strings.Contains(err.Error(), "nothing of the commit") {
		t.Errorf("a sync without a commit: %v", err)
	}
	for _, b := range [][]byte{{logTxn, 0, 200, 200, 200}, {1}, {logFin, 0, 20, 200, 1, 0, 1}} {
		if end, err := endOfLog(b, 0); err == nil {
			t.Errorf("%v is taken for a log up to %d", b, end)
		}
	}
}

// TestTheLogHasRoom: what Badger will write of a log has its place on the disk
// before, the first log's and the next one's.
func TestTheLogHasRoom(t *testing.T) {
	const memTable = 8 << 20
	b := openTestBadger(t, t.TempDir(), badgerOptions{MemTable: memTable})
	defer b.Close()
	mustHaveRoom := func() {
		t.Helper()
		var stat syscall.Stat_t
		if err := syscall.Fstat(int(b.wal.file.Fd()), &stat); err != nil {
			t.Fatal(err)
		}
		if room := stat.Blocks * 512; room < memTable {
			t.Errorf("%s has %d bytes on the disk", b.wal.file.Name(), room)
		}
	}
	mustHaveRoom()
	first := b.wal.id
	for ts := uint64(1); b.wal.id == first; ts++ {
		if ts > 100 {
			t.Fatal("Badger begins no new log")
		}
		if err := b.Commit(ts, []write{{key: []byte(fmt.Sprint("k", ts)), value: make([]byte, 512<<10)}}); err != nil {
			t.Fatal(err)
		}
	}
	mustHaveRoom()
}

// TestTheLogIsWrittenEarly: what is written of small commits while Badger takes
// them in is what Badger replays after a crash: in one log, where Badger begins
// the next one meanwhile, and behind large commits.
func TestTheLogIsWrittenEarly(t *testing.T) {
	dir := t.TempDir()
	b := openTestBadger(t, dir, badgerOptions{MemTable: 8 << 20})
	defer b.Close()
	early, begun := 0, 0 // in the present log, and while Badger began one
	for ts := uint64(1); begun < 2 || early < 3; ts++ {
		if ts > 300 {
			t.Fatalf("%d commits were written early, %d as Badger began a log", early, begun)
		}
		begin, id := b.wal.end, b.wal.id
		writes := []write{
			{key: fmt.Append(nil, "k", ts), value: fmt.Append(nil, "v", ts)}, {key: []byte("last"), value: fmt.Append(nil, ts)},
			{key: fmt.Append(nil, "k", ts-2), delete: true}, {key: bytes.Repeat([]byte("n"), 200)},
		}
		if ts%2 == 0 {
			writes[0].value = make([]byte, 512<<10)
		}
		isEarly := ts%2 == 1 && b.wal.prepare(ts, writes, 1000)
		commitTo(t, b, ts, writes...)
		wantInFile(t, b)
		switch {
		case isEarly && b.wal.id != id:
			early = 0
			begun++
		case isEarly:
			if !bytes.Equal(b.wal.data[begin:b.wal.end], appendCommit(nil, ts, writes)) {
				t.Fatalf("commit %d is in the log as Badger wrote it", ts)
			}
			early++
		}
	}
	after := afterCrash(t, dir)
	defer after.Close()
	if after.Last() != b.Last() || !slices.Equal(viewDump(t, after, after.Last(), ""), viewDump(t, b, b.Last(), "")) {
		t.Errorf("commit %d of %d is the last after a crash, or its data are others", after.Last(), b.Last())
	}
}

// afterCrash opens a copy of a directory that is in use, made while no table was
// being added.
func afterCrash(t *testing.T, dir string) *badgerBackend {
	t.Helper()
	var err error
	for range 100 {
		crashed := t.TempDir()
		if err = os.CopyFS(crashed, os.DirFS(dir)); err != nil {
			continue
		}
		var b *badgerBackend
		if b, err = openBadger(crashed, badgerOptions{}); err == nil {
			return b
		}
	}
	t.Fatal(err)
	return nil
}

// TestTheLogAsBadgerHasIt: what is too large, encrypted, or otherwise than was
// written early is in the log as Badger has it.
func TestTheLogAsBadgerHasIt(t *testing.T) {
	writes := []write{{key: []byte("k"), value: []byte("v")}, {key: []byte("l"), value: []byte("w")}}
	encrypted := openTestBadger(t, t.TempDir(), badgerOptions{Key: bytes.Repeat([]byte{7}, 32)})
	defer encrypted.Close()
	b := openTestBadger(t, t.TempDir(), badgerOptions{})
	defer b.Close()
	ts := uint64(0)
	for range 40 { // beyond the first page
		ts++
		value := make([]byte, 200)
		commitTo(t, b, ts, write{key: []byte("k"), value: value})
		commitTo(t, encrypted, ts, write{key: []byte("k"), value: value})
	}
	if !b.wal.prepare(ts+1, writes, 100) {
		t.Fatal("nothing is written early")
	}
	if b.wal.prepare(ts+1, writes, earlyMost+1) || encrypted.wal.prepare(ts+1, writes, 100) {
		t.Error("what is large, or encrypted, is written early")
	}
	if !b.wal.prepare(ts+1, writes[:1], 100) {
		t.Fatal("nothing is written early")
	}
	if err := b.wal.writeEarly(); err != nil {
		t.Fatal(err)
	}
	if b.wal.takeEarly() {
		t.Error("Badger has nothing, and it was taken")
	}
	commitTo(t, b, ts+1, writes...)
	wantInFile(t, b)
}

// TestZerosStandAheadOfTheLog: the blocks behind a commit are written already, so
// that the next sync has nothing to note of them.
func TestZerosStandAheadOfTheLog(t *testing.T) {
	b := openTestBadger(t, t.TempDir(), badgerOptions{MemTable: 8 << 20})
	defer b.Close()
	const (
		dontNeed = 4 // POSIX_FADV_DONTNEED: what was only read of the file is data to SEEK_DATA, too
		seekData = 3 // SEEK_DATA passes over room that is only taken
	)
	for ts := range uint64(300) {
		commitTo(t, b, ts+1, write{key: fmt.Append(nil, "k", ts), value: make([]byte, 4<<10)})
		if b.wal.data == nil {
			t.Skip("the log is written by way of Badger's map")
		}
		if ts == 0 {
			continue // Badger's map has it
		}
		if _, _, errno := syscall.Syscall6(syscall.SYS_FADVISE64, b.wal.file.Fd(), 0, 0, dontNeed, 0, 0); errno != 0 {
			t.Fatal(errno)
		}
		last := int64(b.wal.zero) - 1
		if at, err := b.wal.file.Seek(last, seekData); err != nil || at != last || last < int64(b.wal.end) {
			t.Fatalf("commit %d ends at %d, zeros are said to end at %d, and data begin at %d (%v)", ts+1, b.wal.end, last, at, err)
		}
	}
}

// TestTheLogIsWrittenPastThePageCache: from the second page of a log on, where
// the file system lets that be; and where it says so and then refuses, the log
// is written as if it had not.
func TestTheLogIsWrittenPastThePageCache(t *testing.T) {
	b := openTestBadger(t, t.TempDir(), badgerOptions{})
	defer b.Close()
	ts := uint64(0)
	commit := func() {
		t.Helper()
		ts++
		commitTo(t, b, ts, write{key: fmt.Append(nil, "k", ts), value: bytes.Repeat([]byte{byte(ts)}, 5<<10)})
		wantInFile(t, b)
	}
	for range 3 {
		commit()
	}
	if b.wal.data == nil || b.wal.through {
		t.Skip("the file system has no other way")
	}
	if !b.wal.direct {
		t.Fatal("the page cache is in between")
	}

	refused, err := os.Create(filepath.Join(t.TempDir(), "refused"))
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Close()
	w := &wal{file: refused, end: logHeader, data: blocks(b.wal.end + 2*block)[1:]} // no block begins there
	copy(w.data, b.wal.data[:b.wal.end])
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	if w.through == w.direct {
		t.Errorf("refused %t, and goes on past the cache %t", w.through, w.direct)
	}
	data, err := os.ReadFile(refused.Name())
	if err != nil || len(data) < w.end || !bytes.Equal(data[logHeader:w.end], b.wal.data[logHeader:b.wal.end]) {
		t.Errorf("the file has %d bytes of %d: %v", len(data), b.wal.end, err)
	}
}
