package codec

import (
	"bytes"
	"fmt"
	"testing"
)

func benchSet() *Set {
	return &Set{Key: "config/service/host-000017", Value: bytes.Repeat([]byte("v"), 128)}
}

func benchReply() *SetReply {
	r := &SetReply{Created: true}
	r.StoreRevision, r.Epoch, r.Revision = 123456789, 1763888888888, 123456788
	return r
}

func benchChange() *Change {
	return &Change{
		Revision: 123456788, Epoch: 1763888888888, Op: OpSet, Key: "config/service/host-000017",
		CommitRevision: 123456789, TimeMs: 1763888888999, Value: bytes.Repeat([]byte("v"), 128),
	}
}

func benchBatch(ops int) *Batch {
	b := &Batch{}
	for i := range ops {
		s := benchSet()
		s.Key = fmt.Sprintf("config/service/host-%06d", i)
		b.Ops = append(b.Ops, s)
	}
	return b
}

func BenchmarkGuard(b *testing.B) {
	payload := Append(nil, Msgpack, &Set{Key: "config/service/host-000017", Value: make([]byte, 250), TTLMs: 30000})
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Guard(payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeRequest(b *testing.B) {
	for name, enc := range map[string]Encoding{"msgpack": Msgpack, "json": JSON} {
		payload := Append(nil, enc, benchSet())
		b.Run("set/"+name, func(b *testing.B) {
			b.ReportAllocs()
			var m Set
			for b.Loop() {
				m = Set{}
				if _, err := DecodeRequest(payload, &m); err != nil {
					b.Fatal(err)
				}
			}
		})
		batch := Append(nil, enc, benchBatch(100))
		b.Run("batch100/"+name, func(b *testing.B) {
			b.ReportAllocs()
			var m Batch
			for b.Loop() {
				m = Batch{}
				if _, err := DecodeRequest(batch, &m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for name, enc := range map[string]Encoding{"msgpack": Msgpack, "json": JSON} {
		for what, m := range map[string]any{"set": benchSet(), "reply": benchReply(), "change": benchChange()} {
			b.Run(what+"/"+name, func(b *testing.B) {
				dst := make([]byte, 0, 1024)
				b.ReportAllocs()
				for b.Loop() {
					Append(dst, enc, m)
				}
			})
		}
	}
}
