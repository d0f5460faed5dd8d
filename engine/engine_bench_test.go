package engine

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/settkv/sett/codec"
)

// BenchmarkSet drives the writer as the consumer does: many commands waiting at
// once, and a relay that empties the outbox.
func BenchmarkSet(b *testing.B) {
	for _, kind := range []string{Badger, Memory} {
		for _, waiting := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("%s/waiting=%d", kind, waiting), func(b *testing.B) { benchmarkSet(b, kind, waiting) })
		}
	}
}

func benchmarkSet(b *testing.B, kind string, waiting int) {
	e, err := Open(Options{Kind: kind, Dir: b.TempDir(), FeedEncoding: codec.JSON})
	if err != nil {
		b.Fatal(err)
	}
	stop := relay(b, e)
	value := make([]byte, 128)
	for i := range value {
		value[i] = byte(rand.Uint32())
	}
	slots := make(chan struct{}, waiting)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		slots <- struct{}{}
		key := fmt.Sprintf("bench/%06d", rand.IntN(100_000))
		r := &Request{Command: &codec.Set{Key: key, Value: value}, Payload: value, Done: func(_ codec.Reply, err error) {
			if err != nil {
				b.Error(err)
			}
			<-slots
		}}
		if err := e.Submit(r); err != nil {
			b.Fatal(err)
		}
	}
	for range waiting {
		slots <- struct{}{}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sets/s")
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
	stop()
}

// relay empties the outbox as the consumer's relay does.
func relay(b *testing.B, e Engine) (stop func()) {
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for at := e.AnnouncedRevision(); ; {
			select {
			case <-e.Commits():
			case <-done:
				return
			}
			for {
				events, err := e.Outbox(at, 512<<10)
				if err != nil || len(events) == 0 {
					break
				}
				at = events[len(events)-1].Revision
				e.Announced(at)
			}
		}
	})
	return func() { close(done); wg.Wait() }
}
