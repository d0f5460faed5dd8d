package engine

import (
	"fmt"
	"path/filepath"
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
