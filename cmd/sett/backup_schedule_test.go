package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/settkv/sett/engine"
)

// scheduled is a schedule over a real store, on a clock that the test moves.
type scheduled struct {
	*backupSchedule
	t      *testing.T
	engine engine.Engine
	clock  time.Time
	waits  chan time.Duration
	fire   chan time.Time
	logged *feed
}

func newScheduled(t *testing.T, keep int) *scheduled {
	t.Helper()
	store, err := engine.Open(engine.Options{Kind: engine.Memory, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	s := &scheduled{t: t, engine: store, waits: make(chan time.Duration), fire: make(chan time.Time), logged: newFeed()}
	s.clock = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s.backupSchedule = &backupSchedule{
		backupFlags: backupFlags{dir: filepath.Join(t.TempDir(), "backups"), every: time.Hour, keep: keep},
		stats:       new(backupStats), store: store, id: store.Status().StoreID, log: slog.New(slog.NewTextHandler(s.logged, nil)),
		now: func() time.Time { return s.clock },
		after: func(d time.Duration) <-chan time.Time {
			s.waits <- d
			return s.fire
		},
	}
	return s
}

// start runs the schedule until the test ends.
func (s *scheduled) start() {
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.run(ctx)
	}()
	s.t.Cleanup(func() {
		cancel()
		for {
			select {
			case <-s.waits:
			case <-done:
				return
			}
		}
	})
}

// wait returns how long the schedule waits now.
func (s *scheduled) wait() time.Duration {
	s.t.Helper()
	select {
	case d := <-s.waits:
		return d
	case <-time.After(patience):
		s.t.Fatalf("the schedule does not go on: %s", s.logged)
		return 0
	}
}

// pass lets the time pass that the schedule waits for.
func (s *scheduled) pass(d time.Duration) {
	s.clock = s.clock.Add(d)
	s.fire <- s.clock
}

func (s *scheduled) files() string {
	s.t.Helper()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimPrefix(e.Name(), "sett-"+s.id+"-"))
	}
	return strings.Join(names, " ")
}

func (s *scheduled) set(n int) {
	s.t.Helper()
	for i := range n {
		if err := s.engine.Set("k", fmt.Append(nil, i)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestSchedule writes at once, then every hour, and keeps the newest.
func TestSchedule(t *testing.T) {
	s := newScheduled(t, 2)
	s.start()
	s.set(9)
	wait := s.wait()
	for i, want := range []string{
		"20260102T030405Z-r9.backup",
		"20260102T030405Z-r9.backup 20260102T040405Z-r10.backup",
		"20260102T040405Z-r10.backup 20260102T050405Z-r11.backup",
	} {
		if i == 0 && wait != 0 || i > 0 && wait != time.Hour {
			t.Errorf("it waits for %v", wait)
		}
		if i > 0 {
			s.set(1)
		}
		s.pass(wait)
		wait = s.wait()
		if got := s.files(); got != want {
			t.Errorf("there are %s, want %s", got, want)
		}
	}
	files, err := s.mine()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(files[1])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := engine.VerifyBackup(f); err != nil || info.Revision != 11 || info.StoreID != s.id {
		t.Errorf("%+v, %v", info, err)
	}
}

// failingStore fails in the middle of a backup while it is told to.
type failingStore struct {
	engine.Engine
	fail bool
}

func (s *failingStore) WriteBackup(w io.Writer) (engine.BackupInfo, error) {
	if !s.fail {
		return s.Engine.WriteBackup(w)
	}
	_, err := w.Write([]byte("half of it"))
	return engine.BackupInfo{}, errors.Join(err, errors.New("the disk is full"))
}

// TestScheduleFails: what is there stays, nothing half is left, and it is tried
// again soon.
func TestScheduleFails(t *testing.T) {
	s := newScheduled(t, 1)
	store := &failingStore{Engine: s.engine}
	s.backupSchedule.store = store
	s.set(1)
	s.start()
	s.wait()
	s.pass(0)
	if wait := s.wait(); wait != time.Hour {
		t.Errorf("after a success it waits for %v", wait)
	}
	before := s.files()
	store.fail = true
	for range 2 {
		s.pass(time.Hour)
		if line := s.logged.await(t, "level=ERROR"); !strings.Contains(line, "the disk is full") || !strings.Contains(line, s.dir) {
			t.Errorf("logged %s", line)
		}
		if wait := s.wait(); wait != backupRetry {
			t.Errorf("after a failure it waits for %v", wait)
		}
		if got := s.files(); got != before {
			t.Errorf("there are %s, before %s", got, before)
		}
		if !s.stats.failing.Load() {
			t.Error("nothing shows that it failed")
		}
	}
	store.fail = false
	s.pass(backupRetry)
	if wait := s.wait(); wait != time.Hour || s.files() == before {
		t.Errorf("mended, it waits for %v, and there are %s", wait, s.files())
	}
	if st := s.stats; st.failing.Load() || st.failures.Load() != 2 || st.last.Load() != s.clock.UnixMilli() {
		t.Errorf("%d failures, failing: %v, the newest of %d", st.failures.Load(), st.failing.Load(), st.last.Load())
	}
}

// TestScheduleGoesOn: after a restart it does not begin anew, it removes what a
// killed process left, and touches nobody else's files.
func TestScheduleGoesOn(t *testing.T) {
	s := newScheduled(t, 1)
	if err := s.once(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.clock = s.clock.Add(20 * time.Minute)
	s.stats = new(backupStats) // of another process
	if got := s.first(); got != 40*time.Minute || s.stats.last.Load() != s.clock.Add(-20*time.Minute).UnixMilli() {
		t.Errorf("it waits for %v", got)
	}
	s.clock = s.clock.Add(-24 * time.Hour) // somebody set the clock
	if got := s.first(); got != time.Hour {
		t.Errorf("with a backup from the future it waits for %v", got)
	}
	s.clock = s.clock.Add(48 * time.Hour)
	if got := s.first(); got != 0 {
		t.Errorf("with an old backup it waits for %v", got)
	}
	others := []string{
		"sett-other-20200102T030405Z-r9.backup", "sett-" + s.id + "-monday-r9.backup", "sett-" + s.id + "-20200102T030405Z-r9.backup.gz",
		".sett-other-1.backup.tmp", "notes",
	}
	for _, name := range append(others, ".sett-"+s.id+"-123.backup.tmp") {
		if err := os.WriteFile(filepath.Join(s.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.once(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil || len(entries) != len(others)+1 {
		t.Errorf("there are %v", entries)
	}
	for _, name := range others {
		if _, err := os.Stat(filepath.Join(s.dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestBackupNamesInOrder(t *testing.T) {
	sorted := []string{
		"sett-x-20260102T030405Z-r9.backup", "sett-x-20260102T030405Z-r10.backup", "sett-x-20260102T030406Z-r1.backup", "sett-x-20270102T030405Z-r1.backup",
	}
	for i, a := range sorted {
		for j, b := range sorted {
			if got := compareBackupNames("dir/"+a, "dir/"+b); got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("%s and %s: %d", a, b, got)
			}
		}
	}
}
