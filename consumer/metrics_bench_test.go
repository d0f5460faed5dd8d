package consumer

import (
	"testing"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// BenchmarkMeter is what measuring costs a request: to find its meter, two
// looks at the clock, and one observation. It must not allocate, and stay below
// 100 ns.
func BenchmarkMeter(b *testing.B) {
	stats := &Stats{}
	b.Run("request", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			stats.measure(subjects.KVGet.Info).stop()
		}
	})
	b.Run("error", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			stats.failed("kv.get", codec.NotFound)
		}
	})
}

// Measuring must not give the collector work.
func TestMeterAllocates(t *testing.T) {
	stats := &Stats{}
	for name, f := range map[string]func(){
		"a request": func() { stats.measure(subjects.KVSet.Info).stop() },
		"an error":  func() { stats.failed("kv.set", codec.Conflict) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}
