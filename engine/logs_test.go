package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/settkv/sett/codec"
)

// killedBadger is the directory of a database that was killed with commits in
// its log only, and the log's bytes.
func killedBadger(t *testing.T, key []byte, commits uint64) (dir, log string, data []byte) {
	t.Helper()
	o := smallBadger
	o.Key = key
	b := openTestBadger(t, t.TempDir(), o)
	for ts := uint64(1); ts <= commits; ts++ {
		commitTo(t, b, ts, setOf("a", strings.Repeat("value ", 10)), setOf("b", "2"))
	}
	dir = t.TempDir()
	copyDir(t, dir, b.dir)
	log = only(t, dir, "*.mem")
	edit(t, log, func(b []byte) []byte { // most of its zeros say nothing
		data = b[:len(withoutZeros(b))+4096]
		return data
	})
	return dir, log, data
}

// TestALogProvesWhatItLost without anybody who noted it: whatever bit flips
// before the last commit, the ones behind it tell.
func TestALogProvesWhatItLost(t *testing.T) {
	for name, key := range map[string][]byte{"plain": nil, "encrypted": append(testKey[:16:16], testKey[:16]...)} {
		t.Run(name, func(t *testing.T) {
			dir, log, good := killedBadger(t, key, 5)
			o := smallBadger.withDefaults()
			o.Key = key
			used := len(withoutZeros(good))
			commit := (used - logHeader) / 5
			first := logHeader
			if key != nil {
				first = 0 // what the header says matters
			}
			for at := first; at < used; at++ {
				bad := append([]byte(nil), good...)
				bad[at] ^= 1 << (at % 8)
				if err := os.WriteFile(log, bad, 0o600); err != nil {
					t.Fatal(err)
				}
				f, err := survey(dir, o, o.badger(dir))
				if at >= 8 && at < logHeader && (err == nil || !strings.Contains(err.Error(), "header")) {
					t.Errorf("byte %d of the header: %v", at, err)
				}
				switch last := at >= used-commit-8; {
				case err == nil && f.last == 5:
					t.Errorf("byte %d of %d: nothing seen", at, used)
				case err == nil && !last, err == nil && f.last != 4:
					t.Errorf("byte %d of %d: it ends with commit %d", at, used, f.last)
				}
			}
		})
	}
}

// TestNoBitOfTheLastCommitsFlipsUnseen, of a real store and before anybody noted
// them: each is refused, or it is one of the very last commit, of which nothing
// tells whether it was written whole.
func TestNoBitOfTheLastCommitsFlipsUnseen(t *testing.T) {
	h := open(t, Badger)
	h.filled()
	h.do(&codec.Batch{Ops: []codec.Command{&codec.Set{Key: "a", Value: make([]byte, 300)}, &codec.Delete{Key: "k/01"}}})
	h.do(&codec.Touch{Key: "k/02", TTLMs: millis(1000)})
	h.do(&codec.Register{Name: "web", ID: "3", Status: codec.Passing})
	h.set("last", strings.Repeat("x", 200))
	data, err := os.ReadFile(only(t, filepath.Join(h.options.Dir, storeDir), "*.mem"))
	if err != nil {
		t.Fatal(err)
	}
	data = data[:len(withoutZeros(data))+4096]
	read := func(data []byte) (found logFile, err error) {
		r, err := newLogReader(data, func(uint64) ([]byte, error) { return nil, nil })
		if err != nil {
			return found, err
		}
		r.replay(&found)
		return found, r.prove(&found, 0)
	}
	whole, err := read(data)
	if err != nil || whole.torn {
		t.Fatalf("%+v, %v", whole, err)
	}
	var begins []int // of the last five commits
	for back := range uint64(5) {
		cut := append([]byte(nil), data...)
		for at := whole.end; ; at-- { // shorter by one commit
			clear(cut[at:])
			if found, _ := read(cut); found.last == whole.last-back-1 {
				begins = append(begins, found.end)
				break
			}
		}
	}
	for at := begins[4]; at < whole.end; at++ {
		for bit := range 8 {
			data[at] ^= 1 << bit
			found, err := read(data)
			data[at] ^= 1 << bit
			switch {
			case err != nil:
			case at < begins[0] || found.last != whole.last-1 || !found.torn:
				t.Fatalf("byte %d, bit %d, where the commits begin at %v: it ends with commit %d of %d", at, bit, begins, found.last, whole.last)
			}
		}
	}
}

