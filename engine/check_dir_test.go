package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/settkv/sett/codec"
)

// TestCheckDirTellsWhatIsThere of stores that were closed and killed, and
// changes nothing.
func TestCheckDirTellsWhatIsThere(t *testing.T) {
	for name, key := range map[string][]byte{"plain": nil, "encrypted": testKey} {
		t.Run(name, func(t *testing.T) {
			h := open(t, Badger, withKey(key))
			h.filled()
			if _, err := h.submit("id", "kv.set", &codec.Set{Key: "last", Value: []byte("1")}, []byte("x")); err != nil {
				t.Fatal(err)
			}
			h.noteCommit()
			killed := t.TempDir()
			copyDir(t, killed, h.options.Dir)
			status := h.Status()
			if _, err := CheckDir(h.options.Dir, key); err == nil || !strings.Contains(err.Error(), "another process") {
				t.Errorf("of a running store: %v", err)
			}
			h.close()
			for what, dir := range map[string]string{"closed": h.options.Dir, "killed": killed} {
				before := t.TempDir()
				copyDir(t, before, dir)
				r, err := CheckDir(dir, key)
				if err != nil || len(r.Problems) > 0 {
					t.Fatalf("%s: %v, %q", what, err, r.Problems)
				}
				if r.StoreID != status.StoreID || r.Revision != status.StoreRevision || r.Epoch != status.Epoch ||
					r.Keys != status.Keys || r.Instances != status.Instances || r.MessageIDs != 1 || r.Deadlines != 2 ||
					r.Clean != (what == "closed") || (r.Tables > 0) != r.Clean || (r.Logs > 0) == r.Clean || r.Encrypted != (key != nil) {
					t.Errorf("%s: %+v, the status was %+v", what, r, status)
				}
				sameDir(t, what, dir, before)
			}
		})
	}
	dir := stopped(t, 1)
	if err := os.Rename(filepath.Join(dir, storeDir), filepath.Join(dir, storeDir+replacedSuffix)); err != nil {
		t.Fatal(err)
	}
	if r, err := CheckDir(dir, nil); err != nil || len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "a restore was cut off") {
		t.Errorf("a restore that was cut off: %v, %q", err, r.Problems)
	}
	if _, err := CheckDir(t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "holds no store") {
		t.Errorf("an empty directory: %v", err)
	}
}

// TestCheckDirFindsWhatDoesNotAgree: data whose checksums are right, but which
// no store would write.
func TestCheckDirFindsWhatDoesNotAgree(t *testing.T) {
	key := func(name string, r codec.Record) write {
		return write{key: []byte(name), value: codec.AppendRecord(nil, []byte(name), &r)}
	}
	instance := codec.Append(nil, codec.Msgpack, &codec.InstanceRecord{Instance: codec.Instance{Name: "web", ID: "1"}})
	part := func(p codec.Part, c codec.Change) write {
		k := outboxKey(p.Last)
		return write{key: k, value: codec.SealPart(codec.AppendChange(codec.AppendPart(nil, &p), &c, true), 0, k)}
	}
	for says, w := range map[string][]write{
		"created at 9":         {key("kv:x", codec.Record{Revision: 1, Created: 9})},
		"the store was at 3":   {key("kv:x", codec.Record{Revision: 99, Created: 1})},
		"the deadline 5":       {key("kv:x", codec.Record{Revision: 1, Created: 1, ExpiresAtMs: 5})},
		"a TTL of -1":          {key("kv:x", codec.Record{Revision: 1, Created: 1, TTLMs: -1, ExpiresAtMs: 5})},
		`the record "kv:x\n"`:  {key("kv:x\n", codec.Record{Revision: 1, Created: 1})},
		`holds the instance`:   {key("svc:web\x002", codec.Record{Revision: 1, Created: 1, Value: instance})},
		"is damaged":           {{key: []byte("kv:x"), value: []byte("no record at all")}},
		"two records have":     {key("kv:x", codec.Record{Revision: 1, Created: 1}), key("kv:y", codec.Record{Revision: 1, Created: 1})},
		"no known kind":        {{key: []byte("what:x"), value: []byte("y")}},
		"outbox ends at":       {part(codec.Part{Last: 1}, codec.Change{Op: codec.OpDelete, Key: "a", Revision: 1, CommitRevision: 1})},
		"is of commit 999":     {part(codec.Part{Last: 3, Commit: 999}, codec.Change{Op: codec.OpDelete, Key: "a", Revision: 3, CommitRevision: 3})},
		"the change of":        {part(codec.Part{Last: 3}, codec.Change{Op: codec.OpDelete, Key: "a", Revision: 2, CommitRevision: 3})},
		"value of revision 3":  {part(codec.Part{Last: 3}, codec.Change{Op: codec.OpSet, Key: "a0", Revision: 3, CommitRevision: 3})},
		"there is no record":   {part(codec.Part{Last: 3}, codec.Change{Op: codec.OpSet, Key: "none", Revision: 3, CommitRevision: 3})},
		"message ids":          {{key: idsKey(999), value: codec.Seal((&remembrance{result: []byte("x")}).append(nil), idsKey(999))}},
		"the counters are dam": {{key: []byte(metaKey), value: codec.Seal([]byte{0xff}, []byte(metaKey))}},
		"are of store other":   {(&meta{revision: 3, announced: 3, clean: leftClosed, store: "other"}).write()},
		"are reserved":         {(&meta{revision: 1 << 40, announced: 1 << 40, clean: leftClosed}).write()},
		"only 1 were announc":  {(&meta{revision: 3, announced: 1, clean: leftClosed}).write()},
	} {
		t.Run(says, func(t *testing.T) {
			h := open(t, Badger)
			for i := range 3 {
				h.set(fmt.Sprint("a", i), "1")
			}
			h.Announced(3)
			h.close()
			b := openTestBadger(t, filepath.Join(h.options.Dir, storeDir), badgerOptions{})
			commitTo(t, b, b.Last()+1, w...)
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			r, err := CheckDir(h.options.Dir, nil)
			if err != nil || !strings.Contains(strings.Join(r.Problems, "\n"), says) {
				t.Errorf("%v, %q", err, r.Problems)
			}
		})
	}
}

// TestCheckReportIsBounded however much is wrong.
func TestCheckReportIsBounded(t *testing.T) {
	var r CheckReport
	for range maxProblems {
		r.failed(errors.Join(errDisk, errors.Join(errDisk, errDisk)))
	}
	if len(r.Problems) != maxProblems || r.More != 2*maxProblems {
		t.Errorf("%d problems and %d more", len(r.Problems), r.More)
	}
}
