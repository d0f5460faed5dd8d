package engine

import (
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/settkv/sett/codec"
)

func TestWritesWaitForRoomOnTheDisk(t *testing.T) {
	h := open(t, Badger)
	h.set("a", "1")
	h.do(&codec.Set{Key: "short", Value: []byte("1"), TTLMs: 100})
	h.do(&codec.Register{Name: "web", ID: "1", TTLMs: 1000, Status: codec.Passing})
	room := func(free int64) { h.watchDisk(func(string) (int64, error) { return free, nil }) }

	room(minReserve - 1)
	refused := h.refused(&codec.Set{Key: "a", Value: []byte("2")}, codec.Unavailable)
	if !refused.Temporary || h.get("a") != "1" {
		t.Errorf("%v; a is %q", refused, h.get("a"))
	}
	h.refused(&codec.Touch{Key: "a", TTLMs: millis(1000)}, codec.Unavailable)
	if len(h.Status().Reasons) != 1 {
		t.Errorf("the status says %q", h.Status().Reasons)
	}
	// What keeps the engine alive goes on: renewals, ends, epochs.
	h.do(&codec.Heartbeat{Name: "web", ID: "1"})
	h.writeBeats()
	h.time.advance(100 * time.Millisecond)
	h.sweepAll()
	if at := h.Position().StoreRevision; at != 4 {
		t.Errorf("at revision %d: the key did not expire", at)
	}
	h.do(&codec.Delete{Key: "none"}) // writes nothing

	room(minReserve + 1) // only just: it would be full again at once
	h.refused(&codec.Set{Key: "a", Value: []byte("2")}, codec.Unavailable)
	room(2 * (minReserve + h.state.Load().backend.Size()))
	h.set("a", "2")
	if len(h.Status().Reasons) != 0 {
		t.Errorf("the status says %q", h.Status().Reasons)
	}
}

// TestRemovingWaitsOnlyWhereTheDiskIsFull: whoever filled it with keys must be
// able to remove some, down to half of the reserve.
func TestRemovingWaitsOnlyWhereTheDiskIsFull(t *testing.T) {
	h := open(t, Badger, func(o *Options) { o.DiskReserve = 1000 })
	for _, key := range []string{"a", "b", "c/1", "c/2", "d", "e"} {
		h.set(key, "1")
	}
	for _, id := range []string{"1", "2"} {
		h.do(&codec.Register{Name: "web", ID: id, Status: codec.Passing})
	}
	room := func(free int64) { h.watchDisk(func(string) (int64, error) { return free, nil }) }
	remove := &codec.Batch{Ops: []codec.Command{&codec.Delete{Key: "d"}, &codec.Deregister{Name: "web", ID: "2"}}}
	more := &codec.Batch{Ops: []codec.Command{&codec.Delete{Key: "e"}, &codec.Set{Key: "e", Value: []byte("2")}}}

	room(499)
	for _, c := range []codec.Command{&codec.Delete{Key: "a"}, &codec.Clear{Prefix: "c/", Limit: 1}, &codec.Deregister{Name: "web", ID: "1"}, remove} {
		if e := h.refused(c, codec.Unavailable); !e.Temporary {
			t.Errorf("%s on a full disk: %v", c.Op(), e)
		}
	}
	room(561) // only just: it would be full again at once
	h.refused(&codec.Delete{Key: "a"}, codec.Unavailable)

	for _, free := range []int64{562, 500, 999} {
		room(free)
		h.refused(&codec.Set{Key: "a", Value: []byte("2")}, codec.Unavailable)
		h.refused(more, codec.Unavailable)
		h.refused(&codec.Increment{Key: "n", By: 1}, codec.Unavailable)
	}
	h.do(&codec.Delete{Key: "a"})
	h.do(&codec.Clear{Prefix: "c/", Limit: 10})
	h.do(&codec.Deregister{Name: "web", ID: "1"})
	h.do(remove)
	if s := h.Status(); s.Keys != 2 || s.Instances != 0 || len(s.Reasons) != 1 {
		t.Errorf("%d keys and %d instances are left, and the status says %q", s.Keys, s.Instances, s.Reasons)
	}
	room(1125)
	h.do(more)
	var full atomic.Bool
	for _, step := range []struct {
		free          int64
		changed, full bool
	}{{500, false, false}, {499, true, true}, {0, false, true}, {561, false, true}, {562, true, false}, {500, false, false}} {
		if changed := below(&full, step.free, 500); changed != step.changed || full.Load() != step.full {
			t.Errorf("with %d free it is full: %v, and that is new: %v", step.free, full.Load(), changed)
		}
	}
}

// slowDisk commits when it is told to.
type slowDisk struct {
	backend
	begun, goOn chan struct{}
	once        *sync.Once
}

