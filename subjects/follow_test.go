package subjects_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// mirror is a consumer that keeps what it is told, and complains where it is
// told something twice, or what it cannot have.
type mirror struct {
	t    rapid.TB
	next func() (subjects.Update, error, bool)
	stop func()
	keys map[string]subjects.Update
	told []string // since the last time that someone looked
	full bool     // everything was loaded
}

func follow(t rapid.TB, updates iter.Seq2[subjects.Update, error]) *mirror {
	m := &mirror{t: t, keys: make(map[string]subjects.Update)}
	m.next, m.stop = iter.Pull2(updates)
	return m
}

// step takes one update.
func (m *mirror) step() subjects.Update {
	m.t.Helper()
	u, err, ok := m.next()
	if err != nil || !ok {
		m.t.Fatalf("the follow ended: %v, after %q", err, m.told)
	}
	name := u.Key
	if u.Key == "" {
		name = u.ID
	}
	have, held := m.keys[name]
	switch u.Kind {
	case subjects.Put:
		m.told = append(m.told, "put "+name)
		if held && have.Epoch == u.Epoch && have.Revision >= u.Revision {
			m.t.Fatalf("%s: told revision %d after %d", name, u.Revision, have.Revision)
		}
		if u.Value == nil && u.Instance == nil {
			m.t.Fatalf("%s: a put of nothing", name)
		}
		m.keys[name] = u
	case subjects.Delete:
		m.told = append(m.told, u.Op+" "+name)
		if !held || have.Epoch == u.Epoch && have.Revision >= u.Revision {
			m.t.Fatalf("%s: a delete of revision %d after %d", name, u.Revision, have.Revision)
		}
		delete(m.keys, name)
	case subjects.Reset:
		m.full = false
		m.told = append(m.told, "reset "+u.Reason)
	case subjects.Loaded:
		m.full = true
		m.told = append(m.told, "loaded")
	default:
		m.t.Fatalf("an update of no kind: %+v", u)
	}
	return u
}

// until steps up to an update and returns all that was told, that included.
func (m *mirror) until(last string) []string {
	m.t.Helper()
	for {
		m.step()
		if m.told[len(m.told)-1] == last {
			told := m.told
			m.told = nil
			return told
		}
	}
}

func (m *mirror) expect(last string, want ...string) {
	m.t.Helper()
	if told := m.until(last); !slices.Equal(told, append(want, last)) {
		m.t.Fatalf("told %q, want %q", told, append(want, last))
	}
}

// caughtUp steps until it has everything up to a last key.
func (m *mirror) caughtUp(last string) {
	m.t.Helper()
	for _, held := m.keys[last]; !held || !m.full; _, held = m.keys[last] {
		m.step()
	}
}

// holds checks what the mirror has.
func (m *mirror) holds(want map[string]string) {
	m.t.Helper()
	got := make(map[string]string)
	for key, u := range m.keys {
		got[key] = string(u.Value)
	}
	if !maps.Equal(got, want) {
		m.t.Fatalf("it holds %v, the store %v", got, want)
	}
}

// end expects the follow to end with an error.
func (m *mirror) end(want error) {
	m.t.Helper()
	for {
		_, err, ok := m.next()
		if !ok {
			m.t.Fatal("it ended without an error")
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, want) {
			m.t.Fatalf("it ended with %v, want %v", err, want)
		}
		if _, _, ok := m.next(); ok {
			m.t.Fatal("something came after the error")
		}
		return
	}
}

// fake connects a client to a fake store that has the keys p/1 ... p/5 and q.
func fake(t *testing.T, o subjects.Options) (*fakeStore, *subjects.Client, *nats.Conn) {
	t.Helper()
	b := broker(t)
	s := newFakeStore(t, connect(t, b))
	s.set("q", "0")
	for i := range 5 {
		s.set(fmt.Sprint("p/", i+1), "0")
	}
	nc := connect(t, b)
	return s, newClient(t, nc, o), nc
}

