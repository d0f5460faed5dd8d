package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// smallBadger makes the tests quick: a memtable of 32 MiB takes time to clear.
// It is the least that Badger's limits allow for values of 1 MiB.
var smallBadger = badgerOptions{MemTable: 8 << 20, BlockCache: 1 << 20, IndexCache: 1 << 20}

// openTestBadger opens a database that is closed at the end of the test, if the
// test has not closed it before, and in which no goroutine may be left.
func openTestBadger(t testing.TB, dir string, o badgerOptions) *badgerBackend {
	t.Helper()
	b, err := openBadger(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil && !errors.Is(err, errClosed) {
			t.Errorf("Close: %v", err)
		}
	})
	return b
}

// onBothBackends runs a test on each backend, fresh and empty.
func onBothBackends(t *testing.T, test func(t *testing.T, b backend)) {
	t.Run("badger", func(t *testing.T) { test(t, openTestBadger(t, t.TempDir(), smallBadger)) })
	t.Run("memory", func(t *testing.T) { test(t, openMemory()) })
}

func setOf(key, value string) write { return write{key: []byte(key), value: []byte(value)} }
func delOf(key string) write        { return write{key: []byte(key), delete: true} }

func commitTo(t testing.TB, b backend, ts uint64, writes ...write) {
	t.Helper()
	if err := b.Commit(ts, writes); err != nil {
		t.Fatal(err)
	}
}

// viewDump reads everything below prefix at ts, as "key=value" in the order it came.
func viewDump(t testing.TB, b backend, ts uint64, prefix string) []string {
	t.Helper()
	v := b.View(ts)
	defer v.Close()
	var all []string
	err := v.Scan([]byte(prefix), func(key, value []byte) error {
		all = append(all, string(key)+"="+string(value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func wantView(t testing.TB, b backend, ts uint64, prefix string, want ...string) {
	t.Helper()
	if got := viewDump(t, b, ts, prefix); !slices.Equal(got, want) {
		t.Errorf("scan %q at %d:\n got %q\nwant %q", prefix, ts, got, want)
	}
}

// viewGet reads one key at ts; "-" says that there is none.
func viewGet(t testing.TB, b backend, ts uint64, key string) string {
	t.Helper()
	v := b.View(ts)
	defer v.Close()
	value, ok, err := v.Get([]byte(key), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return "-"
	}
	return string(value)
}

func TestBackendCommitAndRead(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b backend) {
		if b.Last() != 0 || viewGet(t, b, 0, "a") != "-" {
			t.Fatalf("a new backend is not empty: Last %d", b.Last())
		}
		commitTo(t, b, 1, setOf("a", "1"), setOf("b", ""), setOf("c", "3"))
		commitTo(t, b, 2, setOf("a", "2"), delOf("c"), delOf("never there"))
		commitTo(t, b, 3, setOf("c", "x"), setOf("c", "y"), setOf("d", "z"), delOf("d")) // the last write of a key wins
		if b.Last() != 3 {
			t.Errorf("Last is %d, want 3", b.Last())
		}
		for key, want := range map[string]string{"a": "2", "b": "", "c": "y", "d": "-", "ab": "-"} {
			if got := viewGet(t, b, 3, key); got != want {
				t.Errorf("get %q: got %q, want %q", key, got, want)
			}
		}
		commitTo(t, b, 10, setOf("e", "later")) // a greater step is fine
		wantView(t, b, math.MaxUint64, "", "a=2", "b=", "c=y", "e=later")
	})
}

func TestBackendScanKeepsToPrefixInByteOrder(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b backend) {
		commitTo(t, b, 1, setOf("k\xff\xff", "7"), setOf("k", "2"), setOf("k\x00", "3"), setOf("l", "8"), setOf("j\xff", "1"),
			setOf("k\xff", "6"), setOf("ka", "4"), setOf("kä", "5"))
		wantView(t, b, 1, "k", "k=2", "k\x00=3", "ka=4", "kä=5", "k\xff=6", "k\xff\xff=7")
		wantView(t, b, 1, "k\xff", "k\xff=6", "k\xff\xff=7")
		wantView(t, b, 1, "m")
		if n := len(viewDump(t, b, 1, "")); n != 8 {
			t.Errorf("a scan of everything gave %d keys, want 8", n)
		}
		v := b.View(1)
		defer v.Close()
		stop, n := errors.New("enough"), 0
		err := v.Scan([]byte("k"), func(_, _ []byte) error {
			if n++; n == 2 {
				return stop
			}
			return nil
		})
		if err != stop || n != 2 {
			t.Errorf("scan gave error %v after %d keys, want the callback's own after 2", err, n)
		}
	})
}

func TestBackendGetAppendsAndNeverAliases(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b backend) {
		key, value := []byte("key"), []byte("value")
		commitTo(t, b, 1, write{key: key, value: value})
		copy(key, "xxx") // the caller's again
		copy(value, "yyyyy")
		v := b.View(1)
		defer v.Close()
		got, ok, err := v.Get([]byte("key"), []byte("dst:"))
		if err != nil || !ok || string(got) != "dst:value" {
			t.Fatalf("got %q %v %v, want dst:value", got, ok, err)
		}
		for i := range got {
			got[i] = '!'
		}
		dst := make([]byte, 0, 64)
		if got, _, _ = v.Get([]byte("key"), dst); string(got) != "value" || &got[0] != &dst[:1][0] {
			t.Errorf("got %q, want value in the buffer that was given", got)
		}
		if got, ok, err = v.Get([]byte("none"), []byte("dst:")); string(got) != "dst:" || ok || err != nil {
			t.Errorf("a miss gave %q %v %v, want dst unchanged", got, ok, err)
		}
	})
}

