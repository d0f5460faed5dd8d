package subjects_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/settkv/sett/consumer"
	"github.com/settkv/sett/engine"
	"github.com/settkv/sett/subjects"
)

// url is where the store of the examples answers.
var url string

func TestMain(m *testing.M) { goleak.VerifyTestMain(withStore{m}) }

// withStore runs all tests while the store of the examples runs.
type withStore struct{ *testing.M }

func (w withStore) Run() int {
	s, err := startBroker()
	if err != nil {
		panic(err)
	}
	defer s.WaitForShutdown()
	defer s.Shutdown()
	stop, err := serve(s, "")
	if err != nil {
		panic(err)
	}
	defer stop()
	url = s.ClientURL()
	return w.M.Run()
}

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// startBroker starts a broker on a random port of the loopback interface.
func startBroker(edit ...func(*server.Options)) (*server.Server, error) {
	o := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true}
	for _, f := range edit {
		f(o)
	}
	s, err := server.NewServer(o)
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		s.Shutdown()
		return nil, errors.New("the broker does not listen")
	}
	return s, nil
}

func broker(t testing.TB, edit ...func(*server.Options)) *server.Server {
	t.Helper()
	s, err := startBroker(edit...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
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

func newClient(t testing.TB, nc *nats.Conn, o subjects.Options) *subjects.Client {
	t.Helper()
	c, err := subjects.NewClient(nc, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serve runs a store in memory on a broker until stop is called.
func serve(s *server.Server, prefix subjects.Prefix) (stop func(), err error) {
	store, err := engine.Open(engine.Options{Kind: engine.Memory, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(s.ClientURL(), nats.MaxReconnects(-1))
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- consumer.Run(ctx, consumer.Options{
			Conn: nc, Store: store, StoreID: "test", Prefix: prefix,
			Ready: func() { close(ready) }, Log: slog.New(slog.DiscardHandler),
		})
	}()
	stop = func() {
		cancel()
		<-ended
		_ = store.Close()
		nc.Close()
	}
	select {
	case <-ready:
		return stop, nil
	case err := <-ended:
		ended <- nil
		stop()
		return nil, err
	}
}

// store starts a broker and a store on it, and returns both ends of a
// connection to it.
func store(t testing.TB, o subjects.Options) (*server.Server, *subjects.Client) {
	t.Helper()
	s := broker(t)
	stop, err := serve(s, o.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return s, newClient(t, connect(t, s), o)
}
