package engine

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/settkv/sett/codec"
)

// fileOf writes a store's backup to a file.
func (h *harness) fileOf() string {
	h.t.Helper()
	path := filepath.Join(h.t.TempDir(), "backup")
	if err := h.Backup(path); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// stopped is a data directory with a store in it, at revision n, that does not
// run.
func stopped(t *testing.T, n int) (dir string) {
	t.Helper()
	h := open(t, Badger)
	for range n {
		h.set("old", "1")
	}
	h.close()
	return h.options.Dir
}

// openDir opens what is in a directory.
func openDir(t *testing.T, dir string) *harness {
	t.Helper()
	return open(t, Badger, func(o *Options) { o.Dir = dir })
}

func mustRestoreDir(t *testing.T, path, dir string, replace bool) RestoreInfo {
	t.Helper()
	info, err := RestoreDir(path, dir, RestoreOptions{Replace: replace})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// wantFiles fails unless a data directory has exactly these entries.
func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != strings.Join(want, " ") {
		t.Errorf("%s has %s, want %s", dir, got, want)
	}
}

func TestRestoreDirIntoAnEmptyOne(t *testing.T) {
	engines(t, func(t *testing.T, from *harness) {
		from.filled()
		dir := filepath.Join(t.TempDir(), "new", "data")
		path := from.fileOf()
		info := mustRestoreDir(t, path, dir, false)
		if info.Into != from.identity.StoreID || info.Replaced || info.Lost != "" || info.Revision != from.Position().StoreRevision {
			t.Errorf("%+v", info)
		}
		wantFiles(t, dir, "identity", "store")
		if id, err := readIdentity(dir); err != nil || id.Fresh {
			t.Errorf("%+v, %v", id, err)
		}
		h := openDir(t, dir)
		if at := h.Position(); at.StoreRevision != info.Revision+1 || at.Epoch <= info.Epoch || h.identity.StoreID != info.StoreID {
			t.Errorf("%s at %+v, the backup is of %+v", h.identity.StoreID, at, info)
		}
		if got := h.dump(); got != from.dump() {
			t.Errorf("\n got %s\nwant %s", got, from.dump())
		}
		at := h.Position()
		if h.reopen(); h.Position() != at {
			t.Errorf("opened again at %+v, before at %+v", h.Position(), at)
		}
		h.close()
		if _, err := RestoreDir(path, dir, RestoreOptions{}); err == nil || !strings.Contains(err.Error(), "holds a store already") {
			t.Errorf("restored over a store: %v", err)
		}
	})
}

func TestRestoreDirReplaces(t *testing.T) {
	for name, c := range map[string]struct{ old, backup int }{"an older store": {3, 7}, "a newer store": {7, 3}} {
		t.Run(name, func(t *testing.T) {
			from := open(t, Memory)
			for range c.backup {
				from.set("new", "1")
			}
			dir := stopped(t, c.old)
			before := openDir(t, dir)
			id, epoch := before.identity.StoreID, before.Position().Epoch
			before.close()
			info := mustRestoreDir(t, from.fileOf(), dir, true)
			if info.Into != id || !info.Replaced || info.Lost != "" || info.StoreID == id {
				t.Errorf("%+v, the store was %s", info, id)
			}
			wantFiles(t, dir, "identity", "store")
			h := openDir(t, dir)
			at := h.Position()
			if at.StoreRevision != uint64(max(c.old, c.backup)+1) || at.Epoch <= epoch || at.Epoch <= info.Epoch || h.identity.StoreID != id {
				t.Errorf("%s at %+v after %+v", h.identity.StoreID, at, info)
			}
			keys, err := h.List("")
			if err != nil || strings.Join(keys, " ") != "new" {
				t.Errorf("it has the keys %q: %v", keys, err)
			}
			changes := h.changes()
			if len(changes) != 1 || changes[0].Reason != codec.ReasonRestored || changes[0].Revision != at.StoreRevision {
				t.Errorf("announced %+v", changes)
			}
			h.set("new", "2")
			h.reopen()
		})
	}
}

// TestRestoreDirTellsACrashedStartToo: a process that is killed right after it
// has opened a restored directory does not swallow the epoch.
func TestRestoreDirTellsACrashedStartToo(t *testing.T) {
	from := open(t, Memory)
	from.set("a", "1")
	dir := stopped(t, 5)
	mustRestoreDir(t, from.fileOf(), dir, true)
	h := openDir(t, dir)
	epoch := h.Position().Epoch
	h.crash()
	if c := h.changes(); len(c) == 0 || c[0].Reason != codec.ReasonRestored || c[0].Revision != 6 || c[0].Epoch != epoch {
		t.Errorf("announced %+v", c)
	}
}

// TestRestoreDirGivesGrace: an instance that could not heartbeat since the
// backup gets its whole TTL, a key that is past its deadline stays gone.
func TestRestoreDirGivesGrace(t *testing.T) {
	from := open(t, Memory)
	from.do(&codec.Set{Key: "short", Value: []byte("1"), TTLMs: 5000})
	from.do(&codec.Register{Name: "web", ID: "1", TTLMs: 5000})
	clock := newTestClock()
	clock.advance(time.Hour)
	old := open(t, Badger, func(o *Options) { o.Now = clock.Now }) // whose time is behind the deadlines
	old.set("old", "1")
	old.close()
	path, dir := from.fileOf(), old.options.Dir
	mustRestoreDir(t, path, dir, true)
	h := open(t, Badger, func(o *Options) { o.Dir, o.Now = dir, clock.Now })
	if _, err := h.Get("short"); !errors.Is(err, codec.ErrNotFound) {
		t.Errorf("a key past its deadline: %v", err)
	}
	found, err := h.ReadService(validService(&codec.GetService{Name: "web"}), codec.Fit{})
	if err != nil || len(found.Instances) != 1 || found.Instances[0].ExpiresAtMs != clock.Now().UnixMilli()+5000 {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestRestoreDirRefuses(t *testing.T) {
	from := open(t, Memory)
	from.set("a", "1")
	good := from.fileOf()
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(t.TempDir(), "damaged")
	data[len(data)-1] ^= 1
	writeTo(t, damaged, string(data))
	none := filepath.Join(t.TempDir(), "none")
	if _, err := RestoreDir(damaged, none, RestoreOptions{Replace: true}); !errors.Is(err, ErrBackupDamaged) || !strings.Contains(err.Error(), damaged) {
		t.Errorf("a damaged file: %v", err)
	}
	if _, err := RestoreDir(none, none, RestoreOptions{Replace: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := os.Stat(none); err == nil {
		t.Error("a refused file has made a directory")
	}
	running := open(t, Badger)
	running.set("a", "2")
	for _, replace := range []bool{false, true} {
		if _, err := RestoreDir(good, running.options.Dir, RestoreOptions{Replace: replace}); err == nil || !strings.Contains(err.Error(), "another process uses") {
			t.Errorf("a directory in use: %v", err)
		}
	}
	if _, err := BackupDir(running.options.Dir, new(bytes.Buffer), BackupOptions{}); err == nil || !strings.Contains(err.Error(), "another process uses") {
		t.Errorf("a backup of a directory in use: %v", err)
	}
	running.reopen()
	if running.get("a") != "2" {
		t.Error("a refused restore has changed something")
	}
	newer := stopped(t, 1)
	writeTo(t, filepath.Join(newer, identityFile), `{"store_id":"x","format":99}`)
	if _, err := RestoreDir(good, newer, RestoreOptions{Replace: true}); err == nil || !strings.Contains(err.Error(), "format 99") {
		t.Errorf("the directory of a newer program: %v", err)
	}
}

// TestRestoreDirMendsWhatIsDamaged: that is what a backup is for.
func TestRestoreDirMendsWhatIsDamaged(t *testing.T) {
	from := open(t, Memory)
	from.set("a", "1")
	path := from.fileOf()
	remove := func(name string) func(dir string) error {
		return func(dir string) error { return os.RemoveAll(filepath.Join(dir, name)) }
	}
	for what, c := range map[string]struct {
		damage func(dir string) error
		own    bool // the directory keeps its id
		lost   bool // the old counters are gone
	}{
		"no identity":     {remove(identityFile), false, false},
		"no data":         {remove(storeDir), true, false},
		"no manifest":     {remove(storeDir + "/MANIFEST"), true, true},
		"broken identity": {func(dir string) error { return os.WriteFile(filepath.Join(dir, identityFile), []byte("{"), 0o600) }, false, false},
		"broken manifest": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, storeDir, "MANIFEST"), []byte("x"), 0o600)
		}, true, true},
		"a restore undone": {func(dir string) error {
			return os.Rename(filepath.Join(dir, storeDir), filepath.Join(dir, storeDir+replacedSuffix))
		}, true, false},
	} {
		t.Run(what, func(t *testing.T) {
			dir := stopped(t, 5)
			id, err := readIdentity(dir)
			if err == nil {
				err = c.damage(dir)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := RestoreDir(path, dir, RestoreOptions{}); err == nil {
				t.Error("restored without being told to replace")
			}
			info := mustRestoreDir(t, path, dir, true)
			if (info.Into == id.StoreID) != c.own || (info.Lost != "") != c.lost || !info.Replaced {
				t.Errorf("%+v, the store was %s", info, id.StoreID)
			}
			wantFiles(t, dir, "identity", "store")
			if h := openDir(t, dir); h.get("a") != "1" {
				t.Error("nothing restored")
			}
		})
	}
}

// TestRestoreDirBelievesTheIdentity where the old counters are gone: a commit
// number or a revision that was used is not used again.
func TestRestoreDirBelievesTheIdentity(t *testing.T) {
	from := open(t, Memory)
	from.set("a", "1")
	dir := stopped(t, 5)
	id, err := readIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	id.Committed, id.Reserved = 1000, 5_000_000
	if err := errors.Join(id.save(dir), os.RemoveAll(filepath.Join(dir, storeDir))); err != nil {
		t.Fatal(err)
	}
	mustRestoreDir(t, from.fileOf(), dir, true)
	if h := openDir(t, dir); h.Position().StoreRevision != 5_000_001 || h.state.Load().commit <= 1000 {
		t.Errorf("at %+v, commit %d", h.Position(), h.state.Load().commit)
	}
}

// TestARestoreThatWasKilled: whatever it has left, the next opening finds the
// old data or the new one whole, and removes the rest.
func TestARestoreThatWasKilled(t *testing.T) {
	from := open(t, Memory)
	from.set("new", "1")
	path := from.fileOf()
	restored := t.TempDir() // what a whole restore makes
	mustRestoreDir(t, path, restored, false)
	at := func(dir, suffix string) string { return filepath.Join(dir, storeDir+suffix) }
	half := func(dir string) error { // of the new data, cut off anywhere
		return errors.Join(os.MkdirAll(at(dir, restoringSuffix), 0o700), os.WriteFile(filepath.Join(at(dir, restoringSuffix), "000001.mem"), []byte("x"), 0o600))
	}
	whole := func(dir, suffix string) error { return os.CopyFS(at(dir, suffix), os.DirFS(at(restored, ""))) }
	for what, c := range map[string]struct {
		leave func(dir string) error
		want  string
	}{
		"while filling": {half, "old"},
		"filled":        {func(dir string) error { return whole(dir, restoringSuffix) }, "old"},
		"between the renames": {func(dir string) error {
			return errors.Join(os.Rename(at(dir, ""), at(dir, replacedSuffix)), whole(dir, restoringSuffix))
		}, "old"},
		"before the removal": {func(dir string) error {
			return errors.Join(os.Rename(at(dir, ""), at(dir, replacedSuffix)), whole(dir, ""))
		}, "new"},
		"in the removal": {func(dir string) error {
			return errors.Join(os.RemoveAll(at(dir, "")), whole(dir, ""), os.MkdirAll(at(dir, replacedSuffix), 0o700))
		}, "new"},
		"an older one's remains": {func(dir string) error { return errors.Join(half(dir), os.MkdirAll(at(dir, replacedSuffix), 0o700)) }, "old"},
	} {
		t.Run(what, func(t *testing.T) {
			dir := stopped(t, 5)
			if err := c.leave(dir); err != nil {
				t.Fatal(err)
			}
			h := openDir(t, dir)
			keys, err := h.List("")
			if err != nil || strings.Join(keys, " ") != c.want {
				t.Errorf("it has the keys %q, want %s: %v", keys, c.want, err)
			}
			wantFiles(t, dir, "identity", "store")
			h.close()
			mustRestoreDir(t, path, dir, true)
			if h = openDir(t, dir); h.get("new") != "1" {
				t.Error("a second restore")
			}
		})
	}
	// Into an empty directory: the identity is there, the data is not.
	dir := t.TempDir()
	if err := (identity{StoreID: "x", Format: formatVersion, Fresh: true}).save(dir); err != nil {
		t.Fatal(err)
	}
	if err := half(dir); err != nil {
		t.Fatal(err)
	}
	if info := mustRestoreDir(t, path, dir, false); info.Into != from.identity.StoreID || info.Replaced {
		t.Errorf("%+v", info)
	}
	if h := openDir(t, dir); h.get("new") != "1" {
		t.Error("a second try")
	}
}

// TestBackupDir writes what the running store would, and leaves no trace.
func TestBackupDir(t *testing.T) {
	h := open(t, Badger)
	h.filled()
	h.set("k/00", "last")
	var live, cold bytes.Buffer
	if err := h.StreamBackup(&live); err != nil {
		t.Fatal(err)
	}
	at, dir := h.Position(), h.options.Dir
	h.close()
	info, err := BackupDir(dir, &cold, BackupOptions{})
	if err != nil || info.StoreID != h.identity.StoreID || info.Revision != at.StoreRevision || info.Epoch != at.Epoch {
		t.Fatalf("%+v, %v", info, err)
	}
	if got, want := parts(t, cold.Bytes()), parts(t, live.Bytes()); !bytes.Equal(got[1].payload, want[1].payload) {
		t.Error("the records differ")
	}
	if h = openDir(t, dir); h.Position() != at {
		t.Errorf("opened at %+v, was at %+v", h.Position(), at)
	}
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		if _, err := BackupDir(dir, new(bytes.Buffer), BackupOptions{}); err == nil || !strings.Contains(err.Error(), "holds no store") {
			t.Errorf("of nothing: %v", err)
		}
	}
}
