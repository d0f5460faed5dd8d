package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/settkv/sett/codec"
)

// CheckReport is what [CheckDir] has found.
type CheckReport struct {
	StoreID   string `wire:"store_id"`
	Encrypted bool   `wire:"encrypted"`
	Feed      string `wire:"feed,omitempty"` // how changes were announced last
	Clean     bool   `wire:"clean"`          // the store was closed cleanly
	Revision  uint64 `wire:"revision"`
	Epoch     uint64 `wire:"epoch"`
	TimeMs    int64  `wire:"time_ms"` // of the last commit, by the store's clock
	Commit    uint64 `wire:"commit"`

	Keys       int64 `wire:"keys"`
	Instances  int64 `wire:"instances"`
	Deadlines  int64 `wire:"deadlines"` // of keys and instances
	Bytes      int64 `wire:"bytes"`     // of stored keys and records
	Outbox     int64 `wire:"outbox"`    // changes in it
	MessageIDs int64 `wire:"message_ids"`
	Tables     int64 `wire:"tables"`
	TableBytes int64 `wire:"table_bytes"`
	Logs       int64 `wire:"logs"` // write-ahead logs with commits in them

	// Problems say what is wrong, at most 100 of them; More counts the rest.
	Problems []string `wire:"problems,omitempty"`
	More     int64    `wire:"more,omitempty"`
}

const maxProblems = 100

func (r *CheckReport) fail(format string, args ...any) {
	if len(r.Problems) == maxProblems {
		r.More++
		return
	}
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// failed takes in an error, each of several by itself.
func (r *CheckReport) failed(err error) {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range several.Unwrap() {
			r.failed(err)
		}
		return
	}
	r.fail("%v", err)
}

