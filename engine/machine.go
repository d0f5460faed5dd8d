package engine

import (
	"slices"

	"github.com/settkv/sett/codec"
)

// machine is the deterministic half of the engine: it turns commands into
// changes of the index and into writes. It has no clock, makes no ids and knows
// no disk but through fetch, so that the same commands at the same times give
// the same state everywhere. Only the writer uses it.
//
// A group is begin, apply for each of its commands, and seal. A command that is
// refused leaves no trace, but for the deadlines that it met.
type machine struct {
	index    *index
	counters counters
	encoding codec.Encoding
	dedup    *dedup
	versions bool // the backend keeps them: see [backend.KeepsVersions]
	// fetch reads the value of a record that was committed.
	fetch func(item) ([]byte, error)
	// beat notes an instance that was renewed from memory.
	beat func(item)

	// Of the group:
	*work
	refuse refusal
	nowMs  int64
	paths  []string // of the command in progress: what it names
	undo   []item   // likewise: what was there before
}

// refusal is why a group's commands are refused: those that would write
// anything, those that would write more than removals, or those that would be
// announced. nil: they are not.
type refusal struct{ writes, records, changes func() error }

func (r refusal) check(wrote []write, changed bool) error {
	switch {
	case r.writes != nil && len(wrote) > 0:
		return r.writes()
	case r.records != nil && slices.ContainsFunc(wrote, func(w write) bool { return !w.delete }):
		return r.records()
	case r.changes != nil && changed:
		return r.changes()
	}
	return nil
}

// counters are stored with each commit.
type counters struct {
	revision uint64
	epoch    uint64
	nowMs    int64 // recorded time, which never goes back
	keys     int64
	inst     int64
}

func newMachine(encoding codec.Encoding) *machine {
	return &machine{index: newIndex(), encoding: encoding, dedup: newDedup(), work: new(work)}
}

// begin starts a group at a time.
func (m *machine) begin(w *work, nowMs int64) {
	w.reset()
	m.work = w
	m.advance(nowMs)
}

// advance moves the group's time on; it never goes back.
func (m *machine) advance(nowMs int64) {
	m.nowMs = max(nowMs, m.counters.nowMs)
	m.counters.nowMs = m.nowMs
	m.dedup.begin(m.nowMs)
}

// apply runs one command. Its reply has no position yet.
func (m *machine) apply(r *Request) (codec.Reply, error) {
	if r.ID != "" {
		if reply, err := m.dedup.find(r); reply != nil || err != nil {
			return reply, err
		}
	}
	m.paths = appendPaths(m.paths[:0], r.Command)
	if err := m.expireMet(); err != nil {
		return nil, err
	}
	before := m.mark()
	reply, err := m.run(r.Command)
	if err == nil && !internal(r.Command) {
		err = m.refuse.check(m.writes[before.writes:], len(m.changes) > before.changes)
	}
	if err == nil {
		err = m.encode(before.changes)
	}
	if err != nil {
		m.rollback(before)
		return nil, err
	}
	if r.ID != "" && remembered(r.Command, before, m.mark()) {
		m.dedup.remember(r, reply)
	}
	return reply, nil
}

// remembered tells whether a repeat of the command must be recognised: all but
// heartbeats that only renew.
func remembered(cmd codec.Command, before, after mark) bool {
	_, beat := cmd.(*codec.Heartbeat)
	return !beat || after.counters.revision > before.counters.revision
}

// mark is a point to go back to.
type mark struct {
	counters                                      counters
	writes, events, stale, lives, changes, undone int
}

func (m *machine) mark() mark {
	return mark{m.counters, len(m.writes), len(m.events), len(m.stale), len(m.lives), len(m.changes), len(m.undo)}
}

// rollback takes back everything since a mark. The deadlines that the command
// met came before it and stand.
func (m *machine) rollback(to mark) {
	for i := len(m.undo) - 1; i >= to.undone; i-- {
		if u := m.undo[i]; u.rec == nil {
			m.index.Delete(u.path)
		} else {
			m.index.Set(u)
		}
	}
	m.counters = to.counters
	m.writes, m.events = m.writes[:to.writes], m.events[:to.events]
	m.stale, m.lives = m.stale[:to.stale], m.lives[:to.lives]
	m.changes, m.undo = m.changes[:to.changes], m.undo[:to.undone]
	// What was met stands: it is announced as a command of its own.
	_ = m.encode(len(m.changes))
}

