package consumer

import (
	"log/slog"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/engine"
)

// instant is a store that needs no time.
type instant struct {
	Store
	set codec.SetReply
	get codec.GetReply
}

func (s *instant) Submit(r *engine.Request) error {
	r.Done(&s.set, nil)
	return nil
}

func (s *instant) ReadKey(*codec.Get) (*codec.GetReply, error) { return &s.get, nil }

// BenchmarkMessage is the consumer's own work for one message: everything
// between nats.go's channel and its buffer, without a store. What it allocates
// is the decoded request.
func BenchmarkMessage(b *testing.B) {
	broker, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		b.Fatal(err)
	}
	broker.Start()
	defer broker.WaitForShutdown()
	defer broker.Shutdown()
	nc, err := nats.Connect(broker.ClientURL())
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	store := &instant{}
	store.set.Revision, store.set.StoreRevision, store.set.Epoch = 123_456, 123_456, 1_795_422_083_341
	store.get.Key, store.get.Value, store.get.Position = "bench/000001", make([]byte, 128), store.set.Position
	c := newConsumer(Options{Conn: nc, Store: store, StoreID: "s", Log: slog.New(slog.DiscardHandler)})
	defer nc.RemoveStatusListener(c.linked)
	c.maxReply.Store(codec.MinPayload)
	set := &nats.Msg{
		Subject: "kv.set", Reply: "_INBOX.abcdefghijklmnopqrstuv.12345678",
		Data: codec.Append(nil, codec.Msgpack, &codec.Set{Key: "bench/000001", Value: make([]byte, 128)}),
	}
	get := &nats.Msg{Subject: "kv.get.bench.000001", Reply: set.Reply}
	b.Run("set", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.command(set)
		}
	})
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			buf = c.read(buf[:0], get)
		}
	})
	b.Run("announce", func(b *testing.B) {
		b.ReportAllocs()
		feed := newLiveFeed(nc, &Options{})
		defer feed.close()
		events := []codec.Event{{Kind: codec.KeyEvent, Name: "bench/000001", Payload: make([]byte, 300)}}
		for b.Loop() {
			if err := feed.announce(b.Context(), events); err != nil {
				b.Fatal(err)
			}
		}
	})
}
