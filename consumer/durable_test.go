package consumer_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/consumer"
	"github.com/settkv/sett/engine"
)

// durableTest is a store on disk that is served with a durable feed, and its
// broker, which may end and begin again.
type durableTest struct {
	*running
	t      testing.TB
	store  engine.Engine
	broker *server.Server
	edit   func(*server.Options)
	nc     *nats.Conn
}

// serveDurable serves a store on a broker of its own.
func serveDurable(t testing.TB, edit ...func(*consumer.Options)) *durableTest {
	t.Helper()
	d := &durableTest{t: t}
	withStream := withJetStream(t)
	d.broker = startBroker(t, withStream)
	port := d.broker.Addr().(*net.TCPAddr).Port
	d.edit = func(o *server.Options) {
		withStream(o)
		o.Port = port
	}
	var err error
	d.store, err = engine.Open(engine.Options{
		Dir: filepath.Join(t.TempDir(), "data"), NoSync: true, FeedEncoding: codec.JSON, Hold: true, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.store.Close(); err != nil {
			t.Error(err)
		}
	})
	o := consumer.Options{
		Conn: connect(t, d.broker), Feed: connect(t, d.broker), Store: d.store,
		StoreID: d.store.Status().StoreID, FeedMode: codec.FeedDurable,
	}
	for _, f := range edit {
		f(&o)
	}
	d.running = begin(t, o)
	d.nc = connect(t, d.broker)
	return d
}

// away ends the broker.
func (d *durableTest) away() {
	d.broker.Shutdown()
	d.broker.WaitForShutdown()
}

// back begins it again, with what it had.
func (d *durableTest) back() { d.broker = startBroker(d.t, d.edit) }

// set stores a key without a broker.
func (d *durableTest) set(key string) uint64 {
	d.t.Helper()
	reply, err := d.store.Apply(d.t.Context(), &codec.Set{Key: key, Value: []byte("v")})
	if err != nil {
		d.t.Fatal(err)
	}
	return reply.Changed()
}

// stream waits until the stream has every change of the store, and returns
// these: those of its sequences from the first on.
func (d *durableTest) stream(name string) (changes []codec.Change) {
	d.t.Helper()
	at := d.store.Position()
	until(d.t, "the stream has every change", func() bool { return d.store.Status().Feed.AckedRevision == at.StoreRevision })
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	js, err := jetstream.New(d.nc)
	if err != nil {
		d.t.Fatal(err)
	}
	stream, err := js.Stream(ctx, name)
	if err != nil {
		d.t.Fatal(err)
	}
	state := stream.CachedInfo().State
	if state.LastSeq != at.StoreRevision {
		d.t.Errorf("the stream is at %d, the store at %d", state.LastSeq, at.StoreRevision)
	}
	for sequence := state.FirstSeq; sequence <= state.LastSeq; sequence++ {
		m, err := stream.GetMsg(ctx, sequence)
		if err != nil {
			d.t.Fatalf("message %d: %v", sequence, err)
		}
		c := decode[codec.Change](d.t, m.Data)
		if c.Revision != sequence {
			d.t.Errorf("the message of revision %d has sequence %d", c.Revision, sequence)
		}
		changes = append(changes, *c)
	}
	return changes
}

// TestDurableWhileTheBrokerIsAway: the store goes on, and the stream gets all of
// it in the same epoch, without a write that would wake anybody.
func TestDurableWhileTheBrokerIsAway(t *testing.T) {
	d := serveDurable(t)
	for i := range 3 {
		d.set(fmt.Sprint("there", i))
		d.away()
		for j := range 50 {
			d.set(fmt.Sprint("away", i, j))
		}
		d.back()
		if changes := d.stream("SETT_CHANGES"); len(changes) != 51*(i+1) || changes[0].Epoch != d.store.Position().Epoch {
			t.Fatalf("the stream has %d changes", len(changes))
		}
	}
	d.away()
	d.set("last")
	d.back()
	if err := d.end(); err != nil {
		t.Error(err)
	}
}

// TestDurableAfterARestore of a running store: the epoch of the restored
// contents begins in the stream at its own revision.
func TestDurableAfterARestore(t *testing.T) {
	d := serveDurable(t)
	for i := range 20 {
		d.set(fmt.Sprint("k", i))
	}
	backup := filepath.Join(t.TempDir(), "backup")
	if err := d.store.Backup(backup); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		d.set(fmt.Sprint("gone", i))
	}
	before := d.store.Position()
	if err := d.store.Restore(backup); err != nil {
		t.Fatal(err)
	}
	next := d.set("next")
	changes := d.stream("SETT_CHANGES")
	last := changes[len(changes)-1]
	if last.Revision != next || len(changes) < 2 {
		t.Fatalf("the stream ends with %+v", last)
	}
	begins := changes[len(changes)-2]
	if begins.Op != codec.OpChanged || begins.Reason != codec.ReasonRestored || begins.Revision <= before.StoreRevision ||
		begins.Epoch <= before.Epoch || last.Epoch != begins.Epoch {
		t.Errorf("after %+v the stream has %+v", before, begins)
	}
	if n := d.store.Status().Keys; n != 21 {
		t.Errorf("the store has %d keys", n)
	}
	if err := d.end(); err != nil {
		t.Error(err)
	}
}

// TestDurableWithAPrefix uses a stream and subjects of its own.
func TestDurableWithAPrefix(t *testing.T) {
	d := serveDurable(t, func(o *consumer.Options) { o.Prefix = "prod" })
	events := subscribe(t, d.nc, "prod.*.changed.>")
	d.set("a.b/c")
	m := next(t, events)
	if c := decode[codec.Change](t, m.Data); m.Subject != "prod.kv.changed.a%2Eb.c" || c.Key != "a.b/c" {
		t.Errorf("%s: %+v", m.Subject, c)
	}
	d.stream("SETT_CHANGES_prod")
}

// TestDurableThatCannotBe: what the server would refuse each time is an error of
// the start, which says what.
func TestDurableThatCannotBe(t *testing.T) {
	broker := startBroker(t, withJetStream(t))
	store, err := engine.Open(engine.Options{Kind: engine.Memory, Hold: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	err = consumer.Run(t.Context(), consumer.Options{
		Conn: connect(t, broker), Store: store, StoreID: store.Status().StoreID, FeedMode: codec.FeedDurable,
		Stream: consumer.StreamOptions{Replicas: 3}, Log: slog.New(slog.DiscardHandler),
	})
	if err == nil || !strings.Contains(err.Error(), "replicas") || !strings.Contains(err.Error(), "SETT_CHANGES") {
		t.Errorf("three replicas on one server: %v", err)
	}
}
