package engine

import (
	"cmp"
	"container/heap"
	"slices"
	"sync"

	"github.com/settkv/sett/codec"
)

const (
	// expireAtOnce bounds the records of one expiry command, so that a minute
	// in which a million keys expire does not stop all other writers.
	expireAtOnce = 512
	// renewEveryMs is how often heartbeats are written, all of them at once.
	renewEveryMs = 1000
)

// due is a place in the queue of deadlines. All versions of a record share
// one, so that moving a deadline back costs nothing: it is looked at when the
// earlier one comes.
type due struct {
	path string
	at   int64
	slot int // in the heap, -1: not there
}

// deadlines is the queue of the records that expire next.
type deadlines struct {
	mu      sync.Mutex
	heap    dueHeap
	sooner  chan struct{} // receives a value when the first deadline moved up
	beating []item        // renewed from memory, not yet written

	ending sync.Mutex // held from taking what is due until it is proposed

	// The expirer's:
	writtenMs int64  // when it last began to write renewals
	writing   []item // those that are left of that
}

func newDeadlines() *deadlines { return &deadlines{sooner: make(chan struct{}, 1)} }

// schedule makes sure that a record is looked at by its deadline.
func (d *deadlines) schedule(rec *record) {
	at := rec.expires()
	if at == 0 {
		return
	}
	d.mu.Lock()
	e := rec.life.due
	first := len(d.heap) == 0 || at < d.heap[0].at
	switch {
	case e.slot < 0:
		e.at = at
		heap.Push(&d.heap, e)
	case at < e.at:
		e.at = at
		heap.Fix(&d.heap, e.slot)
	}
	d.mu.Unlock()
	if first {
		d.wake()
	}
}

// wake has the expirer look.
func (d *deadlines) wake() {
	select {
	case d.sooner <- struct{}{}:
	default:
	}
}

// drop takes the place of a record that was overwritten or removed out of the
// queue, unless its key has a deadline still.
func (d *deadlines) drop(old *record, visible *snapshot) {
	if old.life == nil || old.life.due == nil {
		return
	}
	e := old.life.due
	if found, ok := visible.Get(e.path); ok && found.rec.life != nil && found.rec.life.due == e && found.rec.expires() != 0 {
		return
	}
	d.mu.Lock()
	if e.slot >= 0 {
		heap.Remove(&d.heap, e.slot)
	}
	d.mu.Unlock()
}

// take removes the records whose deadline has come and returns those that are
// dead, in the order of their deadlines, with the time of the next one (0:
// none). Whose deadline has moved goes back into the queue. It looks at what is
// visible under the lock: so it knows every record that was scheduled, and takes
// none for gone that came a moment ago.
func (d *deadlines) take(visible func() *snapshot, nowMs int64) (dead []item, next int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer func() { slices.SortFunc(dead, byDeadline) }()
	index := visible()
	room := metBytes
	for len(d.heap) > 0 && len(dead) < expireAtOnce && room > 0 {
		e := d.heap[0]
		if e.at > nowMs {
			return dead, e.at
		}
		found, ok := index.Get(e.path)
		switch {
		case !ok || found.rec.life == nil || found.rec.life.due != e || found.rec.expires() == 0:
			heap.Pop(&d.heap) // gone, or it has no deadline any more
		case found.rec.dead(nowMs):
			heap.Pop(&d.heap)
			dead = append(dead, found)
			room -= eventRoom(found.path, found.rec)
		default:
			e.at = found.rec.expires()
			heap.Fix(&d.heap, 0)
		}
	}
	return dead, 0
}

// byDeadline compares two records by deadline, then by path.
func byDeadline(a, b item) int {
	return cmp.Or(cmp.Compare(a.rec.expires(), b.rec.expires()), cmp.Compare(a.path, b.path))
}

// beat notes that an instance was renewed from memory.
func (d *deadlines) beat(i item) {
	d.mu.Lock()
	d.beating = append(d.beating, i)
	d.mu.Unlock()
}

// beats returns what was renewed since it was last asked.
func (d *deadlines) beats() []item {
	d.mu.Lock()
	defer d.mu.Unlock()
	beating := d.beating
	d.beating = nil
	return beating
}

// dueHeap is a heap by deadline; each entry knows its slot.
type dueHeap []*due

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].slot, h[j].slot = i, j
}

// Push implements [heap.Interface].
func (h *dueHeap) Push(x any) {
	e := x.(*due)
	e.slot = len(*h)
	*h = append(*h, e)
}

// Pop implements [heap.Interface].
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	e.slot = -1
	return e
}

// expireDue ends records that are past their deadline: those of them that are
// still what they were when they were found so.
type expireDue struct {
	codec.Clear
	dead []item
}