// get returns a live record.
func (m *machine) get(path string) (*record, bool) {
	found, ok := m.index.Get(path)
	return found.rec, ok
}

// put stores a record with its value, as a change that is announced.
func (m *machine) put(path string, rec *record, value []byte, change codec.Change) uint64 {
	rec.revision = m.next()
	if rec.created == 0 {
		rec.created = rec.revision
	}
	old := m.store(path, rec, value)
	if change.Op == codec.OpSet {
		change.TTLMs, change.ExpiresAtMs = rec.ttl(), rec.expires()
	}
	m.announce(change, old)
	return rec.revision
}

// store puts a record into the index and among the writes.
func (m *machine) store(path string, rec *record, value []byte) (old *record) {
	rec.size = uint32(len(value))
	i := item{path: path, rec: rec}
	if rec.life == nil || rec.life.instance == nil {
		i.fresh = &cachedValue{rec: rec, bytes: value}
	}
	before, replaced := m.index.Set(i)
	m.timed(path, rec, before.rec)
	m.undo = append(m.undo, item{path, before.rec, before.fresh})
	if replaced {
		m.stale = append(m.stale, before.rec)
	} else {
		m.count(path, 1)
	}
	key := m.arena.add(path)
	m.writes = append(m.writes, write{key: key, value: m.arena.record(key, &codec.Record{
		Revision: rec.revision, Created: rec.created, TTLMs: rec.ttl(), ExpiresAtMs: rec.expires(), Value: value,
	})})
	return before.rec
}

// timed gives a record with a deadline its place in the queue of deadlines:
// that of the record before it, if that had one.
func (m *machine) timed(path string, rec, before *record) {
	if rec.life == nil {
		return
	}
	if rec.life.due == nil && before != nil && before.life != nil {
		rec.life.due = before.life.due
	}
	if rec.life.due == nil {
		rec.life.due = &due{path: path, slot: -1}
	}
	m.lives = append(m.lives, rec)
}

// remove takes a record out, as a change that is announced.
func (m *machine) remove(path string, change codec.Change) uint64 {
	revision := m.next()
	before, ok := m.index.Delete(path)
	if !ok {
		panic("engine: removed what was not there: " + path)
	}
	m.undo = append(m.undo, before)
	m.stale = append(m.stale, before.rec)
	m.count(path, -1)
	m.writes = append(m.writes, write{key: m.arena.add(path), delete: true})
	if before.rec.life != nil && before.rec.life.instance != nil {
		last := before.instance()
		change.Instance = &last
	}
	m.announce(change, before.rec)
	return revision
}

func (m *machine) next() uint64 {
	m.counters.revision++
	return m.counters.revision
}

func (m *machine) count(path string, by int64) {
	if isKey(path) {
		m.counters.keys += by
	} else {
		m.counters.inst += by
	}
}

// announce notes a change at the present revision; encode gives it the rest.
func (m *machine) announce(change codec.Change, old *record) {
	change.Revision, change.Epoch, change.TimeMs = m.counters.revision, m.counters.epoch, m.nowMs
	if old != nil {
		change.PreviousRevision = old.revision
	}
	m.changes = append(m.changes, change)
}

// encode turns the command's changes, which are those without an event, into
// events: each says the last revision of its command. Those before position met are the deadlines that it met,
// which do not count to its limit.
func (m *machine) encode(met int) error {
	size := 0
	first := len(m.events)
	for i := first; i < len(m.changes); i++ {
		c := &m.changes[i]
		c.CommitRevision = m.counters.revision
		payload := m.arena.event(m.encoding, c)
		if i >= met {
			size += len(payload)
		}
		m.events = append(m.events, event(c, payload))
		if size > codec.MaxEvents { // now, not when the rest has taken memory too
			m.events = m.events[:first]
			e := codec.Errorf(codec.TooLarge, "the changes take more than %d bytes as events", codec.MaxEvents)
			e.Limit = codec.MaxEvents
			return e
		}
	}
	m.undo = m.undo[:0]
	return nil
}

