package subjects_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// TestFollowModel does anything in any order, and compares at the end.
func TestFollowModel(t *testing.T) {
	t.Parallel()
	b := broker(t)
	store := newFakeStore(t, connect(t, b))
	nc := connect(t, b)
	ctx := within(t)
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
				r := store.revision + 1
				store.reset(r+1, map[string]codec.Entry{key: {Key: key, Value: []byte("r"), Revision: r}})
			default:
				store.set(key, fmt.Sprint(store.revision))
			}
		}
		onPage := rapid.SliceOfN(rapid.IntRange(0, 3), 0, 5).Draw(t, "while listing")
		store.do(func() {
			store.epoch, store.revision, store.keys = 1, 0, make(map[string]codec.Entry)
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
		m := follow(t, c.Follow(ctx, prefix))
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
	})
}

func TestFollowServices(t *testing.T) {
	_, c := store(t, subjects.Options{Prefix: "prod"})
	ctx := within(t)
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

// scribble writes to keys below w/ in every way, and answers when it is done.
func scribble(ctx context.Context, c *subjects.Client, w int) <-chan error {
	done := make(chan error, 1)
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
	return done
}

// TestFollowAStore follows a store that is written to from all sides, with a
// connection that is lost again and again.
func TestFollowAStore(t *testing.T) {
	t.Parallel()
	b, c := store(t, subjects.Options{})
	ctx := within(t)
	var writers []<-chan error
	for w := range 3 {
		writers = append(writers, scribble(ctx, c, w))
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
}