func TestBackendViewKeepsItsCommit(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b backend) {
		commitTo(t, b, 1, setOf("a", "1"), setOf("b", "1"))
		v := b.View(1)
		defer v.Close()
		commitTo(t, b, 2, setOf("a", "2"), delOf("b"), setOf("c", "2"))
		b.Forget(2) // held back by the view
		var all []string
		if err := v.Scan(nil, func(k, val []byte) error {
			all = append(all, string(k)+string(val))
			return nil
		}); err != nil || !slices.Equal(all, []string{"a1", "b1"}) {
			t.Errorf("the view shows %q (%v), want what it was opened at", all, err)
		}
		if _, ok, _ := v.Get([]byte("c"), nil); ok {
			t.Error("the view shows a later commit's key")
		}
		wantView(t, b, 2, "", "a=2", "c=2")
	})
}

// TestBackendReadsAreNeverTorn has readers at the last commit, beside a writer
// that writes one number under many keys in each.
func TestBackendReadsAreNeverTorn(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b backend) {
		const keys, commits = 20, 300
		group := make([]write, keys)
		commit := func(ts uint64) {
			for i := range group {
				group[i] = write{key: fmt.Appendf(nil, "k%02d", i), value: binary.BigEndian.AppendUint64(nil, ts)}
			}
			commitTo(t, b, ts, group...)
			b.Forget(ts)
		}
		commit(1)
		done := make(chan struct{})
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
						checkOneCommit(t, b, keys)
					}
				}
			})
		}
		for ts := uint64(2); ts <= commits; ts++ {
			commit(ts)
		}
		close(done)
		readers.Wait()
	})
}

