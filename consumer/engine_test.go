package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/consumer"
	"github.com/settkv/sett/engine"
	"github.com/settkv/sett/subjects"
)

// serveMemory runs a consumer over the memory engine, on a broker of its own.
func serveMemory(t testing.TB, edit ...func(*consumer.Options)) (engine.Engine, *running, *nats.Conn) {
	t.Helper()
	broker := startBroker(t)
	store, err := engine.Open(engine.Options{Kind: engine.Memory, FeedEncoding: codec.JSON, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	o := consumer.Options{Conn: connect(t, broker), Feed: connect(t, broker), Store: store}
	for _, f := range edit {
		f(&o)
	}
	return store, begin(t, o), connect(t, broker)
}

// TestContract asks every endpoint once, in both encodings.
func TestContract(t *testing.T) {
	_, _, nc := serveMemory(t, func(o *consumer.Options) { o.Version = "1.2.3" })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	asked := 0
	check := func(subject string, err error, want bool) {
		t.Helper()
		asked++
		if err != nil || !want {
			t.Errorf("%s: %v", subject, err)
		}
	}
	set, err := subjects.KVSet.Request(ctx, nc, "", "", "", &codec.Set{Key: "a/b", Value: []byte("1")})
	check("kv.set", err, err == nil && set.Created && set.Revision == 1 && set.StoreRevision == 1)
	set, err = subjects.KVSet.Request(ctx, nc, "", "a.b", "id", &codec.Set{Key: "a/b", Value: []byte("2"), ReturnPrevious: true})
	check("kv.set", err, err == nil && set.Previous != nil && string(set.Previous.Value) == "1")
	set, err = subjects.KVSet.Request(ctx, nc, "", "a.b", "id", &codec.Set{Key: "a/b", Value: []byte("2"), ReturnPrevious: true})
	check("kv.set", err, err == nil && set.Duplicate && set.Revision == 2)
	incremented, err := subjects.KVIncrement.Request(ctx, nc, "", "", "", &codec.Increment{Key: "n", By: 5})
	check("kv.increment", err, err == nil && incremented.Value == 5)
	_, err = subjects.KVTouch.Request(ctx, nc, "", "", "", &codec.Touch{Key: "n"})
	check("kv.touch", err, true)
	registered, err := subjects.SvcRegister.Request(ctx, nc, "", "web", "", &codec.Register{Name: "web", Address: "10.0.0.1", Port: 80})
	check("svc.register", err, err == nil && registered.ID == "10.0.0.1:80")
	_, err = subjects.SvcHeartbeat.Request(ctx, nc, "", "", "", &codec.Heartbeat{Name: "web", ID: "10.0.0.1:80"})
	check("svc.heartbeat", err, true)
	got, err := subjects.KVGet.Request(ctx, nc, "", "", "", &codec.Get{Key: "a/b"})
	check("kv.get", err, err == nil && string(got.Value) == "2")
	list, err := subjects.KVList.Request(ctx, nc, "", "a", "", &codec.List{})
	check("kv.list", err, err == nil && len(list.Entries) == 1)
	several, err := subjects.BatchGet.Request(ctx, nc, "", "", "", &codec.BatchGet{Keys: []string{"n", "a/b", "none"}})
	check("batch.get", err, err == nil && len(several.Entries) == 2)
	instances, err := subjects.SvcGet.Request(ctx, nc, "", "", "", &codec.GetService{Name: "web"})
	check("svc.get", err, err == nil && len(instances.Instances) == 1)
	services, err := subjects.SvcList.Request(ctx, nc, "", "", "", &codec.ListServices{})
	check("svc.list", err, err == nil && len(services.Services) == 1)
	applied, err := subjects.BatchApply.Request(ctx, nc, "", "", "", &codec.Batch{Ops: []codec.Command{&codec.Set{Key: "c", Value: []byte{}}, &codec.Delete{Key: "n"}}})
	check("batch.apply", err, err == nil && len(applied.Results) == 2)
	deregistered, err := subjects.SvcDeregister.Request(ctx, nc, "", "", "", &codec.Deregister{Name: "web", ID: "10.0.0.1:80"})
	check("svc.deregister", err, err == nil && deregistered.Deregistered)
	deleted, err := subjects.KVDelete.Request(ctx, nc, "", "", "", &codec.Delete{Key: "none"})
	check("kv.delete", err, err == nil && !deleted.Deleted)
	cleared, err := subjects.KVClear.Request(ctx, nc, "", "", "", &codec.Clear{Prefix: "a/"})
	check("kv.clear", err, err == nil && cleared.Deleted == 1)
	status, err := subjects.StoreStatus.Request(ctx, nc, "", "", "", &codec.Status{})
	check("store.status", err, err == nil && status.StoreID == "store-1" && status.Version == "1.2.3" &&
		status.Ready && status.Feed.Mode == "live" && status.Limits.MaxPayload == nc.MaxPayload() && status.Keys == 1)
	client, err := subjects.NewClient(nc, subjects.Options{})
	if err != nil {
		t.Fatal(err)
	}
	backup, err := client.Backup(ctx, io.Discard)
	check("store.backup", err, err == nil && backup.Done && backup.Keys == status.Keys && backup.Position == status.Position)
	if asked-2 != len(subjects.All()) {
		t.Errorf("asked %d endpoints of %d", asked-2, len(subjects.All()))
	}
}

// TestLargestReplies asks for what comes closest to max_payload.
func TestLargestReplies(t *testing.T) {
	_, _, nc := serveMemory(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	value := make([]byte, codec.MaxValue)
	key := strings.Repeat(`"`, 999)
	for range 2 {
		if _, err := subjects.KVSet.Request(ctx, nc, "", "", "", &codec.Set{Key: key, Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	request := codec.Append(nil, codec.JSONBase64, &codec.Delete{Key: key, ReturnPrevious: true})
	m := ask(t, nc, "kv.delete", string(request))
	if reply := decode[codec.DeleteReply](t, m.Data); reply.Previous == nil || len(reply.Previous.Value) != len(value) {
		t.Errorf("a reply of %d bytes has no previous value", len(m.Data))
	}
	batch := &codec.Batch{}
	for i := range codec.MaxOps {
		id := fmt.Sprintf("%03d%s", i, strings.Repeat(`"`, 252))
		batch.Ops = append(batch.Ops, &codec.Register{Name: "s", ID: id, TTLMs: codec.MaxTTL.Milliseconds()})
	}
	m = ask(t, nc, "batch.apply", string(codec.Append(nil, codec.JSON, batch)))
	if err := subjects.ReplyError(m); err != nil {
		t.Error(err)
	}
	t.Logf("the reply to a batch has %d bytes", len(m.Data))
}

// TestEventsOfManyWriters has several clients write and a follower see every
// change once, in order.
func TestEventsOfManyWriters(t *testing.T) {
	store, r, nc := serveMemory(t)
	events := subscribe(t, nc, "kv.changed.>")
	const writers, each = 8, 250
	var wait sync.WaitGroup
	for w := range writers {
		wait.Go(func() {
			for i := range each {
				payload := fmt.Appendf(nil, `{"key":"w%d/%d","value":"v"}`, w, i)
				if m, err := nc.Request("kv.set", payload, patience); err != nil || subjects.ReplyError(m) != nil {
					t.Error(err, subjects.ReplyError(m))
					return
				}
			}
		})
	}
	wait.Wait()
	var perWriter [writers][]int
	for revision := uint64(1); revision <= writers*each; revision++ {
		m := next(t, events)
		change := decode[codec.Change](t, m.Data)
		var w, i int
		if _, err := fmt.Sscanf(change.Key, "w%d/%d", &w, &i); err != nil {
			t.Fatal(err)
		}
		if want := "kv.changed." + subjects.Tokens(change.Key); change.Revision != revision || m.Subject != want {
			t.Fatalf("got revision %d on %s, not %d on %s", change.Revision, m.Subject, revision, want)
		}
		perWriter[w] = append(perWriter[w], i)
	}
	for w, order := range perWriter {
		if !slices.IsSorted(order) {
			t.Errorf("writer %d: %v", w, order)
		}
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if got := store.AnnouncedRevision(); got != writers*each {
		t.Errorf("announced %d", got)
	}
	if _, err := nc.Request("kv.set", nil, patience); !errors.Is(err, nats.ErrNoResponders) {
		t.Error(err)
	}
}
