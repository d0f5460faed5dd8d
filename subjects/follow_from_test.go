package subjects_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// durable starts a broker with JetStream and a store on it.
func durable(t testing.TB, o subjects.Options, edit ...func(*server.Options)) (*server.Server, *subjects.Client) {
	t.Helper()
	dir := t.TempDir()
	s := broker(t, append(edit, func(o *server.Options) { o.JetStream, o.StoreDir = true, dir })...)
	stop, err := serve(s, o.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return s, newClient(t, connect(t, s), o)
}

// put sets keys, one after the other, and returns the last revision.
func put(t testing.TB, c *subjects.Client, keys ...string) (revision uint64) {
	t.Helper()
	for _, key := range keys {
		r, err := c.Set(t.Context(), key, []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		revision = r.Revision
	}
	return revision
}

// read takes n changes of the log.
func read(t testing.TB, c *subjects.Client, o subjects.ChangesOptions, n int) (told []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for ch, err := range c.Changes(ctx, o) {
		if err != nil {
			t.Fatalf("after %q: %v", told, err)
		}
		told = append(told, fmt.Sprint(ch.Revision, " ", ch.Op, " ", ch.Key, ch.Name))
		if len(told) == n {
			break
		}
	}
	return told
}

func TestChanges(t *testing.T) {
	for _, prefix := range []subjects.Prefix{"", "prod"} {
		_, c := durable(t, subjects.Options{Prefix: prefix})
		put(t, c, "a/1", "b/1")
		if _, err := c.Register(t.Context(), codec.Register{Name: "web", ID: "1"}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Delete(t.Context(), "a/1"); err != nil {
			t.Fatal(err)
		}
		put(t, c, "a/2")
		at := &codec.Position{}
		for _, try := range []struct {
			o    subjects.ChangesOptions
			want string
		}{
			{subjects.ChangesOptions{From: at}, "[1 set a/1 2 set b/1 3 register web 4 delete a/1 5 set a/2]"},
			{subjects.ChangesOptions{From: &codec.Position{StoreRevision: 3}, Consumer: "mine"}, "[4 delete a/1 5 set a/2]"},
			{subjects.ChangesOptions{From: at, Filter: subjects.KVChanged.Under(prefix, "a/")}, "[1 set a/1 4 delete a/1 5 set a/2]"},
			{subjects.ChangesOptions{From: at, Filter: subjects.SvcChanged.Under(prefix, "web/"), Consumer: "mine"}, "[3 register web]"},
		} {
			n := map[string]int{"": 5 - int(try.o.From.StoreRevision), subjects.SvcChanged.Under(prefix, "web/"): 1}[try.o.Filter]
			if n == 0 {
				n = 3
			}
			if got := fmt.Sprint(read(t, c, try.o, n)); got != try.want {
				t.Errorf("%+v: %s, want %s", try.o, got, try.want)
			}
		}
	}
}

func TestFollowFrom(t *testing.T) {
	s, c := durable(t, subjects.Options{})
	put(t, c, "a/1", "b/1", "a/2")
	ctx := within(t)
	nc := connect(t, s)
	m := follow(t, newClient(t, nc, subjects.Options{}).FollowFrom(ctx, "a/", subjects.FollowOptions{}))
	defer m.stop()
	m.expect("loaded", "put a/1", "put a/2")
	put(t, c, "a/3", "b/2", "a/3")
	m.expect("put a/3")
	m.expect("put a/3")
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	put(t, c, "a/3", "a/3")
	if _, err := c.Delete(ctx, "a/3"); err != nil {
		t.Fatal(err)
	}
	m.expect("delete a/3", "put a/3", "put a/3")
}

// From a position there is no list; a new epoch is loaded, or ends it.
func TestFollowFromPosition(t *testing.T) {
	_, c := durable(t, subjects.Options{})
	last := put(t, c, "a/1", "a/2", "a/3")
	ctx := within(t)
	at, err := c.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	from := codec.Position{StoreRevision: 1, Epoch: at.Epoch}
	m := follow(t, c.FollowFrom(ctx, "a/", subjects.FollowOptions{From: &from, NoReload: true}))
	m.expect("put a/3", "put a/2")
	m.stop()
	from.Epoch--
	for _, prefix := range []string{"", "a/", "none/"} { // where no event tells
		follow(t, c.FollowFrom(ctx, prefix, subjects.FollowOptions{From: &from, NoReload: true})).end(codec.ErrCompacted)
	}
	m = follow(t, c.FollowFrom(ctx, "a/", subjects.FollowOptions{From: &from}))
	m.expect("loaded", "reset epoch", "put a/1", "put a/2", "put a/3")
	m.stop()
	from = codec.Position{StoreRevision: last + 1}
	follow(t, c.FollowFrom(ctx, "a/", subjects.FollowOptions{From: &from})).end(codec.ErrInvalid)
}

func TestFollowFromLive(t *testing.T) {
	_, c := store(t, subjects.Options{})
	put(t, c, "a")
	for _, err := range c.FollowFrom(within(t), "", subjects.FollowOptions{From: &codec.Position{}}) {
		if !errors.Is(err, codec.ErrUnavailable) {
			t.Error(err)
		}
		t.Log(err)
	}
	if _, err := c.History(t.Context(), "a", subjects.HistoryOptions{}); !errors.Is(err, codec.ErrUnavailable) {
		t.Error(err)
	}
}

func TestHistory(t *testing.T) {
	_, c := durable(t, subjects.Options{})
	put(t, c, "a", "b", "a")
	if _, err := c.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int]string{0: "1 3 4 ", 2: "3 4 ", 9: "1 3 4 "} {
		h, err := c.History(t.Context(), "a", subjects.HistoryOptions{Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, ch := range h.Changes {
			got += fmt.Sprint(ch.Revision, " ")
		}
		if got != want || h.Begins != 1 {
			t.Errorf("limit %d: %q from %d, want %q", limit, got, h.Begins, want)
		}
	}
	if h, err := c.History(t.Context(), "none", subjects.HistoryOptions{}); err != nil || len(h.Changes) > 0 {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestConsume(t *testing.T) {
	_, c := durable(t, subjects.Options{})
	last := put(t, c, "a/1", "a/2", "b/1", "a/3", "a/4")
	consume := func(o subjects.ChangesOptions, n int) (told string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		err := c.Consume(ctx, o, func(ch *codec.Change) error {
			told += ch.Key + " "
			if n--; n == 0 {
				return subjects.ErrEnough
			}
			return nil
		})
		if err != nil {
			t.Fatalf("after %s: %v", told, err)
		}
		return told
	}
	o := subjects.ChangesOptions{Consumer: "audit", Filter: subjects.KVChanged.Under("", "a/"), From: &codec.Position{}}
	if got := consume(o, 2); got != "a/1 a/2 " {
		t.Errorf("first: %s", got)
	}
	o.From = nil
	failed := errors.New("failed")
	if err := c.Consume(t.Context(), o, func(*codec.Change) error { return failed }); err != failed {
		t.Error(err)
	}
	if got := consume(o, 2); got != "a/3 a/4 " {
		t.Errorf("then: %s", got)
	}
	put(t, c, "a/5")
	if got := consume(o, 1); got != "a/5 " {
		t.Errorf("then: %s", got)
	}
	o.From = &codec.Position{StoreRevision: last - 1}
	if got := consume(o, 1); got != "a/4 " {
		t.Errorf("from another place: %s", got)
	}
	o.Filter = ""
	o.From = nil
	if err := c.Consume(t.Context(), o, nil); !errors.Is(err, codec.ErrInvalid) {
		t.Error(err)
	}
}

// The later of two followers of one name has it.
func TestConsumerNameIsTaken(t *testing.T) {
	s, c := durable(t, subjects.Options{})
	put(t, c, "a")
	o := subjects.FollowOptions{Consumer: "one"}
	m := follow(t, newClient(t, connect(t, s), subjects.Options{}).FollowFrom(within(t), "", o))
	m.expect("loaded", "put a")
	put(t, c, "a")
	m.expect("put a")
	other := follow(t, c.FollowFrom(within(t), "", o))
	defer other.stop()
	other.expect("loaded", "put a")
	put(t, c, "a")
	other.expect("put a")
	m.end(codec.ErrConflict)
	put(t, c, "a")
	other.expect("put a")
}

// A user with the rights of DESIGN's follower follows its prefix, and nothing
// else.
func TestNarrowRights(t *testing.T) {
	allow := func(subjects ...string) *server.SubjectPermission { return &server.SubjectPermission{Allow: subjects} }
	s, _ := durable(t, subjects.Options{}, func(o *server.Options) {
		o.Users = []*server.User{{Username: "all", Password: "x"}, {Username: "me", Password: "x", Permissions: &server.Permissions{
			Publish: allow("kv.list.config", "$JS.API.CONSUMER.CREATE.SETT_CHANGES.me.kv.changed.config.>",
				"$JS.API.CONSUMER.INFO.SETT_CHANGES.me", "$JS.API.CONSUMER.DELETE.SETT_CHANGES.me",
				"$JS.API.CONSUMER.MSG.NEXT.SETT_CHANGES.me", "$JS.ACK.SETT_CHANGES.me.>"),
			Subscribe: allow("kv.changed.config.>", "store.changed.>", "_INBOX_me.>"),
		}}}
		o.NoAuthUser = "all"
	})
	all := newClient(t, connect(t, s), subjects.Options{})
	put(t, all, "config/a", "other/a", "config/b")
	nc := connect(t, s, nats.UserInfo("me", "x"), nats.CustomInboxPrefix("_INBOX_me"))
	c := newClient(t, nc, subjects.Options{Timeout: time.Second})
	ctx := within(t)
	m := follow(t, c.FollowFrom(ctx, "config/", subjects.FollowOptions{Consumer: "me"}))
	m.expect("loaded", "put config/a", "put config/b")
	put(t, all, "config/c")
	m.expect("put config/c")
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	put(t, all, "other/b", "config/d")
	m.expect("put config/d")
	m.stop()
	if h, err := c.History(ctx, "config/a", subjects.HistoryOptions{Consumer: "me"}); err != nil || len(h.Changes) != 1 {
		t.Errorf("%+v, %v", h, err)
	}
	told := 0
	o := subjects.ChangesOptions{Consumer: "me", Filter: subjects.KVChanged.Under("", "config/"), From: &codec.Position{}}
	for range 2 {
		err := c.Consume(ctx, o, func(*codec.Change) error { told++; return subjects.ErrEnough })
		if err != nil || told == 0 {
			t.Error(err)
		}
		o.From = nil
	}
	from := &codec.Position{}
	follow(t, c.FollowFrom(ctx, "config/", subjects.FollowOptions{From: from})).end(codec.ErrDenied)
	follow(t, c.FollowFrom(ctx, "config/", subjects.FollowOptions{From: from, Consumer: "other"})).end(codec.ErrDenied)
	follow(t, c.FollowFrom(ctx, "other/", subjects.FollowOptions{From: from, Consumer: "me"})).end(codec.ErrDenied)
	follow(t, c.FollowFrom(ctx, "", subjects.FollowOptions{From: from, Consumer: "me"})).end(codec.ErrDenied)
}
