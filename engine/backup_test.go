package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/settkv/sett/codec"
)

// dump is everything that reads show, in JSON.
func (h *harness) dump() string {
	h.t.Helper()
	keys, err := h.ListKeys(&codec.List{Limit: codec.MaxPage, ReturnValues: true}, codec.Fit{})
	if err != nil {
		h.t.Fatal(err)
	}
	var out strings.Builder
	for i := range keys.Entries {
		fmt.Fprintln(&out, text(&keys.Entries[i]))
	}
	names, err := h.ListServices()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, name := range names {
		r := validService(&codec.GetService{Name: name, Statuses: []string{codec.Passing, codec.Warning, codec.Critical}})
		found, err := h.ReadService(r, codec.Fit{})
		if err != nil {
			h.t.Fatal(err)
		}
		for i := range found.Instances {
			fmt.Fprintln(&out, text(&found.Instances[i]))
		}
	}
	return out.String()
}

// filled gives a store one of everything.
func (h *harness) filled() {
	for i := range 30 {
		h.set(fmt.Sprintf("k/%02d", i), fmt.Sprint("value ", i))
	}
	h.do(&codec.Delete{Key: "k/05"})
	h.do(&codec.Set{Key: "binary", Value: bytes.Repeat([]byte{0xff, 0}, 50_000), TTLMs: 60_000})
	h.do(&codec.Set{Key: "empty", Value: []byte{}})
	h.do(&codec.Register{Name: "web", ID: "1", Tags: []string{"a"}, Meta: map[string]string{"b": "c"}, TTLMs: 5000, Note: "n"})
	h.do(&codec.Register{Name: "web", ID: "2", Status: "critical"})
	if err := h.SetService("data", []byte("opaque"), 0); err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) backup() string {
	h.t.Helper()
	path := filepath.Join(h.t.TempDir(), "new", "backup")
	if err := h.Backup(path); err != nil {
		h.t.Fatal(err)
	}
	return path
}

func TestABackupRestoresIntoEitherEngine(t *testing.T) {
	for _, from := range []string{Badger, Memory} {
		for _, to := range []string{Badger, Memory} {
			t.Run(from+" to "+to, func(t *testing.T) {
				a, b := open(t, from), open(t, to)
				a.filled()
				b.set("other", "goes")
				b.set("k/00", "goes too")
				b.do(&codec.Register{Name: "web", ID: "3"})
				if _, err := b.submit("x", "kv.set", &codec.Set{Key: "id", Value: []byte("1")}, []byte("p")); err != nil {
					t.Fatal(err)
				}
				b.changes()
				epoch := b.Position().Epoch
				a.time.advance(time.Second)
				if err := b.Restore(a.backup()); err != nil {
					t.Fatal(err)
				}
				at := b.Position()
				if last := a.Position().StoreRevision; at.StoreRevision != last+1 || at.Epoch <= epoch || at.Epoch <= a.Position().Epoch {
					t.Errorf("restored at %+v, the backup is at %+v", at, a.Position())
				}
				// The grace of the instance with a TTL begins anew.
				want := strings.ReplaceAll(a.dump(), fmt.Sprint(startMs+5000), fmt.Sprint(b.clock.ms()+5000))
				if got := b.dump(); got != want {
					t.Errorf("\n got %s\nwant %s", got, want)
				}
				if data, err := b.GetService("data"); err != nil || string(data) != "opaque" {
					t.Errorf("%q %v", data, err)
				}
				c := b.changes()
				if len(c) != 1 || c[0].Op != codec.OpChanged || c[0].Reason != codec.ReasonRestored || c[0].Revision != at.StoreRevision || c[0].Epoch != at.Epoch {
					t.Errorf("announced %+v", c)
				}
				b.check()
				b.set("k/00", "after")
				if to == Badger {
					id := b.Status().StoreID
					b.reopen()
					if b.Position().Epoch != at.Epoch || b.Status().StoreID != id {
						t.Errorf("reopened in %+v as %s", b.Position(), b.Status().StoreID)
					}
				}
				if b.get("k/00") != "after" || b.get("k/01") != "value 1" {
					t.Error("lost after a restart")
				}
				b.changes()
				b.time.advance(5 * time.Second)
				for b.sweep() <= 0 {
				}
				if c := b.changes(); len(c) != 1 || c[0].Op != codec.OpExpire || c[0].ID != "1" {
					t.Errorf("5 s after the restore: %+v", c)
				}
				if got := b.walkInstances(codec.GetService{Name: "web", Statuses: []string{"passing", "critical"}}, codec.Fit{}); !slices.Equal(got, []string{"2"}) {
					t.Errorf("instances after their deadline: %q", got)
				}
			})
		}
	}
}

