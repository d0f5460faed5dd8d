package subjects_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

func must(t *testing.T) func(error) {
	return func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestStore walks through every method against a store.
func TestStore(t *testing.T) {
	_, c := store(t, subjects.Options{Prefix: "prod"})
	ctx := t.Context()
	must := must(t)
	set, err := c.Set(ctx, "config/host", []byte("10.0.0.1"), subjects.TTL(time.Hour))
	must(err)
	if !set.Created || set.Revision == 0 || set.ExpiresAtMs == 0 {
		t.Errorf("Set: %+v", set)
	}
	got, err := c.Get(ctx, "config/host")
	must(err)
	if string(got.Value) != "10.0.0.1" || got.Revision != set.Revision || got.TTLMs != 3_600_000 {
		t.Errorf("Get: %+v", got)
	}
	_, err = c.Get(ctx, "config/none")
	if !errors.Is(err, codec.ErrNotFound) {
		t.Errorf("Get of nothing: %v", err)
	}
	_, err = c.Create(ctx, "config/host", nil)
	if e, ok := errors.AsType[*codec.Error](err); !ok || e.Code != codec.Conflict || *e.Revision != set.Revision {
		t.Errorf("Create of what is there: %v", err)
	}
	updated, err := c.Update(ctx, "config/host", nil, set.Revision, subjects.KeepTTL(), subjects.ReturnPrevious())
	must(err)
	if updated.ExpiresAtMs != set.ExpiresAtMs || string(updated.Previous.Value) != "10.0.0.1" {
		t.Errorf("Update: %+v", updated)
	}
	touched, err := c.Touch(ctx, "config/host", subjects.TTL(0), subjects.IfRevision(updated.Revision))
	must(err)
	if touched.ExpiresAtMs != 0 {
		t.Errorf("Touch: %+v", touched)
	}
	for want := int64(5); want <= 10; want += 5 {
		n, err := c.Increment(ctx, "config/n", 5)
		must(err)
		if n.Value != want {
			t.Errorf("Increment: %+v", n)
		}
	}
	deleted, err := c.Delete(ctx, "config/none")
	must(err)
	if deleted.Deleted {
		t.Errorf("Delete of nothing: %+v", deleted)
	}
	many, err := c.GetMany(ctx, "config/n", "config/none", "config/host")
	must(err)
	if len(many) != 2 || many[0].Key != "config/n" || many[1].Value == nil {
		t.Errorf("GetMany: %+v", many)
	}
}

func TestStoreAppliesOnce(t *testing.T) {
	_, c := store(t, subjects.Options{Prefix: "prod"})
	ctx := t.Context()
	must := must(t)
	once, err := c.Set(ctx, "id", []byte("1"), subjects.MsgID("mine"))
	must(err)
	twice, err := c.Set(ctx, "id", []byte("1"), subjects.MsgID("mine"))
	must(err)
	if !twice.Duplicate || twice.Revision != once.Revision {
		t.Errorf("a repeat: %+v", twice)
	}

	batch := &codec.Batch{
		Ops: []codec.Command{&codec.Set{Key: "b/1", Value: []byte("1")}, &codec.Delete{Key: "id"}},
		If:  []codec.Condition{{Key: "id", Revision: &once.Revision}},
	}
	applied, err := c.Apply(ctx, batch)
	must(err)
	if r, ok := applied.Results[1].(*codec.DeleteReply); !ok || !r.Deleted || r.Revision != applied.Revision {
		t.Errorf("Apply: %+v", applied)
	}
	_, err = c.Apply(ctx, batch)
	if e, ok := errors.AsType[*codec.Error](err); !ok || e.Code != codec.Conflict || *e.Index != 0 || e.Key != "id" {
		t.Errorf("Apply again: %+v", err)
	}

	status, err := c.Status(ctx)
	must(err)
	if !status.Ready || status.Keys != 1 {
		t.Errorf("Status: %+v", status)
	}
}

func TestStoreLists(t *testing.T) {
	_, c := store(t, subjects.Options{})
	ctx := t.Context()
	const n = 2345
	var want []string
	for i := 0; i < n; i += 500 {
		batch := &codec.Batch{}
		for j := i; j < min(i+500, n); j++ {
			key := fmt.Sprintf("list/%05d", j)
			want = append(want, key)
			batch.Ops = append(batch.Ops, &codec.Set{Key: key, Value: []byte(key)})
		}
		if _, err := c.Apply(ctx, batch); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Set(ctx, "lisu", nil); err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"list/", "list/0", "list"} {
		var got []string
		for e, err := range c.List(ctx, prefix) {
			if err != nil || string(e.Value) != e.Key {
				t.Fatal(e, err)
			}
			got = append(got, e.Key)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d keys", prefix, len(got))
		}
	}
	walk := c.Pages(ctx, codec.List{Prefix: "list/", Reverse: true, Limit: 1000})
	for range 2 { // a walk can be walked again
		var sizes []int
		for page, err := range walk {
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, len(page.Entries))
		}
		if !slices.Equal(sizes, []int{1000, 1000, 345}) {
			t.Errorf("pages of %v", sizes)
		}
	}
	for range walk {
		break
	}
	if deleted, err := c.Clear(ctx, "list/"); err != nil || deleted != n {
		t.Errorf("Clear: %d, %v", deleted, err)
	}
}

func TestStoreServices(t *testing.T) {
	_, c := store(t, subjects.Options{})
	ctx := t.Context()
	tags := []string{"eu", "a"}
	for _, id := range []string{"1", "2"} {
		r, err := c.Register(ctx, codec.Register{Name: "web", ID: id, Tags: tags}, subjects.TTL(time.Hour))
		if err != nil || !r.Created || r.ExpiresAtMs == 0 {
			t.Fatal(r, err)
		}
	}
	if !slices.Equal(tags, []string{"eu", "a"}) {
		t.Errorf("Register has sorted the caller's tags: %v", tags)
	}
	if _, err := c.Heartbeat(ctx, "web", "1"); err != nil {
		t.Error(err)
	}
	if _, err := c.Heartbeat(ctx, "web", "3"); !errors.Is(err, codec.ErrNotFound) {
		t.Errorf("Heartbeat of nobody: %v", err)
	}
	if all, err := c.Instances(ctx, "web", "eu"); err != nil || len(all) != 2 {
		t.Errorf("Instances: %+v, %v", all, err)
	}
	if none, err := c.Instances(ctx, "web", "us"); err != nil || len(none) != 0 {
		t.Errorf("Instances: %+v, %v", none, err)
	}
	var names []string
	for s, err := range c.Services(ctx, "") {
		if err != nil || s.Count != 2 {
			t.Fatal(s, err)
		}
		names = append(names, s.Name)
	}
	if !slices.Equal(names, []string{"web"}) {
		t.Errorf("Services: %v", names)
	}
	if r, err := c.Deregister(ctx, "web", "2"); err != nil || !r.Deregistered {
		t.Errorf("Deregister: %+v, %v", r, err)
	}
}
