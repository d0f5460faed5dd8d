package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/settkv/sett/codec"
)

// Open opens the store that the options describe, and creates it where there
// is none. It fails rather than start empty: damage, a missing part of the data
// and a directory in use are errors that say what to do.
func Open(o Options) (Engine, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &store{
		options: o, log: o.log(), stats: o.stats(), outbox: newOutbox(o.outboxMax(), o.outboxKeep()), deadlines: newDeadlines(),
		applied: make(chan *group, 1), works: make(chan *work, 2), groups: make(chan *group, 4),
		free: make(chan struct{}, 1), finished: make(chan *group, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	s.cache.max = o.cacheBytes()
	s.held.Store(o.Hold)
	s.queue = queue{maxCommands: o.queueCommands(), maxBytes: o.queueBytes(), wake: make(chan struct{}, 1)}
	b, err := s.openBackend()
	if err != nil {
		return nil, err
	}
	if err := s.start(b); err != nil {
		return nil, errors.Join(s.discreet(err), b.Close())
	}
	s.free <- struct{}{}
	s.workers.Go(s.write)
	s.workers.Go(s.commit)
	s.workers.Go(s.finish)
	s.helpers.Go(s.collect)
	s.helpers.Go(s.watch)
	if !o.noExpirer {
		s.helpers.Go(s.expire)
	}
	return s, nil
}

// openBackend opens the data that the options name, and knows whose it is.
func (s *store) openBackend() (backend, error) {
	if s.options.Kind == Memory {
		s.identity.identity = newIdentity()
		return openMemory(), nil
	}
	dir := s.options.Dir
	if err := mayOpenFiles(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	if err := finishSwap(filepath.Join(dir, storeDir)); err != nil {
		return nil, err
	}
	id, err := loadIdentity(dir)
	if err != nil {
		return nil, err
	}
	s.identity.identity, s.identity.dir = id, dir
	if err := roomToOpen(dir); err != nil {
		return nil, err
	}
	if s.key, err = s.identity.unlock(dir, s.options.EncryptionKey); err != nil {
		return nil, err
	}
	o := s.badgerOptions()
	o.Least, o.Lossy = s.identity.least(), s.identity.lossy()
	b, err := openBadger(filepath.Join(dir, storeDir), o)
	if err != nil {
		return nil, err
	}
	if err := removeLeftovers(filepath.Join(dir, storeDir)); err != nil { // b holds the lock
		return nil, errors.Join(err, b.Close())
	}
	entries, bytes := b.Capacity()
	if entries < largestWrites || bytes < largestGroup {
		return nil, errors.Join(fmt.Errorf("engine: the backend takes %d writes and %d bytes at once, too few for the largest group", entries, bytes), b.Close())
	}
	return b, nil
}

func (s *store) badgerOptions() badgerOptions {
	return badgerOptions{
		NoSync: s.options.NoSync, Logger: s.log, Key: secret(s.key, badgerSecret), KeyRotation: s.options.encryptionRotation(),
	}
}

// start loads what the backend holds and commits that the store is in use.
func (s *store) start(b backend) error {
	m, fresh, err := readMeta(b)
	if err != nil {
		return err
	}
	if err := m.belongs(s.options.Dir, &s.identity.identity); err != nil {
		return err
	}
	s.clock = newClock(s.options.Now, s.options.After, int64(m.nowMs))
	if err := s.load(b, m); err != nil {
		return err
	}
	s.machine.advance(s.clock.ms())
	if fresh {
		s.machine.counters.epoch = uint64(s.clock.ms())
	}
	behind, err := s.identity.behind(s.options.Dir, b.Last(), m.clean != 0)
	if err != nil {
		return err
	}
	if behind {
		s.log.Warn("the store lost commits that were not synced; a new epoch begins", "commit", b.Last(), "committed", s.identity.Committed)
		above := codec.Position{StoreRevision: s.identity.Reserved}
		if _, err := s.machine.apply(&Request{Command: s.epochCommand(codec.ReasonRewound, above)}); err != nil {
			return err
		}
	}
	if m.clean == leftRestored {
		// In the same commit: whoever opens the store after a crash must learn it too.
		if _, err := s.machine.apply(&Request{Command: s.epochCommand(codec.ReasonRestored, codec.Position{})}); err != nil {
			return err
		}
	}
	s.killed = !fresh && !behind && m.clean == 0
	if err := s.commitNow(&state{commit: b.Last(), backend: b}); err != nil {
		return errors.Join(err, s.Err())
	}
	return s.identity.change(func(id *identity) {
		id.Fresh, id.NoSync, id.Boot = false, s.options.NoSync, bootID()
		id.Committed = b.Last()
		id.reserve(s.machine.counters.revision)
	})
}

// load makes a machine of what the backend holds.
func (s *store) load(b backend, stored meta) error {
	m := newMachine(s.options.FeedEncoding)
	m.fetch = func(i item) ([]byte, error) {
		if value, ok := s.cache.get(i.rec); ok {
			return value, nil
		}
		st := s.state.Load()
		v := st.backend.View(st.commit)
		defer v.Close()
		return readValue(v, i)
	}
	m.beat = s.deadlines.beat
	m.versions = b.KeepsVersions()
	m.counters = counters{revision: stored.revision, epoch: stored.epoch, nowMs: int64(stored.nowMs)}
	s.machine = m
	s.outbox.use(s.identity.Feed)
	s.outbox.announce(stored.announced)
	v := b.View(b.Last())
	defer v.Close()
	now := s.clock.ms()
	for _, prefix := range []string{kvPrefix, svcPrefix} {
		err := v.Scan([]byte(prefix), func(key, value []byte) error {
			rec, err := loadRecord(key, value, &stored, now)
			if err != nil {
				return err
			}
			i := m.index.Load(key, rec)
			m.timed(i.path, rec, nil)
			if rec.life != nil && rec.life.renewedMs.Load() != 0 {
				m.beat(i) // so that its grace is written
			}
			m.count(i.path, 1)
			return nil
		})
		if err != nil {
			return fmt.Errorf("engine: loading the store: %w", err)
		}
	}
	if err := v.Scan([]byte(idsPrefix), m.dedup.load); err != nil {
		return fmt.Errorf("engine: loading message ids: %w", err)
	}
	return v.Scan([]byte(outboxPrefix), s.loadPart)
}

// loadRecord makes an index record of a stored one. An instance gets its whole
// TTL: nobody could heartbeat while the store was away. One that was surely past
// its deadline before, so that its end may have been seen, does not come back.
func loadRecord(key, value []byte, stored *meta, nowMs int64) (*record, error) {
	r, err := codec.ParseRecord(key, value)
	if err != nil {
		return nil, err
	}
	rec := &record{
		revision: r.Revision, created: r.Created, size: uint32(len(r.Value)), life: newLife(r.TTLMs, r.ExpiresAtMs),
	}
	if isKey(string(key)) {
		return rec, nil
	}
	in := &codec.InstanceRecord{}
	if err := codec.Decode(r.Value, in); err != nil {
		return nil, fmt.Errorf("engine: instance %q: %w", key, err)
	}
	rec.life = &life{ttlMs: r.TTLMs, expiresMs: r.ExpiresAtMs, instance: in}
	if r.TTLMs != 0 && (stored.clean != leftClosed || !rec.dead(int64(stored.nowMs))) {
		rec.life.renewedMs.Store(deadline(nowMs, r.TTLMs))
	}
	return rec, nil
}

// loadPart takes in an outbox entry; its events are made when they are wanted.
func (s *store) loadPart(key, value []byte) error {
	p, err := codec.ParsePart(key, value)
	if err != nil {
		return fmt.Errorf("engine: loading the outbox: %w", err)
	}
	s.outbox.append([]part{{
		first: binary.BigEndian.Uint64(key[len(outboxPrefix):]), last: p.Last, commit: p.Commit, size: p.Size,
	}})
	return nil
}