// following is a mirror of p/ that has completed its first load.
func following(t *testing.T, c *subjects.Client, prefix string) *mirror {
	t.Helper()
	m := follow(t, c.Follow(t.Context(), prefix))
	t.Cleanup(m.stop)
	m.until("loaded")
	return m
}

func TestFollow(t *testing.T) {
	s, c, _ := fake(t, subjects.Options{})
	m := follow(t, c.Follow(t.Context(), "p/"))
	defer m.stop()
	m.expect("loaded", "put p/1", "put p/2", "put p/3", "put p/4", "put p/5")
	s.set("p/1", "1")
	s.set("q", "1")
	s.set("pp", "1")
	s.set("p", "1")
	s.remove("p/2", codec.OpDelete)
	s.remove("p/3", codec.OpExpire)
	s.set("p/2", "2")
	s.set("p/a/b", "1")
	m.expect("put p/a/b", "put p/1", "delete p/2", "expire p/3", "put p/2")
	m.holds(s.values("p/"))
	u := m.keys["p/a/b"]
	if u.Epoch != 1 || u.Revision != 14 || u.CommitRevision != 14 || u.Op != codec.OpSet {
		t.Errorf("%+v", u)
	}
}

func TestFollowHalfOfAToken(t *testing.T) {
	s, c, _ := fake(t, subjects.Options{})
	s.set("p/half-1", "0")
	m := follow(t, c.Follow(t.Context(), "p/half"))
	defer m.stop()
	m.expect("loaded", "put p/half-1")
	s.set("p/hal", "1")
	s.set("p/half", "1")
	m.expect("put p/half")
}

func TestFollowWithinTheScope(t *testing.T) {
	s, c, _ := fake(t, subjects.Options{Scope: "p/"})
	s.set("p/6", "0")
	m := following(t, c, "")
	m.holds(s.values("p/"))
}

// TestFollowWhileListing changes keys on both sides of where the walk is.
func TestFollowWhileListing(t *testing.T) {
	s, c, _ := fake(t, subjects.Options{})
	pages := 0
	s.onPage = func() {
		if pages++; pages > 1 {
			return
		}
		s.set("p/1", "new") // was listed
		s.remove("p/2", codec.OpDelete)
		s.set("p/0", "new")
		s.set("p/5", "new") // will be listed
		s.remove("p/4", codec.OpDelete)
		s.set("p/7", "new")
		s.set("p/8", "brief")
		s.remove("p/8", codec.OpDelete)
		s.remove("p/3", codec.OpDelete) // once here, once there
		s.set("p/3", "new")
	}
	m := following(t, c, "p/")
	s.set("p/end", "")
	m.caughtUp("p/end")
	m.holds(s.values("p/"))
}

func TestFollowANewEpoch(t *testing.T) {
	s, c, _ := fake(t, subjects.Options{})
	m := following(t, c, "p/")
	// The same revision as before now is another value, and p/1 is gone.
	s.reset(3, map[string]codec.Entry{
		"p/2": {Key: "p/2", Value: []byte("other"), Revision: 3},
		"p/9": {Key: "p/9", Value: []byte("old"), Revision: 1},
	})
	told := m.until("loaded")
	slices.Sort(told[3:6])
	want := []string{"reset restored", "put p/2", "put p/9", "delete p/1", "delete p/3", "delete p/4"}
	if len(told) != 8 || !slices.Equal(told[:3], want[:3]) {
		t.Errorf("told %q", told)
	}
	m.holds(s.values("p/"))
	s.set("p/2", "newer")
	m.expect("put p/2")
}

func TestFollowANewEpochBetweenPages(t *testing.T) {
	s, c, _ := fake(t, subjects.Options{})
	once := false
	s.onPage = func() {
		if !once {
			once = true
			s.reset(100, map[string]codec.Entry{"p/1": {Key: "p/1", Value: []byte("other"), Revision: 99}})
		}
	}
	m := following(t, c, "p/")
	m.holds(s.values("p/"))
}