func event(c *codec.Change, payload []byte) codec.Event {
	e := codec.Event{Revision: c.Revision, Kind: codec.KeyEvent, Name: c.Key, Payload: payload}
	switch {
	case c.Op == codec.OpChanged:
		e.Kind, e.Name = codec.StoreEvent, c.Reason
	case c.Name != "":
		e.Kind, e.Name, e.ID = codec.ServiceEvent, c.Name, c.ID
	}
	return e
}

// expireMet ends every record that the command names and that is past its
// deadline, before the command looks: it then sees nothing there. That stands
// even if the command is refused.
func (m *machine) expireMet() error {
	room := metBytes
	for _, path := range m.paths {
		rec, ok := m.get(path)
		if !ok || !rec.dead(m.nowMs) {
			continue
		}
		if room -= eventRoom(path, rec); room < 0 {
			_ = m.encode(len(m.changes))
			return codec.Errorf(codec.Overloaded, "it names too many records that expire just now; try again")
		}
		m.expire(path)
	}
	return nil
}

// eventRoom is what the event of a record's end takes at the most: JSON may
// double every byte.
func eventRoom(path string, rec *record) int {
	room := 2*len(path) + 512
	if !isKey(path) {
		room += 2 * int(rec.size)
	}
	return room
}

// expire ends one record that is past its deadline.
func (m *machine) expire(path string) {
	change := codec.Change{Op: codec.OpExpire}
	if isKey(path) {
		change.Key = path[len(kvPrefix):]
	} else {
		change.Name, change.ID = splitInstance(path)
	}
	m.remove(path, change)
}

// appendPaths adds the stored keys of everything that a command names: for a
// batch those of its ops, then those of its conditions.
func appendPaths(paths []string, cmd codec.Command) []string {
	switch c := cmd.(type) {
	case *codec.Batch:
		for _, op := range c.Ops {
			paths = append(paths, opPath(op))
		}
		for i := range c.If {
			paths = append(paths, conditionPath(&c.If[i]))
		}
	case *codec.Clear, *removeService, *newEpoch, *expireDue, *renewals:
		// They find what they are about themselves.
	default:
		paths = append(paths, opPath(cmd))
	}
	return paths
}

// opPath is the stored key that a command on one record is about.
func opPath(cmd codec.Command) string {
	switch c := cmd.(type) {
	case *codec.Set:
		return keyPath(c.Key)
	case *codec.Delete:
		return keyPath(c.Key)
	case *codec.Touch:
		return keyPath(c.Key)
	case *codec.Increment:
		return keyPath(c.Key)
	case *codec.Register:
		return instancePath(c.Name, c.ID)
	case *setService:
		return instancePath(c.Name, c.ID)
	case *codec.Heartbeat:
		return instancePath(c.Name, c.ID)
	case *codec.Deregister:
		return instancePath(c.Name, c.ID)
	}
	panic("engine: no path for " + cmd.Op())
}

func conditionPath(c *codec.Condition) string {
	if c.Key != "" {
		return keyPath(c.Key)
	}
	return instancePath(c.Name, c.ID)
}

// value is the present value of a key.
func (m *machine) value(path string) ([]byte, error) {
	i, _ := m.index.Get(path)
	if i.fresh != nil {
		return i.fresh.bytes, nil
	}
	return m.fetch(i)
}

// idle tells whether the group has nothing to commit: refusals, and commands
// that changed nothing.
func (m *machine) idle() bool {
	return len(m.writes) == 0 && len(m.events) == 0 && m.dedup.idle()
}

// seal ends the group: the outbox and the message ids join its writes.
func (m *machine) seal(commit uint64) {
	w := m.work
	w.commit, w.after = commit, m.counters
	w.sealParts(m.encoding, m.versions)
	w.writes = m.dedup.seal(commit, w.writes)
	w.keys, w.shown = m.index.seal()
}
