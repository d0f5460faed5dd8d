package subjects_test

import (
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// BenchmarkClient compares a request through the client with the same bytes
// asked by hand: the difference is what the client costs.
func BenchmarkClient(b *testing.B) {
	s := broker(b)
	server, nc := connect(b, s), connect(b, s)
	data := codec.Append(nil, codec.Msgpack, &codec.SetReply{Written: codec.Written{Revision: 7}})
	if _, err := server.Subscribe("kv.>", func(m *nats.Msg) { _ = m.Respond(data) }); err != nil {
		b.Fatal(err)
	}
	if err := server.Flush(); err != nil {
		b.Fatal(err)
	}
	value := make([]byte, 128)
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		payload := codec.Append(nil, codec.Msgpack, &codec.Set{Key: "config/host", Value: value})
		for b.Loop() {
			m := &nats.Msg{Subject: "kv.set.config.host", Data: payload, Header: nats.Header{subjects.HeaderMsgID: {"x"}}}
			if _, err := nc.RequestMsg(m, patience); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Set", func(b *testing.B) {
		b.ReportAllocs()
		c := newClient(b, nc, subjects.Options{})
		for b.Loop() {
			if _, err := c.Set(b.Context(), "config/host", value); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkFollow is what a follower does for each event.
func BenchmarkFollow(b *testing.B) {
	br := broker(b)
	s := newFakeStore(b, connect(b, br))
	c := newClient(b, connect(b, br), subjects.Options{FollowBuffer: 1 << 20})
	b.ReportAllocs()
	m := follow(b, c.Follow(b.Context(), "p/"))
	defer m.stop()
	m.until("loaded")
	const burst = 10_000
	fill := func() {
		for range burst {
			s.revision++
			ch := codec.Change{Op: codec.OpSet, Key: "p/1", Value: make([]byte, 128), Revision: s.revision, Epoch: s.epoch}
			_ = s.nc.Publish("kv.changed.p.1", codec.Append(nil, codec.JSON, &ch))
		}
		_ = s.nc.Flush()
	}
	for n := 0; b.Loop(); n++ {
		if n%burst == 0 {
			b.StopTimer()
			fill()
			b.StartTimer()
		}
		if _, err, ok := m.next(); err != nil || !ok {
			b.Fatal(err)
		}
	}
}
