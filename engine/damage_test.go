package engine

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/settkv/sett/codec"
)

// ruin is a data directory of a store that was killed, to be damaged: it has a
// table, and commits that are in a write-ahead log only.
type ruin struct {
	*harness
	from string // as it was left
	want string // everything in it
	prev string // everything before the last commit
	last uint64 // revision
}

var testKey = bytes.Repeat([]byte("canary of a key,"), 2)

// newRuin makes one. noted says that DIR/identity has noted the last commit; it
// does so about once a second.
func newRuin(t *testing.T, key []byte, noted bool) *ruin {
	t.Helper()
	h := open(t, Badger, func(o *Options) { o.EncryptionKey, o.NoSync = key, false })
	for i := range 300 {
		h.set(fmt.Sprintf("first/%03d", i), strings.Repeat("a value that stays ", 1+i%7))
	}
	h.do(&codec.Register{Name: "web", ID: "1", Address: "10.0.0.1", Port: 80})
	h.reopen() // now there is a table
	for i := range 20 {
		h.set(fmt.Sprintf("second/%03d", i), "only in the log")
		h.set("first/001", fmt.Sprint("overwritten ", i))
	}
	r := &ruin{harness: h, prev: everything(h)}
	h.set("first/002", "the last commit")
	if noted {
		h.noteCommit()
	}
	r.want, r.from, r.last = everything(h), t.TempDir(), h.Position().StoreRevision
	copyDir(t, r.from, h.options.Dir)
	r.shrink(t)
	return r
}

// shrink cuts most of the zeros off that sparse files end with, to have less to
// copy.
func (r *ruin) shrink(t *testing.T) {
	t.Helper()
	for _, pattern := range []string{"store/*.mem", "store/*.vlog"} {
		edit(t, only(t, r.from, pattern), func(b []byte) []byte { return b[:len(withoutZeros(b))+8192] })
	}
}

// everything is all that a store holds and announces.
func everything(h *harness) string {
	h.t.Helper()
	var out strings.Builder
	st := h.state.Load()
	v := st.backend.View(st.commit)
	defer v.Close()
	for _, prefix := range []string{kvPrefix, svcPrefix} {
		err := v.Scan([]byte(prefix), func(key, value []byte) error {
			fmt.Fprintf(&out, "%q %x\n", key, value)
			return nil
		})
		if err != nil {
			h.t.Fatal(err)
		}
	}
	return out.String()
}

// outcome is what came of opening a damaged directory.
type outcome int

const (
	refused outcome = iota
	right           // everything is there
	older           // all but the last commit is there, and nothing else
)

// try damages a copy of the directory and opens it. A refusal must say what to
// do, must be seen by CheckDir too, and must leave everything as it was.
func (r *ruin) try(t *testing.T, what string, damage func(dir string)) (outcome, error) {
	t.Helper()
	dir, before := t.TempDir(), t.TempDir()
	copyDir(t, dir, r.from)
	damage(dir)
	copyDir(t, before, dir)
	report, checkErr := CheckDir(dir, r.options.EncryptionKey)
	sameDir(t, what+", after CheckDir", dir, before)
	options := r.options
	options.Dir = dir
	e, err := Open(options)
	if err != nil {
		if checkErr == nil && len(report.Problems) == 0 {
			t.Errorf("%s: CheckDir finds nothing, but opening: %v", what, err)
		}
		if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "put ") && !strings.Contains(err.Error(), "restore ") {
			t.Errorf("%s: the error does not say where, or what to do: %v", what, err)
		}
		if !strings.Contains(err.Error(), "two stores were mixed") { // which only the opened store tells
			sameDir(t, what+", refused", dir, before)
		}
		return refused, err
	}
	h := &harness{store: e.(*store), t: t}
	defer h.close()
	switch got := everything(h); {
	case got == r.want && h.Position().StoreRevision >= r.last:
		return right, nil
	case got == r.prev:
		return older, nil
	default:
		t.Errorf("%s: it opens with other data (CheckDir: %v %v)", what, report.Problems, checkErr)
		return right, nil
	}
}

// sameDir fails unless two directories hold the same files.
func sameDir(t *testing.T, what, got, want string) {
	t.Helper()
	list := func(dir string) map[string]string {
		files := map[string]string{}
		for _, pattern := range []string{"*", "*/*"} {
			names, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				data, _ := os.ReadFile(name) // a directory has no bytes
				rel, _ := filepath.Rel(dir, name)
				files[rel] = string(withoutZeros(data))
			}
		}
		return files
	}
	a, b := list(got), list(want)
	for name := range b {
		if a[name] != b[name] {
			t.Errorf("%s: %s was changed", what, name)
		}
	}
	if len(a) != len(b) {
		t.Errorf("%s: %d files, there were %d", what, len(a), len(b))
	}
}