func TestARestoreNeverRepeatsARevision(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		h.set("a", "1")
		old := h.backup()
		for i := range 10 {
			h.set("a", fmt.Sprint(i))
		}
		h.Announced(4)
		h.time.advance(-time.Minute) // the wall clock says that the epoch is older
		for i := range uint64(3) {
			if err := h.Restore(old); err != nil {
				t.Fatal(err)
			}
			if at := h.Position(); at.StoreRevision != 12+i || at.Epoch != startMs+1+i {
				t.Errorf("restored at %+v", at)
			}
			if h.get("a") != "1" || h.AnnouncedRevision() != 11+i {
				t.Errorf("a is %q, announced %d", h.get("a"), h.AnnouncedRevision())
			}
			wantDense(t, h.outboxAfter(h.AnnouncedRevision()), 12+i, 12+i)
		}
		if h.options.Kind == Badger {
			h.crash()
			if at := h.Position(); at.StoreRevision != 15 || at.Epoch != startMs+4 {
				t.Errorf("after a crash at %+v", at)
			}
		}
	})
}

// TestABackupIsOfOneRevisionWhileWritingGoesOn: each batch sets all keys to one
// number, so a backup in which they differ is torn.
func TestABackupIsOfOneRevisionWhileWritingGoesOn(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		write := func(n int) error {
			b := &codec.Batch{}
			for k := range 20 {
				b.Ops = append(b.Ops, &codec.Set{Key: fmt.Sprint("k", k), Value: fmt.Append(nil, n)})
			}
			_, err := h.Apply(context.Background(), b)
			return err
		}
		if err := write(0); err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		var writer sync.WaitGroup
		writer.Go(func() {
			for n := 1; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := write(n); err != nil {
					t.Error(err)
					return
				}
			}
		})
		for range 10 {
			var backup bytes.Buffer
			if err := h.StreamBackup(&backup); err != nil {
				t.Fatal(err)
			}
			seen := ""
			var largest uint64
			info, err := readBackup(&backup, nil, func(key, value []byte) error {
				r, err := codec.ParseRecord(key, value)
				if seen == "" {
					seen = string(r.Value)
				}
				if largest = max(largest, r.Revision); string(r.Value) != seen {
					t.Errorf("%s is %s, the first was %s", key, r.Value, seen)
				}
				return err
			})
			if err != nil || info.Revision != largest || info.Keys != 20 {
				t.Fatalf("it says revision %d, the last record has %d: %+v, %v", info.Revision, largest, info, err)
			}
		}
		close(stop)
		writer.Wait()
	}, func(o *Options) { o.CacheBytes = 1000 })
}

