package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"github.com/settkv/sett/engine"
)

const (
	backupSuffix = ".backup"
	backupTime   = "20060102T150405Z" // of a file's name, in UTC: names sort by it
	// backupRetry is how soon a backup that failed is tried again, at the
	// latest.
	backupRetry = 5 * time.Minute
)

// backupFlags say when a store backs itself up.
type backupFlags struct {
	dir   string
	every time.Duration
	keep  int
	key   []byte // of an encrypted store, to read back what was written
}

func (f *backupFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.dir, "backup-dir", "", "write backups to `DIR` now and then")
	f.every = time.Hour
	addDuration(fs, "backup-every", "`DURATION` from one backup to the next", &f.every)
	fs.IntVar(&f.keep, "backup-keep", 24, "keep the newest `N` backups of this store in it (0: all)")
}

func (f *backupFlags) validate() error {
	switch {
	case f.every < time.Second:
		return errors.New("--backup-every must be at least 1s")
	case f.keep < 0:
		return errors.New("--backup-keep must not be negative")
	}
	return nil
}

// backupStats is what a schedule tells of itself; anyone may read it at any time.
type backupStats struct {
	last     atomic.Int64 // when the newest was begun, in Unix milliseconds; 0: there is none
	failures atomic.Uint64
	failing  atomic.Bool // since the last one that succeeded
}

// backupSchedule writes backups of a running store until its context ends. A
// failure is logged and counted, and tried again; it never ends the store.
type backupSchedule struct {
	backupFlags
	stats *backupStats
	store backedUp
	id    string // of the store
	log   *slog.Logger
	now   func() time.Time
	after func(time.Duration) <-chan time.Time
}

// backedUp is what a schedule needs of a store.
type backedUp interface {
	WriteBackup(w io.Writer) (engine.BackupInfo, error)
}

// start runs the schedule, where there is one, until stop is called.
func (f *backupFlags) start(ctx context.Context, store engine.Engine, stats *backupStats, log *slog.Logger) (stop func()) {
	if f.dir == "" {
		return func() {}
	}
	s := &backupSchedule{
		backupFlags: *f, stats: stats, store: store, id: store.Status().StoreID, log: log, now: time.Now, after: time.After,
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

func (s *backupSchedule) run(ctx context.Context) {
	for wait := s.first(); ; {
		select {
		case <-ctx.Done():
			return
		case <-s.after(wait):
		}
		wait = s.every
		err := s.once(ctx)
		if ctx.Err() != nil {
			return
		}
		s.stats.failing.Store(err != nil)
		if err != nil {
			wait = min(s.every, backupRetry)
			s.stats.failures.Add(1)
			s.log.Error("the backup failed; the store goes on", "error", err, "backup_dir", s.dir, "again_in", wait)
		}
	}
}

// first is how long to wait for the first backup: a store that is started again
// goes on as if it had run all the time.
func (s *backupSchedule) first() time.Duration {
	all, err := s.mine()
	if err != nil || len(all) == 0 {
		return 0
	}
	last, err := time.Parse(backupTime, strings.Split(filepath.Base(all[len(all)-1]), "-")[2])
	if err != nil {
		return 0
	}
	s.stats.last.Store(last.UnixMilli())
	return min(max(0, s.every-s.now().Sub(last)), s.every)
}

// once writes a backup and then, when it is whole and was read back, removes
// the oldest beyond those that are kept.
func (s *backupSchedule) once(ctx context.Context) error {
	began := s.now()
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if err := s.tidy(); err != nil {
		return err
	}
	name, info, err := s.write(ctx, began)
	if err != nil {
		return err
	}
	s.stats.last.Store(began.UnixMilli())
	s.log.Info("backed up", "file", name, "revision", info.Revision, "bytes", info.Size, "took", s.now().Sub(began))
	return s.prune()
}

// write writes a backup under a temporary name, since its revision is known
// only then, and renames it when it was read back from the disk.
func (s *backupSchedule) write(ctx context.Context, began time.Time) (name string, info engine.BackupInfo, err error) {
	f, err := os.CreateTemp(s.dir, s.temporary())
	if err != nil {
		return "", info, err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if info, err = s.store.WriteBackup(&until{ctx, f}); err != nil {
		return "", info, err
	}
	if err = f.Sync(); err != nil {
		return "", info, err
	}
	if _, err = f.Seek(0, io.SeekStart); err != nil {
		return "", info, err
	}
	read, err := engine.VerifyBackupKey(f, s.key)
	if err == nil && read.SHA256 != info.SHA256 {
		err = engine.ErrBackupDamaged
	}
	if err != nil {
		return "", info, fmt.Errorf("what was written could not be read back: %w", err)
	}
	name = filepath.Join(s.dir, fmt.Sprintf("sett-%s-%s-r%d%s", s.id, began.UTC().Format(backupTime), info.Revision, backupSuffix))
	if err = os.Rename(f.Name(), name); err != nil {
		return "", info, err
	}
	return name, info, syncFolder(s.dir)
}

// until passes on what is written as long as a context lasts.
type until struct {
	ctx context.Context
	w   io.Writer
}

func (u *until) Write(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(p)
}

func (s *backupSchedule) temporary() string { return ".sett-" + s.id + "-*" + backupSuffix + ".tmp" }

// tidy removes what a process that was killed has left half written.
func (s *backupSchedule) tidy() error {
	left, err := filepath.Glob(filepath.Join(s.dir, s.temporary()))
	for _, name := range left {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

// prune removes the oldest of this store's backups.
func (s *backupSchedule) prune() error {
	all, err := s.mine()
	if err != nil || s.keep == 0 {
		return err
	}
	for _, name := range all[:max(0, len(all)-s.keep)] {
		if err := os.Remove(name); err != nil {
			return err
		}
		s.log.Info("removed an old backup", "file", name)
	}
	return nil
}

// mine lists the backups that a schedule of this store has written, the oldest
// first: nobody else's are touched.
func (s *backupSchedule) mine() ([]string, error) {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, f := range files {
		parts := strings.Split(strings.TrimSuffix(f.Name(), backupSuffix), "-")
		if len(parts) != 4 || parts[0] != "sett" || parts[1] != s.id || !strings.HasSuffix(f.Name(), backupSuffix) || !f.Type().IsRegular() {
			continue
		}
		if _, err := time.Parse(backupTime, parts[2]); err == nil {
			all = append(all, filepath.Join(s.dir, f.Name()))
		}
	}
	slices.SortFunc(all, compareBackupNames)
	return all, nil
}

// compareBackupNames orders by time, and within a second by revision.
func compareBackupNames(a, b string) int {
	const shared = len(backupTime) + 1
	cutA, cutB := strings.LastIndexByte(a, '-'), strings.LastIndexByte(b, '-')
	if c := strings.Compare(a[cutA-shared:cutA], b[cutB-shared:cutB]); c != 0 {
		return c
	}
	if c := len(a[cutA:]) - len(b[cutB:]); c != 0 { // the longer number is the larger
		return c
	}
	return strings.Compare(a, b)
}

// sortBackups puts the oldest first.
func sortBackups(all []*listedBackup) {
	slices.SortStableFunc(all, func(a, b *listedBackup) int { return int(a.TimeMs - b.TimeMs) })
}