func kinds(t *testing.T, noted bool, test func(t *testing.T, r *ruin)) {
	for name, key := range map[string][]byte{"plain": nil, "encrypted": testKey} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newRuin(t, key, noted))
		})
	}
}

// only is the one file of a directory that fits a pattern.
func only(t *testing.T, dir, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(names), err)
	}
	return names[len(names)-1]
}

// edit changes a file's bytes.
func edit(t *testing.T, name string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, change(data), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestDamagedFiles damages a directory in every way that is known to happen.
// None opens with wrong data.
func TestDamagedFiles(t *testing.T) {
	kinds(t, true, func(t *testing.T, r *ruin) {
		remove := func(pattern string) func(string) {
			return func(dir string) {
				if err := os.RemoveAll(only(t, dir, pattern)); err != nil {
					t.Fatal(err)
				}
			}
		}
		cut := func(pattern string, keep func(size int) int) func(string) {
			return func(dir string) {
				edit(t, only(t, dir, pattern), func(b []byte) []byte { return b[:keep(len(withoutZeros(b)))] })
			}
		}
		half := func(size int) int { return size / 2 }
		other, older := newRuin(t, r.options.EncryptionKey, true).from, r.earlier(t)
		for what, c := range map[string]struct {
			damage func(dir string)
			want   outcome
			says   string
		}{
			"MANIFEST lost":           {remove("store/MANIFEST"), refused, "MANIFEST is missing"},
			"identity lost":           {remove("identity"), refused, "identity is gone"},
			"identity cut":            {cut("identity", half), refused, "identity is damaged"},
			"identity of another":     {replaceWith(t, other, "identity"), refused, "store"},
			"data of another":         {replaceWith(t, other, "store"), refused, "store"},
			"an older store":          {replaceWith(t, older, "store"), refused, "older copy"},
			"an older identity":       {replaceWith(t, older, "identity"), right, ""},
			"an older MANIFEST":       {replaceWith(t, older, "store/MANIFEST"), refused, "restore"},
			"a table lost":            {remove("store/*.sst"), refused, ".sst"},
			"a table cut":             {cut("store/*.sst", half), refused, ".sst is damaged"},
			"a table empty":           {cut("store/*.sst", func(int) int { return 0 }), refused, ".sst is damaged"},
			"the log lost":            {remove("store/*.mem"), refused, "older copy"},
			"the log cut in an entry": {cut("store/*.mem", func(size int) int { return size - 20 }), refused, ".mem is damaged"},
			"the log cut":             {cut("store/*.mem", half), refused, "restore"},
			"the log's header cut":    {cut("store/*.mem", func(int) int { return 10 }), refused, ".mem is damaged"},
			"the log empty":           {cut("store/*.mem", func(int) int { return 0 }), refused, "older copy"},
			"an empty log more":       {emptyFile(t, "store/00000.mem"), right, ""},
			"the value log lost":      {remove("store/*.vlog"), right, ""},
			"the value log cut":       {cut("store/*.vlog", func(int) int { return 10 }), right, ""},
			"MANIFEST cut":            {cut("store/MANIFEST", half), refused, "restore"},
			"MANIFEST empty":          {cut("store/MANIFEST", func(int) int { return 0 }), refused, "MANIFEST is damaged"},
			"the store gone":          {remove("store"), refused, "is gone"},
		} {
			got, err := r.try(t, what, c.damage)
			if got != c.want || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: outcome %d, want %d: %v", what, got, c.want, err)
			}
		}
		if r.options.EncryptionKey == nil {
			return
		}
		for what, damage := range map[string]func(string){
			"KEYREGISTRY lost":       remove("store/KEYREGISTRY"),
			"KEYREGISTRY of another": replaceWith(t, other, "store/KEYREGISTRY"),
			"KEYREGISTRY cut":        cut("store/KEYREGISTRY", half),
		} {
			if got, err := r.try(t, what, damage); got != refused {
				t.Errorf("%s: outcome %d, %v", what, got, err)
			}
		}
	})
}

// earlier is a copy of the directory before the last run of the store.
func (r *ruin) earlier(t *testing.T) string {
	t.Helper()
	h := &harness{t: t, options: r.options, feed: codec.FeedLive}
	h.options.Dir = t.TempDir()
	copyDir(t, h.options.Dir, r.from)
	h.open()
	h.close() // which brings the tables to the state of from
	older := t.TempDir()
	copyDir(t, older, h.options.Dir)
	for range 2 {
		h.open()
		for range 10 {
			h.set("first/003", "beyond the older copy")
		}
		if r.last == 0 {
			break
		}
		r.last = 0
		h.close() // a table more
	}
	h.noteCommit()
	r.want, r.last = everything(h), h.Position().StoreRevision
	r.from = t.TempDir()
	copyDir(t, r.from, h.options.Dir)
	r.shrink(t)
	h.close()
	return older
}

