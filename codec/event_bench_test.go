package codec

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkEvent measures what an event of either encoding takes.
func BenchmarkEvent(b *testing.B) {
	value := make([]byte, 128)
	for i := range value {
		value[i] = byte(rand.Uint32())
	}
	change := Change{
		Revision: 123456, Epoch: 1795431457872, Op: OpSet, Key: "bench/00000000000000000000000042",
		PreviousRevision: 99999, CommitRevision: 123456, TimeMs: 1795431458871, Value: value,
	}
	for name, encoding := range map[string]Encoding{"json": JSON, "msgpack": Msgpack} {
		b.Run(name, func(b *testing.B) {
			var buf []byte
			for b.Loop() {
				buf = Append(buf[:0], encoding, &change)
			}
			b.ReportMetric(float64(len(buf)), "B/event")
		})
	}
}