// TestATornCommitIsNoDamage: wherever a crash cuts the last commit off, it was
// never acknowledged.
func TestATornCommitIsNoDamage(t *testing.T) {
	dir, log, good := killedBadger(t, nil, 3)
	used := len(withoutZeros(good))
	o := smallBadger.withDefaults()
	for at := used - (used-logHeader)/3 + 1; at < used; at++ {
		torn := append([]byte(nil), good...)
		clear(torn[at:]) // the rest never reached the disk
		if err := os.WriteFile(log, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		if f, err := survey(dir, o, o.badger(dir)); err != nil || f.last != 2 || !f.logs[0].torn {
			t.Fatalf("zeros from byte %d of %d on: %+v, %v", at, used, f, err)
		}
	}
	b := openTestBadger(t, dir, smallBadger)
	wantView(t, b, 2, "", "a="+strings.Repeat("value ", 10), "b=2")
	if b.Last() != 2 {
		t.Errorf("Last is %d", b.Last())
	}
}

// TestALogThatIsMissing between two others, or before all, leaves a hole.
func TestALogThatIsMissing(t *testing.T) {
	_, one, _ := killedBadger(t, nil, 2)
	dir, four, _ := killedBadger(t, nil, 4)
	plain := func(id uint64) ([]byte, error) {
		if id != 0 {
			return nil, errors.New("unknown")
		}
		return nil, nil
	}
	if logs, err := checkLogs(dir, plain, 0, false); err != nil || len(logs) != 1 || logs[0].first != 1 || logs[0].last != 4 {
		t.Errorf("all there: %+v, %v", logs, err)
	}
	if err := copyFile(filepath.Join(dir, "00000.mem"), one); err != nil {
		t.Fatal(err)
	}
	if _, err := checkLogs(dir, plain, 0, false); err != nil {
		t.Errorf("commits twice, as a crash while a table is made leaves them: %v", err)
	}
	edit(t, four, func(b []byte) []byte { // without its first two commits
		r, err := newLogReader(b, plain)
		at := logHeader
		for commits := 0; err == nil && commits < 2; {
			e, _ := r.entry(at)
			if at = e.end; e.fin {
				commits++
			}
		}
		return append(append([]byte(nil), b[:logHeader]...), b[at:]...)
	})
	if _, err := checkLogs(dir, plain, 0, false); err != nil {
		t.Errorf("one log after the other: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "00000.mem")); err != nil {
		t.Fatal(err)
	}
	if _, err := checkLogs(dir, plain, 0, false); err == nil || !strings.Contains(err.Error(), "begins with commit 3") {
		t.Errorf("the first is gone: %v", err)
	}
	if _, err := checkLogs(dir, plain, 2, false); err != nil {
		t.Errorf("its commits are in tables: %v", err)
	}
	if _, err := checkLogs(dir, plain, 0, true); err != nil {
		t.Errorf("losses are expected: %v", err)
	}
}

// TestAManifestThatGoesOn behind what cannot be read is damaged, one that ends
// there was cut off by a crash.
func TestAManifestThatGoesOn(t *testing.T) {
	dir := closedBadger(t)
	for range 3 {
		b := openTestBadger(t, dir, smallBadger)
		commitTo(t, b, b.Last()+1, setOf("more", "1"))
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(dir, manifestFile)
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const magic = 8
	long := append([]byte(nil), good...)
	long[magic+3] += 60 // the first changes seem to be longer
	if err := os.WriteFile(name, long, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkManifestTail(name, magic); err == nil || !strings.Contains(err.Error(), "goes on") {
		t.Errorf("a length changed: %v", err)
	}
	if err := os.WriteFile(name, good[:magic+12], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkManifestTail(name, magic); err != nil {
		t.Errorf("cut off: %v", err)
	}
}