func TestFollowSkipsWhatCameTwice(t *testing.T) {
	s, c, _ := fake(t, subjects.Options{})
	m := following(t, c, "p/")
	old := s.last
	s.set("p/1", "1")
	first := s.last
	s.set("p/1", "2")
	s.do(func() {
		s.publish(first)  // the relay repeats after a failure
		s.publish(s.last) //
		s.publish(old)    // what the list had
		stale := codec.Change{Op: codec.OpSet, Key: "p/1", Value: []byte("stale"), Revision: 1 << 40, Epoch: s.epoch - 1}
		s.publish(&nats.Msg{Subject: "kv.changed.p.1", Data: codec.Append(nil, codec.JSON, &stale)})
		forged := codec.Change{Op: codec.OpSet, Key: "p/1", Value: []byte("forged"), Revision: s.revision + 1, Epoch: s.epoch}
		s.publish(&nats.Msg{Subject: "kv.changed.p.2", Data: codec.Append(nil, codec.JSON, &forged)})
		s.publish(&nats.Msg{Subject: "kv.changed.p.1", Data: []byte("gibberish")})
		s.publish(&nats.Msg{Subject: "kv.changed.p.1"})
	})
	s.set("p/end", "")
	m.expect("put p/end", "put p/1", "put p/1")
	m.holds(s.values("p/"))
}

func TestFollowAfterAReconnect(t *testing.T) {
	s, c, nc := fake(t, subjects.Options{})
	m := following(t, c, "p/")
	s.do(func() { s.mute = true }) // what is announced while it is away
	s.set("p/1", "1")
	s.remove("p/2", codec.OpDelete)
	s.set("p/6", "1")
	s.do(func() { s.mute = false })
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	m.expect("loaded", "reset reconnected", "put p/1", "put p/6", "delete p/2")
	m.holds(s.values("p/"))
	s.set("p/1", "2")
	m.expect("put p/1")
}

func TestFollowThatIsTooSlow(t *testing.T) {
	s, c, nc := fake(t, subjects.Options{FollowBuffer: 4})
	m := following(t, c, "p/")
	for i := range 20 {
		s.set(fmt.Sprint("p/", i), "1")
	}
	if err := nc.Flush(); err != nil { // all of them have come
		t.Fatal(err)
	}
	if told := m.until("loaded"); told[0] != "reset slow" {
		t.Errorf("told %q", told)
	}
	m.holds(s.values("p/"))
}

func TestFollowEverythingSeesAGap(t *testing.T) {
	s, c, _ := fake(t, subjects.Options{})
	m := following(t, c, "")
	s.set("a", "1")
	m.expect("put a")
	s.do(func() { s.mute = true })
	s.set("b", "1")
	s.do(func() { s.mute = false })
	s.set("c", "1")
	m.expect("loaded", "reset gap", "put b", "put c")
	m.holds(s.values(""))
}

// TestFollowComparesWithTheStore misses the very last events, so that none
// comes that would show it.
func TestFollowComparesWithTheStore(t *testing.T) {
	s, c, _ := fake(t, subjects.Options{})
	subjects.CheckEvery(c, 20*time.Millisecond)
	all, some := following(t, c, ""), following(t, c, "p/")
	s.do(func() { s.mute = true })
	s.set("a", "1")
	all.expect("loaded", "reset gap", "put a")
	s.reset(50, map[string]codec.Entry{"p/1": {Key: "p/1", Value: []byte("1"), Revision: 50}})
	if told := some.until("loaded"); told[0] != "reset epoch" {
		t.Errorf("told %q", told)
	}
	some.holds(s.values("p/"))
	if told := all.until("loaded"); told[0] != "reset epoch" {
		t.Errorf("told %q", told)
	}
	all.holds(s.values(""))
}

