package engine

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	watchEvery = time.Second
	// stuckAfter is the age of a commit that will not end: Badger waits for
	// ever where it may open no more files, or where its compaction died.
	stuckAfter = time.Minute
	// minReserve is kept free on the disk for what Badger is still to write of
	// what it was given: four memtables. A disk that is full kills the process.
	minReserve = 128 << 20
	// maxRewrite bounds the room that is kept for compaction, which writes the
	// new tables before it removes the old.
	maxRewrite = 1 << 30
	// roomToBegin is what opening may write.
	roomToBegin = 64 << 20
)

// watch looks after what no commit notices: the disk, a commit that does not
// end, and the notes in the identity file.
func (s *store) watch() {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.done:
			return
		case <-ticker.C:
		}
		s.watchDisk(freeSpace)
		s.watchCommit(stuckAfter)
		s.noteCommit()
	}
}

// watchDisk refuses writes while the disk is almost full, and below half of the
// reserve what only removes, too.
func (s *store) watchDisk(freeSpace func(dir string) (int64, error)) {
	if s.options.Kind == Memory {
		return
	}
	free, err := freeSpace(s.options.Dir)
	if err != nil {
		s.log.Warn("the disk's free space cannot be read", "dir", s.options.Dir, "error", err)
		return
	}
	reserve := s.options.DiskReserve
	if reserve == 0 {
		reserve = minReserve + min(s.state.Load().backend.Size(), maxRewrite)
	}
	below(&s.diskFull, free, reserve/2)
	if !below(&s.diskLow, free, reserve) {
		return
	}
	if s.diskLow.Load() {
		s.log.Error("writes are refused: the disk is almost full", "dir", s.options.Dir, "free", free, "reserve", reserve)
	} else {
		s.log.Info("writes are taken again: the disk has room", "dir", s.options.Dir, "free", free)
	}
}

// below notes whether there is less than a limit, until there is an eighth more
// than that. It reports whether this has changed.
func below(is *atomic.Bool, free, limit int64) (changed bool) {
	now := free < limit || is.Load() && free < limit+limit/8
	return is.Swap(now) != now
}

// watchCommit ends a store whose commit hangs: nobody is answered any more, and
// only a new process can tell what the disk has.
func (s *store) watchCommit(most time.Duration) {
	if age := s.stats.commitAge(); age > most {
		s.fail(fmt.Errorf("%w for %v: its disk hangs, it may open no more files, or its compaction is stuck", errStuck, age.Round(time.Second)))
	}
}

var errStuck = errors.New("engine: a commit has not ended")

// stuck tells whether the writer waits for ever.
func (s *store) stuck() bool { return errors.Is(s.Err(), errStuck) }

// noteCommit notes the last commit, and reserves revisions before the writer
// runs out of them.
func (s *store) noteCommit() {
	st, id := s.state.Load(), s.identity.get()
	if st.commit == id.Committed {
		return
	}
	err := s.identity.change(func(id *identity) {
		id.Committed = max(id.Committed, st.commit)
		if id.Reserved < st.counters.revision+reserveStep/2 {
			id.reserve(st.counters.revision)
		}
	})
	if err != nil {
		s.log.Warn("the identity file cannot be written", "dir", s.options.Dir, "error", err)
	}
}

// reserve makes sure, before a revision is used, that no other epoch will use it
// again whatever the disk loses.
func (s *store) reserve(revision uint64) error {
	if revision <= s.identity.get().Reserved {
		return nil
	}
	return s.identity.change(func(id *identity) { id.reserve(revision) })
}

func (id *identity) reserve(revision uint64) {
	id.Reserved = max(id.Reserved, revision+reserveStep)
}

// roomToOpen refuses a disk on which opening the store would kill the process.
func roomToOpen(dir string) error {
	free, err := freeSpace(dir)
	if err != nil || free >= roomToBegin {
		return nil // an unknown disk is not a full one
	}
	return fmt.Errorf("engine: the disk of %s has %d MiB free, and opening the store may need %d MiB: make room first",
		dir, free>>20, roomToBegin>>20)
}

// roomToFill refuses to fill a backend on a disk that is almost full: nothing
// watches for it while it is no store's.
func roomToFill(b backend) error {
	onDisk, ok := b.(*badgerBackend)
	if !ok {
		return nil
	}
	free, err := freeSpace(onDisk.dir)
	if err != nil || free >= minReserve {
		return nil
	}
	return fmt.Errorf("the disk of %s has %d MiB free, too few to go on: make room first", onDisk.dir, free>>20)
}

// roomToClose refuses to close a backend on a disk where that would kill the
// process: it would write the last tables.
func (s *store) roomToClose() error {
	if s.options.Kind == Memory {
		return nil
	}
	free, err := freeSpace(s.options.Dir)
	if err != nil || free >= roomToBegin {
		return nil
	}
	return fmt.Errorf("engine: the disk of %s has %d MiB free, too few to tidy up at the end: nothing is lost; make %d MiB of room before the next start",
		s.options.Dir, free>>20, roomToBegin>>20)
}