// checkOneCommit reads all keys by Scan and one by Get: all must be of one commit.
func checkOneCommit(t *testing.T, b backend, keys int) {
	last := b.Last()
	v := b.View(last)
	defer v.Close()
	first, ok, err := v.Get([]byte("k00"), nil)
	if err != nil || !ok || binary.BigEndian.Uint64(first) < last {
		t.Errorf("get at %d: %x %v %v", last, first, ok, err)
		return
	}
	n := 0
	err = v.Scan([]byte("k"), func(key, value []byte) error {
		if n++; !bytes.Equal(value, first) {
			return fmt.Errorf("%s is of %x, k00 of %x", key, value, first)
		}
		return nil
	})
	if err != nil || n != keys {
		t.Errorf("scan at %d: %d keys, %v", last, n, err)
	}
}

func TestBackendRefusesBeforeItWrites(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b backend) {
		commitTo(t, b, 5, setOf("a", "1"))
		for name, c := range map[string]struct {
			ts    uint64
			write write
		}{
			"same commit number":  {5, setOf("a", "2")},
			"older commit number": {4, setOf("a", "2")},
			"empty key":           {6, setOf("", "2")},
			"long key":            {6, setOf(strings.Repeat("k", maxBackendKey+1), "2")},
			"large value":         {6, setOf("a", strings.Repeat("v", maxBackendValue+1))},
		} {
			if err := b.Commit(c.ts, []write{setOf("b", "2"), c.write}); !errors.Is(err, errRefused) {
				t.Errorf("%s: got %v, want a refusal", name, err)
			}
		}
		commitTo(t, b, 6, setOf(strings.Repeat("k", maxBackendKey), strings.Repeat("v", maxBackendValue)))
		if b.Last() != 6 || viewGet(t, b, 6, "a") != "1" || viewGet(t, b, 6, "b") != "-" {
			t.Error("a refused group left something behind")
		}
	})
}

func TestBackendHoldsTheLargestGroup(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b backend) {
		if _, ok := b.(*badgerBackend); ok {
			b = openTestBadger(t, t.TempDir(), badgerOptions{})
		}
		var group []write
		var size int64
		add := func(value []byte) {
			w := write{key: fmt.Appendf(nil, "group/%08d", len(group)), value: value}
			size += int64(len(w.key) + len(w.value) + writeOverhead)
			group = append(group, w)
		}
		for range 5 {
			add(bytes.Repeat([]byte("part"), 128<<10))
		}
		for len(group) < 4200 {
			add(bytes.Repeat([]byte("v"), 120))
		}
		if entries, limit := b.Capacity(); len(group) >= entries || size < 3<<20 || size >= limit {
			t.Fatalf("%d writes, %d bytes; the capacity is %d writes, %d bytes", len(group), size, entries, limit)
		}
		commitTo(t, b, 1, group...)
		if n := len(viewDump(t, b, 1, "group/")); n != len(group) {
			t.Errorf("%d keys are there, want %d", n, len(group))
		}
	})
}

func TestBadgerRefusesMoreThanItsCapacity(t *testing.T) {
	b := openTestBadger(t, t.TempDir(), smallBadger)
	entries, limit := b.Capacity()
	many := make([]write, entries)
	for i := range many {
		many[i].key = fmt.Appendf(nil, "%d", i)
	}
	if err := b.Commit(1, many); !errors.Is(err, errRefused) {
		t.Errorf("%d writes: got %v, want a refusal", len(many), err)
	}
	commitTo(t, b, 2, many[1:]...) // just fits
	value := make([]byte, maxBackendValue)
	var large []write
	for size := int64(0); size < limit; size += int64(len(value)) {
		large = append(large, write{key: fmt.Appendf(nil, "%d", len(large)), value: value})
	}
	if err := b.Commit(3, large); !errors.Is(err, errRefused) {
		t.Errorf("%d values of 1 MiB: got %v, want a refusal", len(large), err)
	}
	over := (len(value)+writeOverhead+1)*len(large) - int(limit) + 1
	large[0].value = value[:max(0, len(value)-over)] // just fits, to the byte
	commitTo(t, b, 4, large...)
}