func TestFollowWaitsForTheStore(t *testing.T) {
	s, c, nc := fake(t, subjects.Options{})
	s.do(func() { s.refuse = codec.Unavailable })
	follow(t, c.Follow(t.Context(), "p/")).end(codec.ErrUnavailable)
	s.do(func() { s.refuse = "" })

	m := following(t, c, "p/")
	s.do(func() { s.refuse = codec.Unavailable })
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	m.expect("reset reconnected")
	s.set("p/1", "1")
	asked := make(chan struct{}, 100)
	sub, err := s.nc.Subscribe("kv.list.p", func(*nats.Msg) { asked <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for range 3 {
			<-asked
		}
		_ = sub.Unsubscribe()
		s.do(func() { s.refuse = "" })
	}()
	m.expect("loaded", "put p/1")
	s.do(func() { s.refuse = codec.Internal })
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	m.end(codec.ErrInternal)
}

func TestFollowLeavesNothing(t *testing.T) {
	_, c, nc := fake(t, subjects.Options{})
	before := nc.NumSubscriptions()
	seen := 0
	for range c.Follow(t.Context(), "p/") {
		if seen++; seen == 2 {
			break // in the midst of the load
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	m := follow(t, c.Follow(ctx, "p/"))
	m.until("loaded")
	if nc.NumSubscriptions() == before {
		t.Error("it does not listen")
	}
	cancel()
	m.end(context.Canceled)
	follow(t, c.Follow(ctx, "p/")).end(context.Canceled)
	func() {
		defer func() { _ = recover() }()
		for range c.Follow(t.Context(), "p/") {
			panic("in the loop")
		}
	}()
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if after := nc.NumSubscriptions(); after > before+1 { // and the inbox
		t.Errorf("%d subscriptions, before %d", after, before)
	}
	m = follow(t, c.Follow(t.Context(), "p/"))
	m.until("loaded")
	nc.Close()
	m.end(codec.ErrUnavailable)
	follow(t, c.Follow(t.Context(), "p/")).end(codec.ErrUnavailable)
}

// TestFollowModel does anything in any order, and compares at the end.
func TestFollowModel(t *testing.T) {
	t.Parallel()
	b := broker(t)
	store := newFakeStore(t, connect(t, b))
	nc := connect(t, b)
	rapid.Check(t, func(t *rapid.T) {
		c, err := subjects.NewClient(nc, subjects.Options{FollowBuffer: rapid.IntRange(4, 64).Draw(t, "buffer")})
		if err != nil {
			t.Fatal(err)
		}
		prefix := rapid.SampledFrom([]string{"", "p/", "p/k"}).Draw(t, "prefix")
		change := func() {
			key := rapid.SampledFrom([]string{"p/k0", "p/k1", "p/k2", "p/k3", "p/k4", "p/x", "q"}).Draw(t, "key")
			switch rapid.IntRange(0, 9).Draw(t, "op") {
			case 0, 1, 2:
				store.remove(key, codec.OpExpire)
			case 3:
				store.reset(store.revision+1, map[string]codec.Entry{key: {Key: key, Value: []byte("r"), Revision: store.revision}})
			default:
				store.set(key, fmt.Sprint(store.revision))
			}
		}
		onPage := rapid.SliceOfN(rapid.IntRange(0, 3), 0, 5).Draw(t, "while listing")
		store.do(func() {
			store.pageSize = rapid.IntRange(1, 4).Draw(t, "page size")
			store.onPage = func() {
				if len(onPage) > 0 {
					for range onPage[0] {
						store.set("p/k1", "while listing")
						store.remove("p/k3", codec.OpDelete)
					}
					onPage = onPage[1:]
				}
			}
		})
		m := follow(t, c.Follow(context.Background(), prefix))
		defer m.stop()
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				if err := nc.ForceReconnect(); err != nil {
					t.Fatal(err)
				}
				m.until("loaded")
			default:
				change()
			}
		}
		store.do(func() { store.onPage = nil })
		end := fmt.Sprint("p/k-end-", store.revision)
		store.set(end, "")
		m.caughtUp(end)
		m.holds(store.values(prefix))
		store.remove(end, codec.OpDelete)
	})
}

func TestFollowServices(t *testing.T) {
	_, c := store(t, subjects.Options{Prefix: "prod"})
	ctx := t.Context()
	register := func(name, id, note string) {
		t.Helper()
		if _, err := c.Register(ctx, codec.Register{Name: name, ID: id, Address: "10.0.0.1", Note: note, Status: codec.Critical}); err != nil {
			t.Fatal(err)
		}
	}
	register("web", "1", "")
	m := follow(t, c.FollowService(ctx, "web"))
	defer m.stop()
	m.expect("loaded", "put 1")
	register("db", "1", "")
	register("web", "2", "")
	register("web", "2", "") // a renewal
	if _, err := c.Heartbeat(ctx, "web", "1"); err != nil {
		t.Fatal(err)
	}
	register("web", "1", "changed")
	m.expect("put 1", "put 2")
	if in := m.keys["1"].Instance; in.Note != "changed" || in.Address != "10.0.0.1" {
		t.Errorf("%+v", in)
	}
	if _, err := c.Deregister(ctx, "web", "2"); err != nil {
		t.Fatal(err)
	}
	u := m.step()
	if u.Kind != subjects.Delete || u.Name != "web" || u.ID != "2" || u.Instance == nil || u.Instance.Address == "" {
		t.Errorf("%+v", u)
	}
	follow(t, c.FollowService(ctx, "a/b")).end(codec.ErrInvalid)
}

// TestFollowAStore follows a store that is written to from all sides, with a
// connection that is lost again and again.
func TestFollowAStore(t *testing.T) {
	t.Parallel()
	b, c := store(t, subjects.Options{})
	ctx := t.Context()
	var writers []chan error
	for w := range 3 {
		done := make(chan error, 1)
		writers = append(writers, done)
		go func() {
			for i := range 300 {
				key := fmt.Sprintf("w/%d", (i*7+w)%40)
				var err error
				switch i % 5 {
				case 0:
					_, err = c.Delete(ctx, key)
				case 1:
					_, err = c.Apply(ctx, &codec.Batch{Ops: []codec.Command{
						&codec.Set{Key: key, Value: []byte("batch")}, &codec.Delete{Key: "w/0"}, &codec.Set{Key: "w/0", Value: []byte(key)},
					}})
				case 2:
					_, err = c.Set(ctx, key, []byte("brief"), subjects.TTL(10*time.Millisecond))
				default:
					_, err = c.Set(ctx, key, fmt.Append(nil, w, i))
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	nc := connect(t, b)
	var mirrors []*mirror
	for _, prefix := range []string{"w/", "", "w/1"} {
		m := follow(t, newClient(t, nc, subjects.Options{FollowBuffer: 256}).Follow(ctx, prefix))
		defer m.stop()
		mirrors = append(mirrors, m)
	}
	for range 5 {
		for _, m := range mirrors {
			m.until("loaded")
		}
		if err := nc.ForceReconnect(); err != nil {
			t.Fatal(err)
		}
	}
	for _, done := range writers {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	// What was to expire has: its event stands before the end's.
	for left := true; left; {
		left = false
		for e, err := range c.List(ctx, "w/") {
			if err != nil {
				t.Fatal(err)
			}
			left = left || e.ExpiresAtMs != 0
		}
	}
	if _, err := c.Set(ctx, "w/1-end", nil); err != nil {
		t.Fatal(err)
	}
	for i, prefix := range []string{"w/", "", "w/1"} {
		mirrors[i].caughtUp("w/1-end")
		want := make(map[string]string)
		for e, err := range c.List(ctx, prefix) {
			if err != nil {
				t.Fatal(err)
			}
			want[e.Key] = string(e.Value)
		}
		mirrors[i].holds(want)
	}
	if !strings.HasPrefix(subjects.Reset.String(), "re") || subjects.Kind(9).String() != "" {
		t.Error("the kinds' names")
	}
}