// expireDue gives each expiry a commit revision of its own: each is a command
// of its own, and they only travel together.
func (m *machine) expireDue(c *expireDue) codec.Reply {
	for _, i := range c.dead {
		rec, ok := m.get(i.path)
		if !ok || rec.revision != i.rec.revision || !rec.dead(m.nowMs) {
			continue
		}
		m.expire(i.path)
		_ = m.encode(len(m.changes))
	}
	return &codec.ClearReply{}
}

// renewals writes the deadlines of instances that were renewed from memory.
type renewals struct {
	codec.Clear
	beating []item
}

func (m *machine) renewals(c *renewals) codec.Reply {
	for _, i := range c.beating {
		rec, ok := m.get(i.path)
		if !ok || rec != i.rec {
			continue // it was registered anew since, and written
		}
		m.writeRenewed(i.path, rec, rec.expires())
	}
	return &codec.ClearReply{}
}

// expire is the goroutine that ends what is past its deadline, and writes what
// was renewed. It proposes; the writer decides.
func (s *store) expire() {
	for wait := int64(0); ; wait = s.sweep() {
		if wait <= 0 && s.down() == nil {
			continue
		}
		select {
		case <-s.stop:
			return
		case <-s.done:
			return // nothing ends any more: a commit failed
		case <-s.deadlines.sooner:
		case <-s.clock.after(wait):
		}
	}
}

// sweep does what is due and returns after how many milliseconds to look again.
func (s *store) sweep() (waitMs int64) {
	now := s.clock.ms()
	if s.held.Load() {
		return renewEveryMs
	}
	if now-s.deadlines.writtenMs >= renewEveryMs {
		s.deadlines.writtenMs = now
		s.deadlines.writing = append(s.deadlines.writing, s.deadlines.beats()...)
	}
	s.writeSome()
	more, next := s.endDue(now)
	if more {
		return 0
	}
	if len(s.deadlines.writing) > 0 {
		return 0
	}
	wait := s.deadlines.writtenMs + renewEveryMs - now
	if next != 0 {
		wait = min(wait, next-now)
	}
	return wait
}

// endDue ends records that are past their deadline, and waits until that is
// durable. It says whether there may be more, or else when the next is due.
func (s *store) endDue(now int64) (more bool, next int64) {
	s.deadlines.ending.Lock()
	dead, next := s.deadlines.take(s.visible, now)
	wait := func() {}
	if len(dead) > 0 {
		wait = s.send(&expireDue{dead: dead})
	}
	s.deadlines.ending.Unlock()
	wait()
	s.ended(dead)
	s.putBack(dead)
	return len(dead) > 0, next
}

// settle waits until everything that is dead at a time has ended, whoever found
// it: what another has taken is proposed by then, and the writer takes
// proposals in their order.
func (s *store) settle(now int64) {
	if s.options.noExpirer {
		return
	}
	for more := true; more && s.down() == nil; { // down: nothing ends any more
		more, _ = s.endDue(now)
	}
	s.propose(&expireDue{})
}

// visible is what readers see.
func (s *store) visible() *snapshot { return s.state.Load().index }

// putBack queues those again that lived on: they were renewed in between.
func (s *store) putBack(proposed []item) {
	index := s.visible()
	for _, i := range proposed {
		if found, ok := index.Get(i.path); ok && found.rec.life != nil && found.rec.life.due == i.rec.life.due {
			s.deadlines.schedule(found.rec)
		}
	}
}

// writeBeats writes all deadlines that were renewed.
func (s *store) writeBeats() {
	s.deadlines.writing = append(s.deadlines.writing, s.deadlines.beats()...)
	for len(s.deadlines.writing) > 0 {
		s.writeSome()
	}
}

// writeSome writes a group's worth of renewed deadlines: what ends meanwhile
// shall not wait for all of them, which after a start may be a hundred thousand.
func (s *store) writeSome() {
	beating := s.deadlines.writing
	if len(beating) == 0 {
		return
	}
	n, room := 0, groupBytes
	for ; n < min(len(beating), expireAtOnce) && room > 0; n++ {
		room -= len(beating[n].path) + int(beating[n].rec.size)
	}
	s.propose(&renewals{beating: beating[:n]})
	if s.deadlines.writing = beating[n:]; n == len(beating) {
		s.deadlines.writing = nil
	}
}

// propose hands a command to the writer, whatever else waits there, and waits
// until it is done.
func (s *store) propose(cmd codec.Command) { s.send(cmd)() }

// send hands a command to the writer and returns how to wait for it.
func (s *store) send(cmd codec.Command) (wait func()) {
	done := make(chan struct{})
	r := &Request{Command: cmd, Done: func(codec.Reply, error) { close(done) }}
	if !s.queue.putAhead(r) {
		return func() {}
	}
	return func() { <-done }
}