func (b slowDisk) Commit(ts uint64, writes []write) error {
	b.once.Do(func() {
		close(b.begun)
		<-b.goOn
	})
	return b.backend.Commit(ts, writes)
}

func TestACommitThatHangsEndsTheStore(t *testing.T) {
	h := open(t, Badger)
	h.set("a", "1")
	disk := slowDisk{begun: make(chan struct{}), goOn: make(chan struct{}), once: new(sync.Once)}
	h.wrapBackend(func(b backend) backend { disk.backend = b; return disk })
	err := h.Submit(&Request{Command: &codec.Set{Key: "a", Value: []byte("2")}})
	if err != nil {
		t.Fatal(err)
	}
	<-disk.begun
	h.watchCommit(time.Hour)
	if h.Err() != nil {
		t.Fatal("it did not wait: ", h.Err())
	}
	h.watchCommit(0)
	<-h.Failed()
	if _, err := h.Get("a"); !errors.Is(err, codec.ErrUnavailable) {
		t.Errorf("a read says %v", err)
	}
	h.closed = true
	if err := h.Close(); !errors.Is(err, errStuck) { // at once
		t.Errorf("Close says %v", err)
	}
	close(disk.goOn) // so that the test leaves nothing behind
	h.queue.close()
	h.workers.Wait()
	if err := disk.backend.Close(); err != nil {
		t.Error(err)
	}
}

// TestAnOlderCopyOfTheData: only the whole directory may be an older one; the
// stream of the feed then shows it.
func TestAnOlderCopyOfTheData(t *testing.T) {
	for name, noSync := range map[string]bool{"synced": false, "not synced": true} {
		t.Run(name, func(t *testing.T) {
			h := open(t, Badger, func(o *Options) { o.NoSync = noSync })
			h.set("a", "1")
			h.close()
			old := t.TempDir()
			copyDir(t, old, filepath.Join(h.options.Dir, storeDir))
			h.open()
			h.set("a", "2")
			epoch := h.Position().Epoch
			h.close()
			dir := t.TempDir()
			copyDir(t, filepath.Join(dir, storeDir), old)
			if err := copyFile(filepath.Join(dir, "identity"), filepath.Join(h.options.Dir, "identity")); err != nil {
				t.Fatal(err)
			}
			h.options.Dir = dir
			if !noSync {
				e, err := Open(h.options)
				if err == nil {
					e.Close()
					t.Fatal("it opened")
				}
				h.time.advance(time.Second)
				return
			}
			h.open()
			at := h.Position()
			if h.get("a") != "1" || at.Epoch <= epoch || at.StoreRevision <= reserveStep {
				t.Errorf("a is %q at %+v, before it was epoch %d", h.get("a"), at, epoch)
			}
			if c := h.changes(); c[len(c)-1].Reason != codec.ReasonRewound {
				t.Errorf("the last change is %+v", c[len(c)-1])
			}
		})
	}
}

// TestNotSyncedAndRebooted: nobody can tell what was lost, so followers load
// again; a killed process alone loses nothing.
func TestNotSyncedAndRebooted(t *testing.T) {
	h := open(t, Badger)
	h.feed = codec.FeedDurable // a live feed begins an epoch after each kill
	h.set("a", "1")
	h.close()
	h.open()
	epoch := h.Position().Epoch
	h.crash()
	if h.Position().Epoch != epoch {
		t.Error("a new epoch after a kill")
	}
	if err := h.identity.change(func(id *identity) { id.Boot = "another" }); err != nil {
		t.Fatal(err)
	}
	h.crash()
	if at := h.Position(); at.Epoch <= epoch || at.StoreRevision <= reserveStep {
		t.Errorf("%+v after a reboot, before it was epoch %d", at, epoch)
	}
}

func TestRevisionsAreReserved(t *testing.T) {
	h := open(t, Badger)
	h.set("a", "1")
	reserved := h.identity.get().Reserved
	if reserved < reserveStep {
		t.Fatalf("reserved are %d", reserved)
	}
	if _, err := h.NewEpoch(codec.ReasonGap, codec.Position{StoreRevision: 5 * reserveStep}); err != nil {
		t.Fatal(err)
	}
	onDisk, err := readIdentity(h.options.Dir)
	if at := h.Position().StoreRevision; err != nil || onDisk.Reserved < at {
		t.Errorf("revision %d was used, and only %d are reserved (%v)", at, onDisk.Reserved, err)
	}
	h.noteCommit()
	if onDisk, _ = readIdentity(h.options.Dir); onDisk.Committed != h.state.Load().commit {
		t.Errorf("commit %d is noted, the last one is %d", onDisk.Committed, h.state.Load().commit)
	}
}
