package engine

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// TestTablesLeaveTheMemory: what was read of the tables counts as memory of the
// process until it is given back, and is then read as before.
func TestTablesLeaveTheMemory(t *testing.T) {
	dir := t.TempDir()
	b := openTestBadger(t, dir, badgerOptions{MemTable: 8 << 20})
	for ts := range uint64(40) {
		commitTo(t, b, ts+1, write{key: fmt.Append(nil, "k", ts), value: bytes.Repeat([]byte{byte(ts)}, 512<<10)})
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = openTestBadger(t, dir, badgerOptions{}) // nothing is flushed any more
	before := viewDump(t, b, b.Last(), "k")
	if residentTables(t, dir) == 0 {
		t.Fatal("no table is in memory after it was read")
	}
	b.releasePages()
	if left := residentTables(t, dir); left != 0 {
		t.Errorf("%d KiB of the tables are still in memory", left)
	}
	wantView(t, b, b.Last(), "k", before...)
}

// TestReleaseBesideCompaction gives pages back while tables come and go.
func TestReleaseBesideCompaction(t *testing.T) {
	b := openTestBadger(t, t.TempDir(), badgerOptions{MemTable: 8 << 20, NoSync: true})
	const commits = 120
	for ts := range uint64(commits) {
		commitTo(t, b, ts+1, write{key: fmt.Append(nil, "k", ts%40), value: bytes.Repeat([]byte{byte(ts)}, 512<<10)})
		b.releasePages()
	}
	for i := range 40 {
		want := string(bytes.Repeat([]byte{byte(commits - 40 + i)}, 512<<10))
		if got := viewGet(t, b, commits, fmt.Sprint("k", i)); got != want {
			t.Errorf("k%d is damaged", i)
		}
	}
}

// TestReleasedPagesLoseNothing: what was written through a shared map, and is
// not yet on the disk, survives.
func TestReleasedPagesLoseNothing(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	want := bytes.Repeat([]byte("written"), 10_000)
	if err := os.WriteFile(name, make([]byte, len(want)), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	data, err := syscall.Mmap(int(file.Fd()), 0, len(want), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(data)
	copy(data, want)
	at := uintptr(unsafe.Pointer(&data[0]))
	mapping{from: at, to: at + uintptr(len(data))}.release()
	if !bytes.Equal(data, want) {
		t.Error("the map lost what was written")
	}
	if stored, err := os.ReadFile(name); err != nil || !bytes.Equal(stored, want) {
		t.Error("the file lost what was written", err)
	}
}

// TestHeldTablesStay: a compaction removes no table, and with it its map, while
// it is held.
func TestHeldTablesStay(t *testing.T) {
	b := openTestBadger(t, t.TempDir(), badgerOptions{MemTable: 8 << 20, NoSync: true})
	ts := uint64(0)
	fill := func(commits int) {
		for range commits {
			ts++
			commitTo(t, b, ts, write{key: fmt.Append(nil, "k", ts%4), value: make([]byte, 512<<10)})
		}
	}
	gone := func(held map[string]bool) (n int) {
		for name := range held {
			if _, err := os.Stat(filepath.Join(b.dir, name)); err != nil {
				n++
			}
		}
		return n
	}
	fill(60)
	var held map[string]bool
	b.holdTables(func(names map[string]bool) {
		fill(160) // so that there are more than are left alone
		if err := b.db.Flatten(1); err != nil {
			t.Fatal(err)
		}
		if held = names; gone(held) > 0 {
			t.Errorf("%d of %d tables are gone", gone(held), len(held))
		}
	})
	if gone(held) == 0 {
		t.Errorf("none of %d tables was compacted: the test shows nothing", len(held))
	}
}

func TestParseMapping(t *testing.T) {
	for line, want := range map[string]mapping{
		"7f5c1000-7f5c3000 rw-s 00000000 fe:00 247278     /data/my store/000001.sst\n": {0x7f5c1000, 0x7f5c3000, true, "/data/my store/000001.sst"},
		"7f5c1000-7f5c3000 r--s 00000000 fe:00 247278     /000001.sst (deleted)\n":     {0x7f5c1000, 0x7f5c3000, true, "/000001.sst (deleted)"},
		"55c4ad26c000-55c4ad26e000 r--p 00000000 fe:00 247278     /usr/bin/sett\n":     {0x55c4ad26c000, 0x55c4ad26e000, false, "/usr/bin/sett"},
		"c000000000-c010000000 rw-p 00000000 00:00 0 \n":                               {0xc000000000, 0xc010000000, false, ""},
		"7ffd1000-7ffd2000 rw-p 00000000 00:00 0     [stack]\n":                        {0x7ffd1000, 0x7ffd2000, false, ""},
	} {
		if got, ok := parseMapping(line); !ok || got != want {
			t.Errorf("%q: %+v, %v", line, got, ok)
		}
	}
	if got, ok := parseMapping("Rss:      12 kB\n"); ok {
		t.Errorf("%+v is no mapping", got)
	}
}

// residentTables is how many KiB of the tables in a directory are in memory.
func residentTables(t *testing.T, dir string) (kib int) {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for line := range strings.Lines(string(smaps)) {
		if m, ok := parseMapping(line); ok {
			inside = filepath.Dir(m.path) == dir && filepath.Ext(m.path) == ".sst"
		}
		var n int
		if _, err := fmt.Sscanf(line, "Rss: %d kB", &n); err == nil && inside {
			kib += n
		}
	}
	return kib
}