// CheckDir proves all that must hold in the data directory of a store that does
// not run, and changes nothing in it. What is wrong is in the report; an error
// says why nothing could be said. The key is that of an encrypted store.
func CheckDir(dir string, key []byte) (r CheckReport, err error) {
	current := filepath.Join(dir, storeDir)
	id, err := readIdentity(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !hasData(dir):
		return r, fmt.Errorf("engine: %s holds no store", dir)
	case err != nil && id.Format > formatVersion:
		return r, err
	case err != nil:
		r.failed(err)
		return r, nil
	}
	r.StoreID, r.Feed, r.Encrypted = id.StoreID, id.Feed, id.Encryption != nil
	if id.Fresh && !hasData(dir) {
		return r, nil // it was never open
	}
	lock, err := lockDir(current)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(current + replacedSuffix); err == nil {
			r.fail("a restore was cut off: the data are in %s; the next start of the store puts them back", current+replacedSuffix)
			return r, nil
		}
		r.fail("%s is gone, but %s says that there is a store: restore a backup", current, filepath.Join(dir, identityFile))
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("engine: %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	storeKey, err := id.unlock(dir, key)
	if IsKeyError(err) {
		return r, err
	}
	if err != nil {
		r.failed(err)
		return r, nil
	}
	o := badgerOptions{Key: secret(storeKey, badgerSecret), Least: id.least(), Lossy: id.lossy()}
	return r, r.checkData(dir, &id, o)
}

// checkData looks at the data that an identity belongs to.
func (r *CheckReport) checkData(dir string, id *identity, o badgerOptions) error {
	scratch, err := os.MkdirTemp("", "sett-check-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	b, found, err := openFrozen(filepath.Join(dir, storeDir), scratch, o)
	if err != nil {
		r.failed(err)
		return nil
	}
	r.Tables, r.TableBytes = int64(found.tables), found.bytes
	for _, l := range found.logs {
		if l.first != 0 {
			r.Logs++
		}
	}
	c := storedCheck{dir: dir, id: id, backend: b, report: r}
	c.run()
	return b.Close()
}

// freeze makes dir look like a database that nobody changes: its tables, and
// the commits in its logs. Badger reads no log that must be cut first.
func freeze(scratch, dir string, logs []logFile) error {
	tables, err := namesOf(dir, ".sst")
	if err != nil {
		return err
	}
	for _, name := range tables {
		if name, err = filepath.Abs(name); err != nil {
			return err
		}
		if err := os.Symlink(name, filepath.Join(scratch, filepath.Base(name))); err != nil {
			return err
		}
	}
	copied := map[string]int{filepath.Join(dir, manifestFile): -1, filepath.Join(dir, registryFile): -1}
	for _, l := range logs {
		if l.first != 0 {
			copied[l.name] = l.end
		}
	}
	for name, size := range copied {
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && size >= 0 {
			data = data[:size]
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(scratch, filepath.Base(name)), data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// storedCheck proves what must hold of stored data by themselves.
type storedCheck struct {
	dir     string // "": in memory
	id      *identity
	backend backend
	report  *CheckReport

	meta      meta
	ids       *dedup
	revisions []uint64 // of records
	next      uint64   // the revision that the outbox goes on with; 0: it did not begin
}

func (c *storedCheck) run() {
	m, fresh, err := readMeta(c.backend)
	if err != nil {
		c.report.failed(err)
	}
	if fresh {
		return
	}
	c.meta, c.ids = m, newDedup()
	c.report.Commit, c.report.Clean = c.backend.Last(), m.clean != 0
	c.report.Revision, c.report.Epoch, c.report.TimeMs = m.revision, m.epoch, int64(m.nowMs)
	c.counters()
	v := c.backend.View(c.backend.Last())
	defer v.Close()
	if err := v.Scan(nil, c.entry); err != nil {
		c.report.failed(err)
	}
	c.outboxEnd()
	c.twice()
	c.report.MessageIDs = int64(len(c.ids.queue))
}

// counters must agree with the identity.
func (c *storedCheck) counters() {
	m, id := &c.meta, c.id
	if err := m.belongs(c.dir, id); err != nil {
		c.report.failed(err)
	}
	if last := c.backend.Last(); id.least() > last {
		c.report.fail("the store is at commit %d, but commit %d was acknowledged", last, id.Committed)
	}
	if m.clean == leftRestored {
		return // the next opening begins an epoch, and reserves
	}
	if id.Reserved != 0 && m.revision > id.Reserved && !id.Fresh {
		c.report.fail("the store is at revision %d, but only those up to %d are reserved", m.revision, id.Reserved)
	}
	if m.announced > m.revision && id.Feed != codec.FeedDurable {
		c.report.fail("changes up to %d were announced, but the store is at %d", m.announced, m.revision)
	}
	if id.Feed != "" && id.Feed != codec.FeedLive && id.Feed != codec.FeedDurable {
		c.report.fail("the feed's mode is %q", id.Feed)
	}
}

// entry checks one stored entry by what its key begins with.
func (c *storedCheck) entry(key, value []byte) error {
	kind, _, _ := strings.Cut(string(key), ":")
	var err error
	switch kind + ":" {
	case kvPrefix, svcPrefix:
		c.report.Bytes += int64(len(key) + len(value))
		err = c.record(key, value)
	case outboxPrefix:
		err = c.part(key, value)
	case idsPrefix:
		err = c.messageIDs(key, value)
	case metaKey + ":":
	default:
		err = fmt.Errorf("the key %.100q is of no known kind", key)
	}
	if err != nil {
		c.report.failed(err)
	}
	return nil
}

// record checks a key or an instance.
func (c *storedCheck) record(key, value []byte) error {
	if isKey(string(key)) {
		c.report.Keys++
	} else {
		c.report.Instances++
	}
	r, err := codec.ParseRecord(key, value)
	if err != nil {
		return err
	}
	if r.ExpiresAtMs != 0 {
		c.report.Deadlines++
	}
	c.revisions = append(c.revisions, r.Revision)
	return soundRecord(key, &r, c.meta.revision)
}

// soundRecord refuses what no store at a revision would write, though its
// checksum is right.
func soundRecord(key []byte, r *codec.Record, revision uint64) error {
	switch {
	case r.Created == 0 || r.Created > r.Revision || r.Revision > revision:
		return fmt.Errorf("the record %.100q was created at %d and changed at %d, the store was at %d", key, r.Created, r.Revision, revision)
	case r.TTLMs < 0 || r.TTLMs > codec.MaxTTL.Milliseconds() || r.ExpiresAtMs < 0 || r.ExpiresAtMs != 0 && r.TTLMs == 0:
		return fmt.Errorf("the record %.100q has a TTL of %d ms and the deadline %d", key, r.TTLMs, r.ExpiresAtMs)
	case isKey(string(key)):
		return wrapKey(key, (&codec.Get{Key: string(key[len(kvPrefix):])}).Validate())
	}
	var in codec.InstanceRecord
	if err := codec.Decode(r.Value, &in); err != nil {
		return wrapKey(key, err)
	}
	if name, id := splitInstance(string(key)); in.Name != name || in.ID != id {
		return fmt.Errorf("the record %.100q holds the instance %.100q of %.100q", key, in.ID, in.Name)
	}
	return nil
}

func wrapKey(key []byte, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the record %.100q: %w", key, err)
}

// part checks an outbox entry: its changes, the values that it left in records,
// and that it follows the one before.
func (c *storedCheck) part(key, value []byte) error {
	p, err := codec.ParsePart(key, value)
	if err != nil {
		return err
	}
	if p.Commit > c.backend.Last() {
		return fmt.Errorf("the outbox part %.100q is of commit %d, and the store is at %d", key, p.Commit, c.backend.Last())
	}
	changes, err := storedChanges(c.backend, &p)
	if err != nil {
		return fmt.Errorf("the outbox part %.100q: %w", key, err)
	}
	if len(key) != len(outboxPrefix)+8 || len(changes) == 0 {
		return fmt.Errorf("the outbox part %.100q has %d changes", key, len(changes))
	}
	first := binary.BigEndian.Uint64(key[len(outboxPrefix):])
	begins := changes[0].Op == codec.OpChanged // an epoch
	if c.next != 0 && first != c.next && (first < c.next || !begins) {
		c.report.fail("the outbox part that begins at %d follows one that ends at %d", first, c.next-1)
	}
	c.report.Outbox += int64(len(changes))
	c.next = p.Last + 1
	for i := range changes {
		if err := checkChange(&changes[i], first+uint64(i)); err != nil {
			return err
		}
	}
	if last := changes[len(changes)-1].Revision; last != p.Last {
		return fmt.Errorf("the outbox part that begins at %d ends at %d, not at %d", first, last, p.Last)
	}
	return nil
}

// checkChange proves that a change is the one of a revision.
func checkChange(c *codec.Change, revision uint64) error {
	if c.Revision != revision || c.CommitRevision < revision || c.PreviousRevision >= revision {
		return fmt.Errorf("the change of revision %d follows revision %d, in a command up to %d; it stands at %d",
			c.Revision, c.PreviousRevision, c.CommitRevision, revision)
	}
	return nil
}

// outboxEnd checks that the outbox goes up to the last revision.
func (c *storedCheck) outboxEnd() {
	switch {
	case c.meta.clean == leftRestored:
	case c.next != 0 && c.next != c.meta.revision+1:
		c.report.fail("the outbox ends at revision %d, and the store is at %d", c.next-1, c.meta.revision)
	case c.next == 0 && c.meta.announced < c.meta.revision:
		c.report.fail("the outbox is empty, but of %d changes only %d were announced", c.meta.revision, c.meta.announced)
	}
}

// messageIDs checks the ids of one commit; commits come in order.
func (c *storedCheck) messageIDs(key, value []byte) error {
	if len(key) != len(idsPrefix)+8 {
		return fmt.Errorf("the key %.100q of message ids is damaged", key)
	}
	before := len(c.ids.queue)
	if err := c.ids.load(key, value); err != nil {
		return err
	}
	added := c.ids.queue[before:]
	commit := binary.BigEndian.Uint64(key[len(idsPrefix):])
	switch {
	case len(added) == 0 || commit > c.backend.Last():
		return fmt.Errorf("%d message ids of commit %d, and the store is at %d", len(added), commit, c.backend.Last())
	case before > 0 && added[0].atMs < c.ids.queue[before-1].atMs:
		return fmt.Errorf("the message ids of commit %d are older than those before them", commit)
	}
	return nil
}

// twice finds revisions that two records have.
func (c *storedCheck) twice() {
	slices.Sort(c.revisions)
	for i := 1; i < len(c.revisions); i++ {
		if c.revisions[i] == c.revisions[i-1] {
			c.report.fail("two records have the revision %d", c.revisions[i])
		}
	}
	if n := len(c.ids.known); n != len(c.ids.queue) {
		c.report.fail("of %d message ids %d are there twice", len(c.ids.queue), len(c.ids.queue)-n)
	}
}
