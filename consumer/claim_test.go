package consumer_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/consumer"
)

// run is begin for a consumer that need not come to serve.
func run(t testing.TB, o consumer.Options) <-chan error {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended, gone := make(chan error, 1), make(chan struct{})
	o.Log = slog.New(slog.DiscardHandler)
	go func() {
		defer close(gone)
		ended <- consumer.Run(ctx, o)
	}()
	t.Cleanup(func() {
		cancel()
		<-gone
	})
	return ended
}

func mustEnd(t testing.TB, ended <-chan error, about ...string) {
	t.Helper()
	select {
	case err := <-ended:
		if err == nil {
			t.Fatal("it ended without an error")
		}
		for _, s := range about {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("the error %q does not name %s", err, s)
			}
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

func fake(t testing.TB) *fakeStore {
	store := newFakeStore()
	t.Cleanup(store.close)
	return store
}

func TestSecondStoreLeaves(t *testing.T) {
	broker := startBroker(t)
	begin(t, consumer.Options{Conn: connect(t, broker), Store: fake(t), StoreID: "first"})
	second := run(t, consumer.Options{Conn: connect(t, broker), Store: fake(t), StoreID: "second"})
	mustEnd(t, second, "first", "second", "--subject-prefix")
	ask(t, connect(t, broker), "kv.set", `{"key":"k","value":""}`)
}

func TestOtherPrefixStays(t *testing.T) {
	broker := startBroker(t)
	begin(t, consumer.Options{Conn: connect(t, broker), Store: fake(t), StoreID: "first"})
	begin(t, consumer.Options{Conn: connect(t, broker), Store: fake(t), StoreID: "second", Prefix: "prod"})
	nc := connect(t, broker)
	ask(t, nc, "kv.set", `{"key":"k","value":""}`)
	ask(t, nc, "prod.kv.set", `{"key":"k","value":""}`)
}

// TestYoungerLeavesWhoeverAsks has a store that serves give way to one that
// began earlier, though it comes later.
func TestYoungerLeavesWhoeverAsks(t *testing.T) {
	broker := startBroker(t)
	late := newClock()
	late.advance(time.Hour)
	first := begin(t, consumer.Options{Conn: connect(t, broker), Store: fake(t), StoreID: "first", Now: late.now})
	begin(t, consumer.Options{Conn: connect(t, broker), Store: fake(t), StoreID: "second", Now: newClock().now})
	mustEnd(t, first.ended, "first", "second")
	first.ended <- nil
}

// TestStoresThatMeet begin on two brokers, whose clients then move to one: as
// after a partition of a cluster.
func TestStoresThatMeet(t *testing.T) {
	here, there := startBroker(t), startBroker(t)
	tick := make(chan time.Time)
	first := begin(t, consumer.Options{Conn: connect(t, here), Store: fake(t), StoreID: "first", Now: newClock().now, Tick: tick})
	late := newClock()
	late.advance(time.Second)
	moving := connect(t, there)
	if err := moving.SetServerPool([]string{there.ClientURL(), here.ClientURL()}); err != nil {
		t.Fatal(err)
	}
	second := begin(t, consumer.Options{Conn: moving, Store: fake(t), StoreID: "second", Now: late.now, Tick: tick})
	there.Shutdown()
	mustEnd(t, second.ended, "first", "second") // it asks after the reconnect
	second.ended <- nil
	if err := first.end(); err != nil {
		t.Error(err)
	}
}

func TestCapturedSubjects(t *testing.T) {
	for _, subject := range []string{"kv.set", "kv.*", "svc.get.>", ">"} {
		t.Run(subject, func(t *testing.T) {
			broker := startBroker(t, withJetStream(t))
			addStream(t, broker, "CAPTOR", subject)
			ended := run(t, consumer.Options{Conn: connect(t, broker), Store: fake(t), StoreID: "s"})
			mustEnd(t, ended, "CAPTOR", "--subject-prefix")
		})
	}
}

func TestHarmlessStreams(t *testing.T) {
	broker := startBroker(t, withJetStream(t))
	addStream(t, broker, "EVENTS", "kv.changed.>", "svc.changed.>", "store.changed.*")
	addStream(t, broker, "ORDERS", "orders.>", "store.other", "kv")
	begin(t, consumer.Options{Conn: connect(t, broker), Store: fake(t)})
}

func TestCapturedLater(t *testing.T) {
	broker := startBroker(t, withJetStream(t))
	tick := make(chan time.Time)
	r := begin(t, consumer.Options{Conn: connect(t, broker), Store: fake(t), Tick: tick})
	addStream(t, broker, "CAPTOR", "kv.set.>")
	tick <- time.Time{}
	mustEnd(t, r.ended, "CAPTOR", "kv.set.>")
	r.ended <- nil
}

func TestSmallPayload(t *testing.T) {
	broker := startBroker(t, func(o *server.Options) { o.MaxPayload = 512 << 10 })
	mustEnd(t, run(t, consumer.Options{Conn: connect(t, broker), Store: fake(t), StoreID: "s"}), "max_payload", "524288", "1048576")
}

func TestForbiddenSubscription(t *testing.T) {
	user := &server.User{Username: "store", Password: "x", Permissions: &server.Permissions{
		Subscribe: &server.SubjectPermission{Deny: []string{"kv.set"}},
	}}
	broker := startBroker(t, func(o *server.Options) { o.Users = []*server.User{user} })
	nc := connect(t, broker, nats.UserInfo("store", "x"))
	mustEnd(t, run(t, consumer.Options{Conn: nc, Store: fake(t), StoreID: "s"}), "kv.set")
}

func TestOptions(t *testing.T) {
	nc := connect(t, startBroker(t))
	for name, o := range map[string]consumer.Options{
		"Conn":           {Store: &fakeStore{}, StoreID: "s"},
		"Store":          {Conn: nc, StoreID: "s"},
		"StoreID":        {Conn: nc, Store: &fakeStore{}},
		"subject-prefix": {Conn: nc, Store: &fakeStore{}, StoreID: "s", Prefix: "kv"},
	} {
		if err := consumer.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func addStream(t testing.TB, broker *server.Server, name string, subjects ...string) {
	t.Helper()
	js, err := connect(t, broker).JetStream()
	if err == nil {
		_, err = js.AddStream(&nats.StreamConfig{Name: name, Subjects: subjects, NoAck: subjects[0] == ">"})
	}
	if err = errors.Join(err); err != nil {
		t.Fatal(err)
	}
}
