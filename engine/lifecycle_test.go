package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/settkv/sett/codec"
)

func TestCloseAnswersWhatWasSubmittedAndRefusesTheRest(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		h.set("a", "1")
		tx, err := h.BeginTx()
		if err != nil {
			t.Fatal(err)
		}
		answered := 0
		var submitters sync.WaitGroup
		slow := h.slowCommits()
		for i := range 100 {
			r := &Request{Command: &codec.Set{Key: fmt.Sprint("k", i), Value: []byte{}}, Done: func(_ codec.Reply, err error) {
				if err == nil {
					answered++
				}
			}}
			if err := h.Submit(r); err != nil {
				t.Fatal(err)
			}
		}
		<-slow.committing
		closed := make(chan error)
		h.closed = true
		go func() { closed <- h.Close() }()
		for !h.store.closed.Load() {
			runtime.Gosched()
		}
		h.wantUnavailable() // while it is closing
		stop := make(chan struct{})
		go func() { // the rest of the commits, and that of Close
			for {
				select {
				case slow.proceed <- struct{}{}:
				case <-slow.committing:
				case <-stop:
					return
				}
			}
		}()
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
		close(stop)
		submitters.Wait()
		if answered != 100 {
			t.Errorf("%d of 100 answered", answered)
		}
		h.wantUnavailable()
		_, err = tx.Get("a")
		wantCode(t, err, codec.Unavailable, "a transaction's Get")
		if err := tx.Set("a", nil); err != nil {
			t.Error(err)
		}
		wantCode(t, tx.Commit(), codec.Unavailable, "a transaction's Commit")
		if err := h.Close(); err != nil {
			t.Errorf("a second Close: %v", err)
		}
		if h.options.Kind == Badger {
			h.open()
			if keys, err := h.List("k"); err != nil || len(keys) != 100 {
				t.Errorf("%d keys after a restart, %v", len(keys), err)
			}
		}
	})
}

func TestADataDirectoryThatLostSomethingIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(t *testing.T, dir string)
		says string
	}{
		"no identity": {func(t *testing.T, dir string) { remove(t, filepath.Join(dir, identityFile)) }, "identity is gone"},
		"no manifest": {func(t *testing.T, dir string) { remove(t, filepath.Join(dir, storeDir, "MANIFEST")) }, "MANIFEST is missing"},
		"no store":    {func(t *testing.T, dir string) { remove(t, filepath.Join(dir, storeDir)) }, "is gone"},
		"a torn identity": {func(t *testing.T, dir string) {
			writeTo(t, filepath.Join(dir, identityFile), `{"store_id":`)
		}, "damaged"},
		"an empty identity": {func(t *testing.T, dir string) { writeTo(t, filepath.Join(dir, identityFile), "") }, "damaged"},
		"a newer format": {func(t *testing.T, dir string) {
			writeTo(t, filepath.Join(dir, identityFile), `{"store_id":"abc","format":99}`)
		}, "format 99"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, Badger)
			h.set("a", "1")
			h.close()
			kept := t.TempDir()
			copyDir(t, kept, h.options.Dir)
			c.harm(t, h.options.Dir)
			files := list(t, h.options.Dir)
			if _, err := Open(h.options); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("opened: %v, want an error that says %q", err, c.says)
			}
			if after := list(t, h.options.Dir); after != files {
				t.Errorf("the refused directory has %s, had %s", after, files)
			}
			h.options.Dir = kept
			h.open()
			if h.get("a") != "1" {
				t.Error("the copy lost its key")
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func writeTo(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// list names everything below a directory.
func list(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		names = append(names, strings.TrimPrefix(path, dir))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

func TestTheStoreKeepsItsIdAndIsPrivate(t *testing.T) {
	h := open(t, Badger)
	id := h.Status().StoreID
	if len(id) < 16 {
		t.Errorf("store id %q", id)
	}
	h.reopen()
	if again := h.Status().StoreID; again != id {
		t.Errorf("store id %q, was %q", again, id)
	}
	if _, err := Open(h.options); err == nil {
		t.Error("a directory in use was opened again")
	}
	for path, want := range map[string]os.FileMode{identityFile: 0o600, storeDir: 0o700} {
		info, err := os.Stat(filepath.Join(h.options.Dir, path))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v, want %v", path, info.Mode(), err, want)
		}
	}
	if other := open(t, Badger).Status().StoreID; other == id {
		t.Error("two stores have the same id")
	}
	for _, o := range []Options{{}, {Kind: Badger}, {Kind: "floppy", Dir: "x"}} {
		if _, err := Open(o); err == nil {
			t.Errorf("%+v was opened", o)
		}
	}
}

// TestTimeNeverGoesBack: a wall clock that jumps expires nothing early, neither
// while the store runs nor over a restart, and recorded time does not go back.
func TestTimeNeverGoesBackOverARestart(t *testing.T) {
	h := open(t, Badger)
	h.time.advance(time.Hour)
	at := h.clock.ms()
	h.do(&codec.Set{Key: "a", Value: []byte("1"), TTLMs: 1000})
	h.time.advance(500 * time.Millisecond)
	h.close()
	h.time.advance(-10 * time.Hour)
	h.open()
	if now := h.clock.ms(); now != at+500 {
		t.Errorf("reopened at %d, closed at %d", now, at+500)
	}
	h.time.advance(499 * time.Millisecond)
	h.get("a")
	h.time.advance(time.Millisecond)
	_, err := h.Get("a")
	wantCode(t, err, codec.NotFound, "at its deadline")
	h.set("b", "1")
	if c := h.changes(); c[len(c)-1].TimeMs != at+1000 {
		t.Errorf("%+v", c)
	}
	h.close()
	h.time.advance(-time.Hour) // the key's end was seen: it does not come back
	h.open()
	_, err = h.Get("a")
	wantCode(t, err, codec.NotFound, "after its end was seen")
}

// TestTheExpirerWakesForTheFirstDeadline runs the expirer itself, on the test's
// clock.
func TestTheExpirerWakesForTheFirstDeadline(t *testing.T) {
	alarms := make(chan chan time.Time, 100)
	after := func(time.Duration) <-chan time.Time {
		alarm := make(chan time.Time, 1)
		alarms <- alarm
		return alarm
	}
	engines(t, func(t *testing.T, h *harness) {
		h.do(&codec.Set{Key: "late", Value: []byte("1"), TTLMs: 60_000})
		h.do(&codec.Set{Key: "soon", Value: []byte("1"), TTLMs: 50})
		h.changes()
		h.time.advance(50 * time.Millisecond)
		for done := false; !done; {
			select {
			case alarm := <-alarms:
				alarm <- time.Time{}
			case <-h.Commits():
				for _, c := range h.changes() {
					if c.Op != codec.OpExpire || c.Key != "soon" || c.TimeMs != startMs+50 {
						t.Errorf("%+v", c)
					}
					done = true
				}
			}
		}
	}, func(o *Options) { o.noExpirer, o.After = false, after })
}
