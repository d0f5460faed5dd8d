package engine

import (
	"math"
	"slices"
	"sort"
	"sync"

	"github.com/settkv/sett/codec"
)

const (
	// outboxInMemory bounds the events that the relay gets without a read.
	outboxInMemory = 16 << 20
	// Of what a durable feed has on disk, the newest stay: whichever is less.
	historyRevisions = 100_000
	historyBytes     = 64 << 20
)

// outbox is the queue of changes on their way out, in three stretches: synced
// (whoever announces them has them on disk), announced, and waiting. The writer
// appends after each commit and takes off the front what is no longer wanted;
// the relay reads, and says how far it came.
type outbox struct {
	// Bounds of the bytes that wait, and of those that are kept until they are
	// synced.
	max, keep int64

	mu        sync.Mutex
	mode      string // "": nobody announces changes
	parts     []part // in order
	announced stretch
	synced    stretch
	bytes     int64 // of all parts
	resident  int   // of the parts that hold their events
	commits   chan struct{}
}

// stretch is the front of the queue up to a revision.
type stretch struct {
	revision uint64
	parts    int // that lie in it whole
	bytes    int64
}

func newOutbox(max, keep int64) *outbox {
	return &outbox{max: max, keep: keep, commits: make(chan struct{}, 1)}
}

// append adds the parts of a commit and wakes the relay.
func (o *outbox) append(parts []part) {
	if len(parts) == 0 {
		return
	}
	o.mu.Lock()
	for _, p := range parts {
		o.bytes += int64(p.size)
		if o.resident+p.size > outboxInMemory {
			p.events = nil
		}
		if p.events != nil {
			o.resident += p.size
		}
		o.parts = append(o.parts, p)
	}
	o.move(&o.announced, o.announced.revision) // at the start, what was announced before
	if o.mode == "" {
		o.moveTo(parts[len(parts)-1].last)
	}
	o.mu.Unlock()
	select {
	case o.commits <- struct{}{}:
	default:
	}
}

// forget takes the parts that nobody wants any more out of the queue, for the
// writer to delete them: not too many at once.
func (o *outbox) forget(writes []write) []write {
	o.mu.Lock()
	defer o.mu.Unlock()
	for range maxTrim {
		if o.announced.parts == 0 || o.wanted() {
			break
		}
		p := &o.parts[0]
		writes = append(writes, write{key: p.key(), delete: true})
		o.bytes -= int64(p.size)
		o.announced.pop(p)
		o.synced.pop(p)
		*p = part{}
		o.parts = o.parts[1:]
	}
	return writes
}

// pop takes the first part off a stretch, if it reaches that far.
func (s *stretch) pop(p *part) {
	if s.parts > 0 {
		s.parts--
		s.bytes -= int64(p.size)
	}
}

// wanted tells whether the first part, which is announced, stays. A stream that
// lost its tail gets it again from here, and one that is made anew its
// beginning: so what is announced waits until it is synced, and the newest of
// that stays even then.
func (o *outbox) wanted() bool {
	switch {
	case o.mode == codec.FeedLive:
		return false
	case len(o.parts) == 1:
		return true // the stream's last message is compared with it
	case o.synced.parts == 0:
		return o.announced.bytes <= o.keep
	}
	return o.synced.revision-o.parts[0].last < historyRevisions && o.synced.bytes <= historyBytes
}

// after returns the first part with a change after a revision.
func (o *outbox) after(revision uint64) (p part, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := sort.Search(len(o.parts), func(i int) bool { return o.parts[i].last > revision })
	if i == len(o.parts) {
		return part{}, false
	}
	return o.parts[i], true
}

// announce says how far changes were announced. With a durable feed that may go
// back: the stream lost its tail. Without one nothing is kept for that.
func (o *outbox) announce(revision uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.mode == codec.FeedDurable {
		o.moveAnnounced(revision)
	} else {
		o.moveTo(max(o.announced.revision, revision))
	}
}

