package engine

import (
	"encoding/binary"
	"fmt"
	"sort"
	"sync"

	"github.com/settkv/sett/codec"
)

const (
	// maxPart is what an outbox entry holds, unless a single event is larger:
	// below the backend's limit for a value.
	maxPart = 512 << 10
	// outboxInMemory bounds the events that the relay gets without a read.
	outboxInMemory = 16 << 20
)

// part is one entry of the outbox: the changes of a commit, or a share of
// them, in the bytes to be published.
type part struct {
	first, last uint64
	commit      uint64
	size        int
	key         []byte
	data        []byte        // what is stored; nil once events are dropped
	events      []codec.Event // nil: read them from the backend
}

func outboxKey(first uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(outboxPrefix), first)
}

// sealParts packs a group's events, which it copies.
func sealParts(events []codec.Event) []*part {
	var parts []*part
	for len(events) > 0 {
		n, size := 0, 0
		for n < len(events) && (n == 0 || size+eventSize(&events[n]) <= maxPart) {
			size += eventSize(&events[n])
			n++
		}
		parts = append(parts, sealPart(events[:n], size))
		events = events[n:]
	}
	return parts
}

func eventSize(e *codec.Event) int { return len(e.Name) + len(e.ID) + len(e.Payload) + 24 }

func sealPart(events []codec.Event, size int) *part {
	p := &part{first: events[0].Revision, last: events[len(events)-1].Revision}
	p.key = outboxKey(p.first)
	p.data = codec.BeginEvents(make([]byte, 0, size+16))
	p.events = make([]codec.Event, len(events))
	for i := range events {
		p.data = codec.AppendEvent(p.data, &events[i])
		p.events[i] = events[i]
		p.events[i].Payload = p.data[len(p.data)-len(events[i].Payload) : len(p.data) : len(p.data)]
	}
	p.data = codec.SealEvents(p.data, p.key)
	p.size = len(p.data)
	return p
}

// outbox is the queue of changes on their way out. The writer appends after
// each commit and forgets what was announced; the relay reads.
type outbox struct {
	mu        sync.Mutex
	parts     []*part // in order
	resident  int     // bytes of the parts that hold their events
	bytes     int64
	announced uint64
	commits   chan struct{}
}

func newOutbox() *outbox { return &outbox{commits: make(chan struct{}, 1)} }

// append adds the parts of a commit and wakes the relay.
func (o *outbox) append(parts []*part) {
	if len(parts) == 0 {
		return
	}
	o.mu.Lock()
	for _, p := range parts {
		o.parts = append(o.parts, p)
		o.bytes += int64(p.size)
		if o.resident+p.size > outboxInMemory {
			p.data, p.events = nil, nil
		}
		if p.events != nil {
			o.resident += p.size
		}
	}
	o.mu.Unlock()
	select {
	case o.commits <- struct{}{}:
	default:
	}
}

// forget takes parts that were announced whole out of the queue, for the writer
// to delete them: not too many at once.
func (o *outbox) forget(writes []write) []write {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for ; n < min(len(o.parts), maxTrim) && o.parts[n].last <= o.announced; n++ {
		p := o.parts[n]
		writes = append(writes, write{key: p.key, delete: true})
		o.bytes -= int64(p.size)
		if p.events != nil {
			o.resident -= p.size
		}
		o.parts[n] = nil
	}
	o.parts = o.parts[n:]
	return writes
}

// after returns the first part with a change after a revision.
func (o *outbox) after(revision uint64) *part {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := sort.Search(len(o.parts), func(i int) bool { return o.parts[i].last > revision })
	if i == len(o.parts) {
		return nil
	}
	copied := *o.parts[i]
	return &copied
}

func (o *outbox) announce(revision uint64) {
	o.mu.Lock()
	o.announced = max(o.announced, revision)
	o.mu.Unlock()
}

func (o *outbox) lastAnnounced() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.announced
}

// clear drops everything: the contents that it told of were replaced.
func (o *outbox) clear() {
	o.mu.Lock()
	o.parts, o.bytes, o.resident = nil, 0, 0
	o.mu.Unlock()
}

// status says what is not yet announced.
func (o *outbox) status() (announced uint64, bytes int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.parts {
		if p.last > o.announced {
			bytes += int64(p.size)
		}
	}
	return o.announced, bytes
}

// Commits implements [Feed].
func (s *store) Commits() <-chan struct{} { return s.outbox.commits }

// Announced implements [Feed].
func (s *store) Announced(revision uint64) { s.outbox.announce(revision) }

// AnnouncedRevision implements [Feed].
func (s *store) AnnouncedRevision() uint64 { return s.outbox.lastAnnounced() }

// Outbox implements [Feed].
func (s *store) Outbox(after uint64, maxBytes int) ([]codec.Event, error) {
	if err := s.down(); err != nil {
		return nil, err
	}
	var events []codec.Event
	for size := 0; size < maxBytes || len(events) == 0; {
		p := s.outbox.after(after)
		if p == nil {
			break
		}
		if err := s.loadEvents(p); err != nil {
			return nil, err
		}
		for i := range p.events {
			if p.events[i].Revision > after {
				events = append(events, p.events[i])
			}
		}
		after = p.last
		size += p.size
	}
	return events, nil
}

// loadEvents reads the events of a part that memory no longer holds.
func (s *store) loadEvents(p *part) error {
	if p.events != nil {
		return nil
	}
	st := s.state.Load()
	v := st.backend.View(st.commit)
	defer v.Close()
	data, ok, err := v.Get(p.key, nil)
	if err != nil {
		return s.failed(err)
	}
	if !ok {
		return fmt.Errorf("engine: outbox entry of revision %d is missing", p.first)
	}
	p.events, err = codec.ParseEvents(p.key, data)
	return err
}
