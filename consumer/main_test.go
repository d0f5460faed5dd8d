package consumer_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/consumer"
)

// TestMain overlooks a goroutine of nats.go's, which never ends where a publisher
// is cleaned up before it has begun to run.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// startBroker starts a broker on a random port of the loopback interface.
func startBroker(t testing.TB, edit ...func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true}
	for _, f := range edit {
		f(o)
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("the broker does not listen")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

func withJetStream(t testing.TB) func(*server.Options) {
	dir := t.TempDir()
	return func(o *server.Options) { o.JetStream, o.StoreDir = true, dir }
}

func connect(t testing.TB, s *server.Server, options ...nats.Option) *nats.Conn {
	t.Helper()
	options = append([]nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(10 * time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}, options...)
	nc, err := nats.Connect(s.ClientURL(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// running is a consumer that serves.
type running struct {
	t     testing.TB
	stats *consumer.Stats
	stop  context.CancelFunc
	ended chan error
}

// begin runs a consumer until the test ends or stops it.
func begin(t testing.TB, o consumer.Options) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, stats: &consumer.Stats{}, stop: cancel, ended: make(chan error, 1)}
	ready := make(chan struct{})
	o.Stats, o.Ready = r.stats, func() { close(ready) }
	if o.StoreID == "" {
		o.StoreID = "store-1"
	}
	o.Log = slog.New(slog.DiscardHandler)
	go func() { r.ended <- consumer.Run(ctx, o) }()
	select {
	case <-ready:
	case err := <-r.ended:
		t.Fatal("the consumer did not begin:", err)
	}
	t.Cleanup(func() { r.end() })
	return r
}

// end stops the consumer and returns what Run returned.
func (r *running) end() error {
	r.stop()
	return r.wait()
}

// wait returns what Run returned, and may be asked again.
func (r *running) wait() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		r.ended <- err
		return err
	case <-time.After(patience):
		r.t.Fatal("the consumer does not stop")
		return nil
	}
}

// serveFake runs a consumer over a fake store, on a broker of its own.
func serveFake(t testing.TB, edit ...func(*consumer.Options)) (*fakeStore, *running, *nats.Conn) {
	t.Helper()
	broker := startBroker(t)
	store := newFakeStore()
	t.Cleanup(store.close)
	o := consumer.Options{Conn: connect(t, broker), Store: store}
	for _, f := range edit {
		f(&o)
	}
	return store, begin(t, o), connect(t, broker)
}

// ask sends a request and returns its reply.
func ask(t testing.TB, nc *nats.Conn, subject, payload string) *nats.Msg {
	t.Helper()
	m, err := nc.Request(subject, []byte(payload), patience)
	if err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	return m
}

// next returns the next message of a subscription.
func next(t testing.TB, sub *nats.Subscription) *nats.Msg {
	t.Helper()
	m, err := sub.NextMsg(patience)
	if err != nil {
		t.Fatalf("%s: %v", sub.Subject, err)
	}
	return m
}

func subscribe(t testing.TB, nc *nats.Conn, subject string) *nats.Subscription {
	t.Helper()
	sub, err := nc.SubscribeSync(subject)
	if err = errors.Join(err, nc.Flush()); err != nil {
		t.Fatal(err)
	}
	return sub
}

func decode[T any](t testing.TB, payload []byte) *T {
	t.Helper()
	v := new(T)
	if err := codec.Decode(payload, v); err != nil {
		t.Fatalf("%q: %v", payload, err)
	}
	return v
}

// until waits for a condition that nothing announces.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("in vain:", what)
		}
	}
}