func (o *outbox) sync(revision uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.move(&o.synced, min(revision, o.announced.revision))
}

// moveTo takes everything up to a revision for announced and synced.
func (o *outbox) moveTo(revision uint64) {
	o.moveAnnounced(revision)
	o.move(&o.synced, revision)
}

func (o *outbox) moveAnnounced(revision uint64) {
	before := o.announced.parts
	o.move(&o.announced, revision)
	for i := before; i < o.announced.parts; i++ {
		o.drop(&o.parts[i])
	}
	if o.synced.revision > revision {
		o.move(&o.synced, revision)
	}
}

func (o *outbox) move(s *stretch, revision uint64) {
	s.revision = revision
	for s.parts < len(o.parts) && o.parts[s.parts].last <= revision {
		s.bytes += int64(o.parts[s.parts].size)
		s.parts++
	}
	for s.parts > 0 && o.parts[s.parts-1].last > revision {
		s.parts--
		s.bytes -= int64(o.parts[s.parts].size)
	}
}

// drop lets go of a part's events.
func (o *outbox) drop(p *part) {
	if p.events != nil {
		o.resident -= p.size
		p.events = nil
	}
}

// oldest is the first commit of which it still needs the records.
func (o *outbox) oldest() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.parts) == 0 {
		return math.MaxUint64
	}
	return o.parts[0].commit
}

// use says how changes are announced from now on.
func (o *outbox) use(mode string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mode = mode
	if mode == codec.FeedLive {
		o.move(&o.synced, o.announced.revision)
	}
}

func (o *outbox) feedMode() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.mode
}

func (o *outbox) lastAnnounced() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.announced.revision
}

// clear drops everything: the contents that it told of were replaced.
func (o *outbox) clear() {
	o.mu.Lock()
	o.parts, o.bytes, o.resident = nil, 0, 0
	o.announced = stretch{revision: o.announced.revision}
	o.synced = stretch{revision: o.synced.revision}
	o.mu.Unlock()
}

// waiting says how far changes were announced, and how many bytes wait.
func (o *outbox) waiting() (announced uint64, bytes int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.announced.revision, o.bytes - o.announced.bytes
}

// full says that so much waits that no more may join it.
func (o *outbox) full() bool {
	_, waiting := o.waiting()
	return waiting >= o.max
}

// Commits implements [Feed].
func (s *store) Commits() <-chan struct{} { return s.outbox.commits }

// Announced implements [Feed].
func (s *store) Announced(revision uint64) { s.outbox.announce(revision) }

// Synced implements [Feed].
func (s *store) Synced(revision uint64) { s.outbox.sync(revision) }

// AnnouncedRevision implements [Feed].
func (s *store) AnnouncedRevision() uint64 { return s.outbox.lastAnnounced() }

// Outbox implements [Feed].
func (s *store) Outbox(after uint64, maxBytes int) ([]codec.Event, error) {
	if err := s.down(); err != nil {
		return nil, err
	}
	var found [][]codec.Event
	for size := 0; size < maxBytes || len(found) == 0; {
		p, ok, err := s.nextPart(after)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		found = append(found, p.events[sort.Search(len(p.events), func(i int) bool { return p.events[i].Revision > after }):])
		after = p.last
		size += p.size
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return slices.Concat(found...), nil
}

// nextPart returns the first part with a change after a revision, with its
// events.
func (s *store) nextPart(after uint64) (p part, ok bool, err error) {
	if p, ok = s.outbox.after(after); !ok || s.loadEvents(&p) == nil {
		return p, ok, nil
	}
	// It may have been deleted, or replaced with all the rest, meanwhile.
	s.turn.Lock()
	defer s.turn.Unlock()
	if err := s.down(); err != nil {
		return part{}, false, err
	}
	if p, ok = s.outbox.after(after); ok {
		err = s.loadEvents(&p)
	}
	return p, ok, err
}
