package consumer_test

import (
	"errors"
	"sync"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/consumer"
	"github.com/settkv/sett/engine"
)

// fakeStore applies kv.set and svc.register in memory. It is for what is hard
// to bring about with an engine: a queue that is full, a commit that takes as
// long as a test wants, an error that no engine should return.
type fakeStore struct {
	consumer.Store // nil: what is not here is not called
	commits        chan struct{}
	wake           chan struct{}
	ended          chan struct{}
	failed         chan struct{}

	mu        sync.Mutex
	queue     []*engine.Request
	most      int           // of queue; 0: no limit
	held      chan struct{} // not nil: commits wait until it is closed
	blocked   chan struct{} // likewise Submit, as no engine does
	closed    bool
	revision  uint64
	announced uint64
	keys      []string // in the order in which they were set
	ids       []string
	events    []codec.Event
}

const fakeEpoch = 7

var errSecret = errors.New("the detail that stays in the log")

func newFakeStore() *fakeStore {
	s := &fakeStore{commits: make(chan struct{}, 1), wake: make(chan struct{}, 1), ended: make(chan struct{}), failed: make(chan struct{})}
	go s.write()
	return s
}

func (s *fakeStore) Submit(r *engine.Request) error {
	s.mu.Lock()
	if blocked := s.blocked; blocked != nil {
		s.mu.Unlock()
		<-blocked
		s.mu.Lock()
	}
	if s.most > 0 && len(s.queue) >= s.most {
		s.mu.Unlock()
		return codec.ErrOverloaded
	}
	s.queue = append(s.queue, r)
	s.mu.Unlock()
	poke(s.wake)
	return nil
}

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// write is the one writer: all that waits is a group.
func (s *fakeStore) write() {
	defer close(s.ended)
	for range s.wake {
		s.mu.Lock()
		held := s.held
		s.mu.Unlock()
		if held != nil {
			<-held
		}
		s.mu.Lock()
		group := s.queue
		s.queue = nil
		replies := make([]codec.Reply, len(group))
		errs := make([]error, len(group))
		for i, r := range group {
			replies[i], errs[i] = s.apply(r)
		}
		closed := s.closed
		s.mu.Unlock()
		poke(s.commits)
		for i, r := range group {
			r.Done(replies[i], errs[i])
		}
		if closed {
			return
		}
	}
}

func (s *fakeStore) apply(r *engine.Request) (codec.Reply, error) {
	set, ok := r.Command.(*codec.Set)
	if !ok {
		return nil, codec.Errorf(codec.Invalid, "the fake store only sets")
	}
	switch set.Key {
	case "conflict":
		e := codec.Errorf(codec.Conflict, "the key has another revision")
		e.Key, e.Revision = set.Key, codec.Revision(3)
		return nil, e
	case "internal":
		return nil, errSecret
	}
	s.revision++
	s.keys = append(s.keys, set.Key)
	s.ids = append(s.ids, r.ID)
	change := codec.Change{Revision: s.revision, Epoch: fakeEpoch, Op: codec.OpSet, Key: set.Key, Value: set.Value}
	s.events = append(s.events, codec.Event{
		Revision: s.revision, Kind: codec.KeyEvent, Name: set.Key, Payload: codec.Append(nil, codec.JSON, &change),
	})
	reply := &codec.SetReply{Created: true}
	reply.Revision, reply.Position = s.revision, s.position()
	return reply, nil
}

func (s *fakeStore) position() codec.Position {
	return codec.Position{StoreRevision: s.revision, Epoch: fakeEpoch}
}

func (s *fakeStore) Position() codec.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.position()
}

func (s *fakeStore) Outbox(after uint64, _ int) ([]codec.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const page = 10
	rest := s.events[min(after, uint64(len(s.events))):]
	return rest[:min(len(rest), page)], nil
}

func (s *fakeStore) Commits() <-chan struct{} { return s.commits }

func (s *fakeStore) Announced(revision uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.announced = revision
}

func (s *fakeStore) AnnouncedRevision() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.announced
}

func (s *fakeStore) Synced(uint64)          {}
func (s *fakeStore) FeedMode() string       { return codec.FeedLive }
func (s *fakeStore) BeginFeed(string) error { return nil }
func (s *fakeStore) Release()               {}

func (s *fakeStore) NewEpoch(string, codec.Position) (codec.Position, error) {
	return codec.Position{}, errSecret // a live feed begins none
}

func (s *fakeStore) ReadKey(r *codec.Get) (*codec.GetReply, error) {
	if r.Key == "none" {
		return nil, codec.ErrNotFound
	}
	return &codec.GetReply{Position: s.Position(), Entry: codec.Entry{Key: r.Key, Value: []byte("v"), Revision: 1, CreatedRevision: 1}}, nil
}

func (s *fakeStore) Status() codec.StatusReply { return codec.StatusReply{Position: s.Position()} }

func (s *fakeStore) Failed() <-chan struct{} { return s.failed }

func (s *fakeStore) Err() error { return errSecret }

// hold makes commits wait for the returned function.
func (s *fakeStore) hold() (release func()) {
	held := make(chan struct{})
	s.mu.Lock()
	s.held = held
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		s.held = nil
		s.mu.Unlock()
		close(held)
	}
}

// block makes Submit wait for the returned function.
func (s *fakeStore) block() (admit func()) {
	blocked := make(chan struct{})
	s.mu.Lock()
	s.blocked = blocked
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		s.blocked = nil
		s.mu.Unlock()
		close(blocked)
	}
}

func (s *fakeStore) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

func (s *fakeStore) applied() (keys, ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.keys...), append([]string(nil), s.ids...)
}

func (s *fakeStore) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	poke(s.wake)
	<-s.ended
}