func replaceWith(t *testing.T, from, name string) func(string) {
	return func(dir string) {
		to := filepath.Join(dir, name)
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(from, name))
		if err == nil && info.IsDir() {
			copyDir(t, to, filepath.Join(from, name))
		} else if err == nil {
			err = copyFile(to, filepath.Join(from, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func emptyFile(t *testing.T, name string) func(string) {
	return func(dir string) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// flips damages each file at many places by one bit.
func (r *ruin) flips(t *testing.T, pattern string, places int, each func(at int, got outcome, err error)) {
	t.Helper()
	name, _ := filepath.Rel(r.from, only(t, r.from, pattern))
	good, err := os.ReadFile(filepath.Join(r.from, name))
	if err != nil {
		t.Fatal(err)
	}
	size := len(withoutZeros(good))
	if size == 0 {
		return
	}
	at := []int{}
	for i := range places { // the beginning and the end, and in between
		at = append(at, min(i, size-1), max(0, size-1-i), i*size/places)
	}
	slices.Sort(at)
	for _, at := range slices.Compact(at) {
		got, err := r.try(t, fmt.Sprintf("%s, bit %d of byte %d", name, at%8, at), func(dir string) {
			edit(t, filepath.Join(dir, name), func(b []byte) []byte { b[at] ^= 1 << (at % 8); return b })
		})
		each(at, got, err)
	}
}

// TestFlippedBits: whichever bit flips in whichever file, the store is refused
// or is right.
func TestFlippedBits(t *testing.T) {
	kinds(t, true, func(t *testing.T, r *ruin) {
		for pattern, mayBeRight := range map[string]bool{
			"identity": false, "store/*.sst": false, "store/MANIFEST": true, "store/*.mem": true, // what a plain log's IV says means nothing
			"store/KEYREGISTRY": true, "store/*.vlog": true, "store/DISCARD": true,
		} {
			refusals := 0
			r.flips(t, pattern, 8, func(at int, got outcome, err error) {
				if got == refused {
					refusals++
				}
				if got == older || got == right && !mayBeRight {
					t.Errorf("%s, byte %d: it opens (%d)", pattern, at, got)
				}
			})
			if refusals == 0 && pattern != "store/*.vlog" && pattern != "store/DISCARD" && (pattern != "store/KEYREGISTRY" || r.options.EncryptionKey != nil) {
				t.Errorf("%s: nothing was ever refused", pattern)
			}
		}
	})
}

// TestFlippedBitsOfAnUnnotedLog: where DIR/identity has not yet noted the last
// commit, damage in that one commit cannot be told from a write that a crash
// cut off. Anything before it can.
func TestFlippedBitsOfAnUnnotedLog(t *testing.T) {
	kinds(t, false, func(t *testing.T, r *ruin) {
		data, err := os.ReadFile(only(t, r.from, "store/*.mem"))
		if err != nil {
			t.Fatal(err)
		}
		lastBytes := len(withoutZeros(data)) - 600 // more than a commit takes
		r.flips(t, "store/*.mem", 15, func(at int, got outcome, err error) {
			if got == older && at < lastBytes {
				t.Errorf("byte %d: commits before the last are gone", at)
			}
		})
	})
}

// TestALossyLogIsNotRefused: commits that were not synced may be lost when the
// system is started again.
func TestALossyLogIsNotRefused(t *testing.T) {
	r := newRuin(t, nil, true)
	edit(t, filepath.Join(r.from, identityFile), func([]byte) []byte {
		id, err := readIdentity(r.from)
		if err != nil {
			t.Fatal(err)
		}
		id.NoSync, id.Boot = true, "another"
		if err := id.save(r.from); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(r.from, identityFile))
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
	edit(t, only(t, r.from, "store/*.mem"), func(b []byte) []byte { b[300] ^= 1; return b })
	h := &harness{t: t, feed: codec.FeedLive, options: r.options}
	h.options.Dir, h.options.Log = r.from, slog.New(slog.DiscardHandler)
	h.open()
	defer h.close()
	if c := h.changes(); len(c) == 0 || c[len(c)-1].Reason != codec.ReasonRewound {
		t.Errorf("lost commits open no epoch: %+v", c)
	}
}