func TestBackendSizeGrows(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b backend) {
		before := b.Size()
		commitTo(t, b, 1, write{key: []byte("a"), value: make([]byte, 500_000)})
		if got := b.Size() - before; got < 490_000 || got > 5_000_000 {
			t.Errorf("a value of 500,000 bytes made the size grow by %d", got)
		}
	})
}

func TestBackendCollectGarbageWithNothingToDo(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b backend) {
		commitTo(t, b, 1, setOf("a", "1"))
		if err := b.CollectGarbage(); err != nil {
			t.Error(err)
		}
	})
}

func TestBackendCloseWaitsAndThenRefuses(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b backend) {
		commitTo(t, b, 1, setOf("a", "1"))
		v, closed := b.View(1), make(chan error, 1)
		go func() { closed <- b.Close() }()
		for b.CollectGarbage() == nil { // until Close has begun
		}
		if value, ok, err := v.Get([]byte("a"), nil); string(value) != "1" || !ok || err != nil {
			t.Errorf("an open view during Close gave %q %v %v", value, ok, err)
		}
		select {
		case err := <-closed:
			t.Fatalf("Close ended (%v) while a view was open", err)
		default:
		}
		v.Close()
		v.Close() // again: nothing happens
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
		checkClosed(t, b, v)
	})
}

// checkClosed makes every call on a closed backend, and on a view from before.
func checkClosed(t *testing.T, b backend, old view) {
	t.Helper()
	nothing := func(_, _ []byte) error { return nil }
	fresh := b.View(1)
	defer fresh.Close()
	for i, v := range []view{old, fresh} {
		if dst, ok, err := v.Get([]byte("a"), []byte("dst")); string(dst) != "dst" || ok || !errors.Is(err, errClosed) {
			t.Errorf("view %d: Get gave %q %v %v", i, dst, ok, err)
		}
		if err := v.Scan(nil, nothing); !errors.Is(err, errClosed) {
			t.Errorf("view %d: Scan gave %v", i, err)
		}
	}
	for name, err := range map[string]error{
		"Commit": b.Commit(2, []write{setOf("a", "2")}), "CollectGarbage": b.CollectGarbage(), "Close": b.Close(),
	} {
		if !errors.Is(err, errClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	b.Forget(2)
	b.Size()
	b.Capacity()
	if b.Last() != 1 {
		t.Errorf("Last after Close is %d, want 1", b.Last())
	}
}

func TestGateForget(t *testing.T) {
	var g gate
	var told []uint64
	forget := func(ts uint64) { g.forget(ts, func(ts uint64) { told = append(told, ts) }) }
	open := func(ts, want uint64) {
		t.Helper()
		if at, ok := g.open(ts); at != want || !ok {
			t.Errorf("a view of %d is at %d (%v), want %d", ts, at, ok, want)
		}
	}
	forget(5)
	forget(3)   // goes back: ignored
	forget(5)   // nothing new
	open(4, 5)  // may be gone: the oldest that is surely there
	open(9, 9)  //
	open(7, 7)  // out of order
	open(9, 9)  //
	forget(12)  // held back to 5, which is known
	g.done(5)   //
	forget(12)  // held back to 7
	g.done(9)   //
	g.done(7)   //
	forget(12)  // held back to 9 by the second view there
	forget(8)   // goes back: ignored
	g.done(9)   //
	forget(12)  //
	open(1, 12) //
	g.done(12)  //
	if want := []uint64{5, 7, 9, 12}; !slices.Equal(told, want) {
		t.Errorf("forgot %d, want %d", told, want)
	}
	if !g.shut() || g.shut() {
		t.Error("only the first shut may answer true")
	}
	if forget(20); len(told) != 4 {
		t.Error("a shut gate let Forget through")
	}
}

// TestBadgerOpenViewSurvivesCompaction overwrites a key many times, forgets all
// but the last version and has Badger rewrite its tables, with a view open.
func TestBadgerOpenViewSurvivesCompaction(t *testing.T) {
	b := openTestBadger(t, t.TempDir(), smallBadger)
	value := func(ts uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 1_000_000), ts) }
	const views, last = 3, 70 // enough for Badger to compact
	var open [views + 1]view
	for ts := uint64(1); ts <= last; ts++ {
		commitTo(t, b, ts, write{key: []byte("hot"), value: value(ts)})
		if ts <= views {
			open[ts] = b.View(ts)
		}
		b.Forget(ts)
	}
	if err := b.db.Flatten(1); err != nil {
		t.Fatal(err)
	}
	for ts := uint64(1); ts <= views; ts++ {
		got, ok, err := open[ts].Get([]byte("hot"), nil)
		if err != nil || !ok || !bytes.Equal(got, value(ts)) {
			t.Errorf("the view of commit %d lost its version: %v %v", ts, ok, err)
		}
		open[ts].Close()
	}
	if got := viewGet(t, b, last, "hot"); got != string(value(last)) {
		t.Error("the last version is gone")
	}
}

func TestBadgerReopenKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	b := openTestBadger(t, dir, smallBadger)
	want := map[string]string{}
	const commits = 120 // some tables and a log
	for ts := uint64(1); ts <= commits; ts++ {
		key, value := fmt.Sprintf("k%02d", ts%50), strings.Repeat(string(rune('a'+ts%26)), 100_000)
		want[key] = value
		commitTo(t, b, ts, setOf(key, value), setOf("counter", fmt.Sprint(ts)))
		b.Forget(ts)
	}
	for round := range 3 {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b = openTestBadger(t, dir, smallBadger)
		if b.Last() != commits || len(viewDump(t, b, commits, "k")) != len(want) {
			t.Fatalf("round %d: Last %d, want %d", round, b.Last(), commits)
		}
	}
	for key, value := range want {
		if viewGet(t, b, commits, key) != value {
			t.Errorf("%s has another value", key)
		}
	}
	commitTo(t, b, commits+1, setOf("counter", "next"))
}

// TestBadgerIsDurableWithoutClose copies the files of a running database, which
// is what a kill leaves, and opens the copy.
func TestBadgerIsDurableWithoutClose(t *testing.T) {
	b := openTestBadger(t, t.TempDir(), smallBadger)
	for ts := uint64(1); ts <= 9; ts++ {
		commitTo(t, b, ts, setOf("a", fmt.Sprint(ts)), setOf("b", fmt.Sprint(ts)))
	}
	dir := filepath.Join(t.TempDir(), "killed")
	if err := os.CopyFS(dir, os.DirFS(b.dir)); err != nil {
		t.Fatal(err)
	}
	// What a kill in the middle of deleting a log leaves.
	if err := os.WriteFile(filepath.Join(dir, "00000.mem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	killed := openTestBadger(t, dir, smallBadger)
	wantView(t, killed, killed.Last(), "", "a=9", "b=9")
	if killed.Last() != 9 {
		t.Errorf("Last is %d, want 9", killed.Last())
	}
}

func TestBadgerRefusesDirectoryInUse(t *testing.T) {
	b := openTestBadger(t, t.TempDir(), smallBadger)
	_, err := openBadger(b.dir, smallBadger)
	wantErrorWith(t, err, b.dir, "another process")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	openTestBadger(t, b.dir, smallBadger)
}

// closedBadger is the directory of a closed database that has at least one table.
func closedBadger(t *testing.T) string {
	t.Helper()
	b := openTestBadger(t, t.TempDir(), smallBadger)
	for ts := uint64(1); ts <= 100; ts++ {
		commitTo(t, b, ts, write{key: fmt.Appendf(nil, "k%d", ts), value: bytes.Repeat([]byte("compressible "), 100)})
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return b.dir
}

func TestBadgerRefusesLostManifest(t *testing.T) {
	dir := closedBadger(t)
	manifest := filepath.Join(dir, "MANIFEST")
	if err := os.Rename(manifest, manifest+".away"); err != nil {
		t.Fatal(err)
	}
	_, err := openBadger(dir, smallBadger)
	wantErrorWith(t, err, dir, "MANIFEST is missing", "restore a backup")
	if err := os.Rename(manifest+".away", manifest); err != nil {
		t.Fatal(err)
	}
	if b := openTestBadger(t, dir, smallBadger); b.Last() != 100 {
		t.Errorf("Last is %d, want 100: the refusal has changed something", b.Last())
	}
}

// TestBadgerRefusesDamagedTable flips one bit at a time all over a table.
func TestBadgerRefusesDamagedTable(t *testing.T) {
	dir := closedBadger(t)
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("no table (%v)", err)
	}
	good, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	restore := func(data []byte) {
		if err := os.WriteFile(tables[0], data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for at := 0; at < len(good); at += 1 + len(good)/200 {
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at % 8)
		restore(bad)
		b, err := openBadger(dir, smallBadger)
		if err == nil {
			_ = b.Close()
		}
		wantErrorWith(t, err, dir, tables[0], "damaged")
	}
	restore(good[:len(good)/2])
	_, err = openBadger(dir, smallBadger)
	wantErrorWith(t, err, tables[0], "damaged")
	restore(nil)
	_, err = openBadger(dir, smallBadger)
	wantErrorWith(t, err, tables[0], "damaged")
	restore(good)
	if b := openTestBadger(t, dir, smallBadger); len(viewDump(t, b, 100, "k")) != 100 {
		t.Error("keys are missing: a refusal has changed something")
	}
}

func wantErrorWith(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
}

func TestBadgerFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "store")
	b := openTestBadger(t, dir, smallBadger)
	mode := func(name string) os.FileMode {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	files, err := filepath.Glob(filepath.Join(b.dir, "*"))
	if err != nil || len(files) == 0 || mode(dir) != 0o700 {
		t.Fatalf("directory mode %o, %d files, %v", mode(dir), len(files), err)
	}
	for _, name := range files {
		if mode(name) != 0o600 {
			t.Errorf("%s has mode %o", name, mode(name))
		}
	}
}

func TestBadgerLeavesNoGoroutine(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	b := openTestBadger(t, t.TempDir(), smallBadger)
	commitTo(t, b, 1, setOf("a", "1"))
	wantView(t, b, 1, "", "a=1")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := openBadger(filepath.Join(b.dir, "MANIFEST", "under a file"), smallBadger)
	if err == nil {
		t.Error("a directory below a file was opened")
	}
	goleak.VerifyNone(t, ignore)
}

func TestBadgerStopsAfterFailedCommit(t *testing.T) {
	b := openTestBadger(t, t.TempDir(), smallBadger)
	commitTo(t, b, 1, setOf("a", "1"))
	b.broken = errors.New("the disk is gone")
	err := b.Commit(2, []write{setOf("a", "2")})
	wantErrorWith(t, err, "engine: badger: commit 2:", "the disk is gone")
	if b.Last() != 1 || viewGet(t, b, 2, "a") != "1" {
		t.Error("a commit went through after a failed one")
	}
}

func TestBadgerLogLevels(t *testing.T) {
	var out bytes.Buffer
	log := badgerLog{slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo}))}
	log.Errorf("error %d\n", 1)
	log.Warningf("warning %d\n", 2)
	log.Infof("information")
	log.Debugf("debug")
	log.Warningf("%s might be too small. Metrics: %s\n", "Block cache", "many")
	log.Warningf("Cache life expectancy (in seconds): %+v\n", 2)
	got := out.String()
	if strings.Count(got, "\n") != 2 || !strings.Contains(got, `level=ERROR msg="badger: error 1"`) ||
		!strings.Contains(got, `level=WARN msg="badger: warning 2"`) {
		t.Errorf("logged:\n%s", got)
	}
}
