package engine

import (
	"errors"

	"github.com/settkv/sett/codec"
)

// errMoved says that a value was overwritten, or its backend replaced, between
// reading the index and reading the value: look again.
var errMoved = errors.New("engine: the record moved on")

// look runs a read on the last commit at the present time. fn reports whether
// it left out anything because of its deadline alone.
//
// Three things make it look again. Another commit that came in between: records
// become visible one by one, and who has seen one of them must see all, in this
// read and in the next. A value that has moved on since the index was read. And
// a deadline: a group that read the clock earlier may be renewing what was left
// out, and a crash before its end is committed would bring it back. So the read
// waits until that has ended for good: what was told dead never lives on.
func (s *store) look(fn func(st *state, nowMs int64) (leftOut bool, err error)) error {
	if err := s.down(); err != nil {
		return err
	}
	for range glances {
		before := s.published.Load()
		now, st := s.clock.ms(), s.state.Load()
		leftOut, err := fn(st, now)
		if leftOut {
			return s.lookedAt(s.lookAgain(now, true, fn))
		}
		if !errors.Is(err, errMoved) && before%2 == 0 && before == s.published.Load() {
			return s.lookedAt(st, err)
		}
	}
	return s.lookedAt(s.lookAgain(s.clock.ms(), false, fn))
}

// glances is how often a read that a commit has disturbed is tried again before
// writers wait for it: a long page meets one in a few.
const glances = 3

// lookAgain runs a read between two groups. Nothing moves then, at the price
// that the writer waits.
func (s *store) lookAgain(now int64, leftOut bool, fn func(st *state, nowMs int64) (leftOut bool, err error)) (*state, error) {
	if leftOut && s.held.Load() {
		return s.state.Load(), errHeld() // what is dead cannot end yet
	}
	if leftOut {
		s.settle(now)
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	st := s.state.Load()
	if err := s.down(); err != nil {
		return st, err
	}
	_, err := fn(st, now)
	return st, err
}

// lookedAt is the outcome of a read as its caller gets it.
func (s *store) lookedAt(st *state, err error) error {
	if err == nil {
		return nil
	}
	if refused, ok := errors.AsType[*codec.Error](err); ok {
		refused.Position = st.position()
		return refused
	}
	if err := s.down(); err != nil {
		return err // it was closed meanwhile, and its backend with it
	}
	return s.failed(err)
}

// values reads the values of records of one state. Its view is opened when the
// first is wanted that memory does not have.
type values struct {
	s    *store
	st   *state
	view view
}

func (v *values) get(i item) ([]byte, error) {
	if value, ok := v.s.cache.get(i.rec); ok {
		return value, nil
	}
	if v.view == nil {
		v.view = v.st.backend.View(v.st.commit)
	}
	value, err := readValue(v.view, i)
	if err == nil {
		v.s.cache.fill(i.rec, value)
	}
	return value, err
}

func (v *values) close() {
	if v.view != nil {
		v.view.Close()
	}
}

// readValue reads a record's value from the backend and checks that it is the
// record's own.
func readValue(v view, i item) ([]byte, error) {
	key := []byte(i.path)
	stored, ok, err := v.Get(key, nil)
	if err != nil {
		if errors.Is(err, errClosed) {
			return nil, errMoved
		}
		return nil, err
	}
	if !ok {
		return nil, errMoved
	}
	r, err := codec.ParseRecord(key, stored)
	if err != nil {
		return nil, err
	}
	if r.Revision != i.rec.revision {
		return nil, errMoved
	}
	return r.Value, nil
}

// ReadKey implements [Reader].
func (s *store) ReadKey(r *codec.Get) (*codec.GetReply, error) {
	reply := &codec.GetReply{}
	path := keyPath(r.Key)
	err := s.look(func(st *state, now int64) (bool, error) {
		found, ok := st.index.Get(path)
		if !ok || found.rec.dead(now) {
			return ok, notFound(path)
		}
		v := values{s: s, st: st}
		defer v.close()
		value, err := v.get(found)
		if err != nil {
			return false, err
		}
		reply.Position, reply.Entry = st.position(), found.entry()
		reply.Value = value
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// ReadKeys implements [Reader].
func (s *store) ReadKeys(r *codec.BatchGet, fit codec.Fit) (*codec.BatchGetReply, error) {
	var reply *codec.BatchGetReply
	err := s.look(func(st *state, now int64) (leftOut bool, err error) {
		reply = &codec.BatchGetReply{Position: st.position(), Entries: []codec.Entry{}}
		v := values{s: s, st: st}
		defer v.close()
		room := newRoom(fit)
		for _, key := range r.Keys {
			found, ok := st.index.Get(keyPath(key))
			if !ok || found.rec.dead(now) {
				leftOut = leftOut || ok
				continue
			}
			e := found.entry()
			if !room.take(&e, int(found.rec.size)) {
				refused := codec.Errorf(codec.TooLarge, "the entries do not fit one reply of %d bytes; ask for fewer keys", fit.MaxBytes)
				refused.Limit = int64(fit.MaxBytes)
				return false, refused
			}
			if e.Value, err = v.get(found); err != nil {
				return false, err
			}
			reply.Entries = append(reply.Entries, e)
		}
		return leftOut, nil
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// room counts down what a page may still take. It counts what an entry takes
// at the most, so that a page is never too big to send.
type room struct {
	left  int
	json  bool
	bound bool
}

// errPage cannot be: the smallest page takes the largest entry.
var errPage = errors.New("engine: an entry does not fit a page")

// envelope is what a page takes beside its entries, its cursor included.
const envelope = 4096

func newRoom(fit codec.Fit) room {
	return room{left: fit.MaxBytes - envelope, json: fit.Encoding != codec.Msgpack, bound: fit.MaxBytes > 0}
}

// take reports whether an entry with a value of size bytes (-1: without) fits.
func (r *room) take(e *codec.Entry, size int) bool {
	need := 104 + len(e.Key) + max(size, 0)
	if r.json {
		need = 192 + 2*len(e.Key) + (max(size, 0)+2)/3*4
	}
	return r.bytes(need)
}

func (r *room) bytes(need int) bool {
	r.left -= need
	return !r.bound || r.left >= 0
}