// TestReadsGoOnThroughARestore: they see the old contents or the new, and never
// an error.
func TestReadsGoOnThroughARestore(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		for i := range 20 {
			h.set(fmt.Sprint("k", i), "old")
		}
		path := h.backup()
		h.do(&codec.Clear{Prefix: "k", Limit: 1000})
		for i := range 20 {
			h.set(fmt.Sprint("k", i), "new")
		}
		stop := make(chan struct{})
		var readers sync.WaitGroup
		for range 2 {
			readers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					reply, err := h.ListKeys(&codec.List{Limit: 100, ReturnValues: true}, codec.Fit{})
					if err != nil || len(reply.Entries) != 20 {
						t.Errorf("%+v, %v", reply, err)
						return
					}
					for _, e := range reply.Entries {
						if string(e.Value) != string(reply.Entries[0].Value) {
							t.Errorf("%s and %s in one list", e.Value, reply.Entries[0].Value)
							return
						}
					}
					if _, err := h.Outbox(0, 1000); err != nil {
						t.Errorf("Outbox: %v", err)
						return
					}
				}
			})
		}
		for range 3 {
			if err := h.Restore(path); err != nil {
				t.Fatal(err)
			}
			h.Announced(h.Position().StoreRevision)
		}
		close(stop)
		readers.Wait()
	}, func(o *Options) { o.CacheBytes = -1 })
}

type brokenPipe struct{ left int }

func (w *brokenPipe) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func TestABackupThatCannotBeWrittenLeavesNothing(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		h.filled()
		info, err := h.WriteBackup(io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		for _, room := range []int{0, 10, int(info.Size) / 2, int(info.Size) - 1} {
			if err := h.StreamBackup(&brokenPipe{room}); !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("after %d bytes: %v", room, err)
			}
		}
		dir := t.TempDir()
		writeTo(t, filepath.Join(dir, "file"), "x")
		if err := h.Backup(filepath.Join(dir, "file", "backup")); err == nil {
			t.Error("a backup below a file")
		}
		if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := h.Backup(filepath.Join(dir, "taken")); err == nil {
			t.Error("a backup in the place of a directory")
		}
		if got := list(t, dir); got != " /file /taken" {
			t.Errorf("left behind: %s", got)
		}
		path := filepath.Join(dir, "backup")
		for range 2 { // also over an older one
			if err := h.Backup(path); err != nil {
				t.Fatal(err)
			}
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info.Mode(), err)
		}
	})
}

// TestABackupIsExactlyTheStateOfItsRevision: several writers set and delete, and
// each backup is compared with what the changes up to its revision make.
func TestABackupIsExactlyTheStateOfItsRevision(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		var mu sync.Mutex
		history := make(map[uint64][2]string) // key and value of each revision; no value: deleted
		write := func(key string, n int) error {
			value := fmt.Sprint(key, " ", n)
			var cmd codec.Command = &codec.Set{Key: key, Value: []byte(value)}
			if n%5 == 4 {
				cmd, value = &codec.Delete{Key: key}, ""
			}
			reply, err := h.Apply(context.Background(), cmd)
			if err == nil {
				mu.Lock()
				history[reply.Changed()] = [2]string{key, value}
				mu.Unlock()
			}
			return err
		}
		stop := make(chan struct{})
		var writers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() {
				for n := range 1_000_000 {
					select {
					case <-stop:
						return
					default:
					}
					// Each writer has its own keys, and deletes only what it has set.
					if err := write(fmt.Sprintf("w%d/%d", w, n/5%7), n); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		backups := make([]bytes.Buffer, 20)
		for i := range backups {
			if err := h.StreamBackup(&backups[i]); err != nil {
				t.Fatal(err)
			}
		}
		close(stop)
		writers.Wait()
		for i := range backups {
			got := make(map[string]string)
			info, err := readBackup(&backups[i], nil, func(key, value []byte) error {
				r, err := codec.ParseRecord(key, value)
				got[strings.TrimPrefix(string(key), kvPrefix)] = string(r.Value)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			want := make(map[string]string)
			for revision := range info.Revision {
				change := history[revision+1]
				if want[change[0]] = change[1]; change[1] == "" {
					delete(want, change[0])
				}
			}
			if !maps.Equal(got, want) {
				t.Errorf("at revision %d\n got %v\nwant %v", info.Revision, got, want)
			}
		}
	}, func(o *Options) { o.CacheBytes = 1000 })
}
