package subjects_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

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

// following is a mirror that has completed its first load.
func following(t *testing.T, c *subjects.Client, prefix string) *mirror {
	t.Helper()
	m := follow(t, c.Follow(within(t), prefix))
	t.Cleanup(m.stop)
	m.until("loaded")
	return m
}

func TestFollow(t *testing.T) {
	s, c, _ := fake(t, subjects.Options{})
	m := follow(t, c.Follow(within(t), "p/"))
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
	if u.Kind.String() != "put" || u.Epoch != 1 || u.Revision != 14 || u.CommitRevision != 14 || u.Op != codec.OpSet {
		t.Errorf("%+v", u)
	}
}

func TestFollowHalfOfAToken(t *testing.T) {
	s, c, _ := fake(t, subjects.Options{})
	s.set("p/half-1", "0")
	m := follow(t, c.Follow(within(t), "p/half"))
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

// TestFollowALongList: more happens while it lists than the buffer takes.
func TestFollowALongList(t *testing.T) {
	s, c, nc := fake(t, subjects.Options{FollowBuffer: 4})
	s.pageSize = 1
	s.onPage = func() {
		s.set("p/1", "new")
		s.set("p/2", "new")
		_ = nc.Flush() // both have come
	}
	m := follow(t, c.Follow(within(t), "p/"))
	defer m.stop()
	m.caughtUp("p/5")
	s.set("p/end", "")
	if told := m.until("put p/end"); slices.Contains(told, "reset slow") {
		t.Errorf("told %q", told)
	}
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
	want := []string{"reset restored", "put p/2", "put p/9"} // then four deletes in any order
	if len(told) != 8 || !slices.Equal(told[:3], want) {
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
	second := s.last
	s.remove("p/1", codec.OpDelete)
	s.do(func() {
		s.publish(first) // the relay repeats after a failure
		s.publish(second)
		s.publish(s.last)
		s.publish(old) // what the list had
		stale := codec.Change{Op: codec.OpSet, Key: "p/1", Value: []byte("stale"), Revision: 1 << 40, Epoch: s.epoch - 1}
		s.publish(&nats.Msg{Subject: "kv.changed.p.1", Data: codec.Append(nil, codec.JSON, &stale)})
		forged := codec.Change{Op: codec.OpSet, Key: "p/1", Value: []byte("forged"), Revision: s.revision + 1, Epoch: s.epoch}
		s.publish(&nats.Msg{Subject: "kv.changed.p.2", Data: codec.Append(nil, codec.JSON, &forged)})
		s.publish(&nats.Msg{Subject: "kv.changed.p.1", Data: []byte("gibberish")})
		s.publish(&nats.Msg{Subject: "kv.changed.p.1"})
	})
	s.set("p/end", "")
	m.expect("put p/end", "put p/1", "put p/1", "delete p/1")
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
	subjects.CheckEvery(c, 10*time.Millisecond)
	all, some := following(t, c, ""), following(t, c, "p/")
	s.do(func() { s.mute = true })
	s.set("p/1", "1")
	s.remove("p/2", codec.OpDelete)
	all.expect("loaded", "reset gap", "put p/1", "delete p/2")
	some.expect("delete p/2", "put p/1")
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
	follow(t, c.Follow(within(t), "p/")).end(codec.ErrUnavailable)
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
	for range c.Follow(within(t), "p/") {
		if seen++; seen == 2 {
			break // in the midst of the load
		}
	}
	ctx, cancel := context.WithCancel(within(t))
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
		for range c.Follow(within(t), "p/") {
			panic("in the loop")
		}
	}()
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if after := nc.NumSubscriptions(); after > before+1 { // and the inbox
		t.Errorf("%d subscriptions, before %d", after, before)
	}
	m = follow(t, c.Follow(within(t), "p/"))
	m.until("loaded")
	nc.Close()
	m.end(codec.ErrUnavailable)
	follow(t, c.Follow(within(t), "p/")).end(codec.ErrUnavailable)
}
