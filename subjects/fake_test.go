package subjects_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// fakeStore is a store of keys that can be told to fail in the ways that a
// follower must see through. Its commits are atomic with their events.
type fakeStore struct {
	t  testing.TB
	nc *nats.Conn

	mu       sync.Mutex
	epoch    uint64
	revision uint64
	keys     map[string]codec.Entry
	pageSize int

	mute   bool       // commits announce nothing
	refuse codec.Code // answer every list with this
	onPage func()     // runs before a page that is not the first is read
	last   *nats.Msg  // announced
}

func newFakeStore(t testing.TB, nc *nats.Conn) *fakeStore {
	s := &fakeStore{t: t, nc: nc, epoch: 1, keys: make(map[string]codec.Entry), pageSize: 3}
	_, err1 := nc.Subscribe("kv.list", s.list)
	_, err2 := nc.Subscribe("kv.list.>", s.list)
	if err := errors.Join(err1, err2, nc.Flush()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *fakeStore) list(m *nats.Msg) {
	_, tail := subjects.Parse(m.Subject)
	req, enc, err := subjects.KVList.Decode(tail, m.Data)
	s.mu.Lock()
	hook, code := s.onPage, s.refuse
	s.mu.Unlock()
	if hook != nil && err == nil && req.Cursor != "" {
		hook()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	reply := &codec.ListReply{}
	if err == nil && code != "" {
		err = codec.Errorf(code, "by the test")
	}
	if err == nil {
		reply, err = s.page(req)
	}
	answer := &nats.Msg{}
	if err != nil {
		answer = subjects.ErrorReply("", enc, codec.AsError(err))
	} else {
		answer.Data = codec.Append(nil, enc, reply)
	}
	answer.Subject = m.Reply
	_ = s.nc.PublishMsg(answer)
}

func (s *fakeStore) page(req *codec.List) (*codec.ListReply, error) {
	reply := &codec.ListReply{Position: codec.Position{StoreRevision: s.revision, Epoch: s.epoch}}
	after := ""
	if req.Cursor != "" {
		var epoch uint64
		if _, err := fmt.Sscanf(req.Cursor, "%d,%d,%s", &epoch, &reply.StoreRevision, &after); err != nil || epoch != s.epoch {
			return nil, codec.Invalidf("cursor", "is of another epoch")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.keys)) {
		if key <= after || !strings.HasPrefix(key, req.Prefix) {
			continue
		}
		if len(reply.Entries) == min(s.pageSize, int(req.Limit)) {
			reply.Next = fmt.Sprintf("%d,%d,%s", s.epoch, reply.StoreRevision, reply.Entries[len(reply.Entries)-1].Key)
			break
		}
		reply.Entries = append(reply.Entries, s.keys[key])
	}
	return reply, nil
}

// set commits a value under a key.
func (s *fakeStore) set(key, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
	s.keys[key] = codec.Entry{Key: key, Value: []byte(value), Revision: s.revision, CreatedRevision: s.revision}
	s.announce(codec.Change{Op: codec.OpSet, Key: key, Value: []byte(value)})
}

// remove commits that a key is gone.
func (s *fakeStore) remove(key, op string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.keys[key]; !ok {
		return
	}
	s.revision++
	delete(s.keys, key)
	s.announce(codec.Change{Op: op, Key: key})
}

// reset opens a new epoch with other contents, at a revision.
func (s *fakeStore) reset(revision uint64, keys map[string]codec.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	s.revision, s.keys = revision, keys
	s.announce(codec.Change{Op: codec.OpChanged, Reason: codec.ReasonRestored})
}

func (s *fakeStore) announce(ch codec.Change) {
	ch.Revision, ch.CommitRevision, ch.Epoch = s.revision, s.revision, s.epoch
	e := codec.Event{Kind: codec.KeyEvent, Name: ch.Key}
	if ch.Op == codec.OpChanged {
		e = codec.Event{Kind: codec.StoreEvent, Name: ch.Reason}
	}
	enc := codec.Encoding(s.revision % 3) // a follower reads all of them
	s.last = &nats.Msg{Subject: subjects.Announced("", &e), Data: codec.Append(nil, enc, &ch)}
	if !s.mute {
		s.publish(s.last)
	}
}

func (s *fakeStore) publish(m *nats.Msg) {
	if err := errors.Join(s.nc.PublishMsg(m), s.nc.Flush()); err != nil {
		s.t.Error(err)
	}
}

// do changes how the store behaves.
func (s *fakeStore) do(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// values is what a mirror of a prefix must hold.
func (s *fakeStore) values(prefix string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	values := make(map[string]string)
	for key, e := range s.keys {
		if strings.HasPrefix(key, prefix) {
			values[key] = string(e.Value)
		}
	}
	return values
}
