package engine

import (
	"errors"

	"github.com/settkv/sett/codec"
)

// transaction is a [Transaction]: it reads the state at which it began, and
// whatever it read must still be so at Commit.
type transaction struct {
	s      *store
	st     *state
	nowMs  int64
	read   map[string]uint64 // the revision of each key that was read; 0: none
	writes map[string]codec.Command
	order  []string
	ended  bool
}

// BeginTx implements [Engine].
func (s *store) BeginTx() (Transaction, error) {
	if err := s.down(); err != nil {
		return nil, err
	}
	return &transaction{
		s: s, st: s.state.Load(), nowMs: s.clock.ms(),
		read: make(map[string]uint64), writes: make(map[string]codec.Command),
	}, nil
}

// Get implements [Transaction].
func (t *transaction) Get(key string) ([]byte, error) {
	if t.ended {
		return nil, errEnded()
	}
	if err := t.s.down(); err != nil {
		return nil, err
	}
	if err := codec.ValidateKey(key); err != nil {
		return nil, err
	}
	switch w := t.writes[key].(type) {
	case *codec.Set:
		return append([]byte{}, w.Value...), nil
	case *codec.Delete:
		return nil, notFound(keyPath(key))
	}
	found, ok := t.st.index.Get(keyPath(key))
	if !ok || found.rec.dead(t.nowMs) {
		if ok {
			t.s.settle(t.nowMs)
		}
		t.read[key] = 0
		return nil, notFound(keyPath(key))
	}
	if found.rec.revision > t.st.counters.revision {
		return nil, errChanged(key)
	}
	t.read[key] = found.rec.revision
	v := values{s: t.s, st: t.st}
	defer v.close()
	value, err := v.get(found)
	if errors.Is(err, errMoved) {
		if err := t.s.down(); err != nil {
			return nil, err
		}
		return nil, errChanged(key)
	}
	if err != nil {
		return nil, t.s.failed(err)
	}
	return append([]byte{}, value...), nil
}

// Set implements [Transaction].
func (t *transaction) Set(key string, value []byte) error {
	return t.write(key, &codec.Set{Key: key, Value: append([]byte{}, value...)})
}

// Delete implements [Transaction].
func (t *transaction) Delete(key string) error { return t.write(key, &codec.Delete{Key: key}) }

func (t *transaction) write(key string, cmd codec.Command) error {
	if t.ended {
		return errEnded()
	}
	if err := cmd.Validate(); err != nil {
		return err
	}
	if _, ok := t.writes[key]; !ok {
		t.order = append(t.order, key)
	}
	t.writes[key] = cmd
	return nil
}

// Commit implements [Transaction]. One that only read commits nothing: its
// reads were of one state.
func (t *transaction) Commit() error {
	if t.ended {
		return errEnded()
	}
	t.ended = true
	batch := &codec.Batch{}
	for _, key := range t.order {
		batch.Ops = append(batch.Ops, t.writes[key])
	}
	for key, revision := range t.read {
		batch.If = append(batch.If, codec.Condition{Key: key, Revision: codec.Revision(revision)})
	}
	return t.s.batchOf(batch)
}

// Rollback implements [Transaction].
func (t *transaction) Rollback() error {
	t.ended = true
	return nil
}

func errChanged(key string) error {
	return codec.Errorf(codec.Conflict, "%q has changed since the transaction began", key)
}

func errEnded() error { return codec.Errorf(codec.Invalid, "the transaction has ended") }
