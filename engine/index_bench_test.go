package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/settkv/sett/codec"
)

// The figures behind the decision to keep live keys in an index in memory
// (DESIGN.md): what a list and a condition cost with it and without.

var errEnough = errors.New("enough")

// BenchmarkList reads 1,000 keys with their values, after every key was
// overwritten so many times.
func BenchmarkList(b *testing.B) {
	for _, overwrites := range []int{1, 40, 400} {
		s := filled(b, 1000, overwrites, -1)
		b.Run(fmt.Sprintf("overwrites=%d/backend-scan", overwrites), func(b *testing.B) {
			for range b.N {
				st, n := s.state.Load(), 0
				v := st.backend.View(st.commit)
				err := v.Scan([]byte(kvPrefix), func(key, value []byte) error {
					if n++; n == 1000 {
						return errEnough
					}
					return nil
				})
				v.Close()
				if !errors.Is(err, errEnough) {
					b.Fatal(n, err)
				}
			}
		})
		b.Run(fmt.Sprintf("overwrites=%d/index", overwrites), func(b *testing.B) { benchmarkList(b, s) })
		cached := filled(b, 1000, overwrites, 0)
		b.Run(fmt.Sprintf("overwrites=%d/index-and-cache", overwrites), func(b *testing.B) { benchmarkList(b, cached) })
	}
}

func benchmarkList(b *testing.B, s *store) {
	b.ReportAllocs()
	for range b.N {
		page, err := s.ListKeys(&codec.List{Limit: 1000, ReturnValues: true}, codec.Fit{})
		if err != nil || len(page.Entries) != 1000 {
			b.Fatal(err)
		}
	}
}

// BenchmarkCondition asks for the revision of a random key, as each conditional
// write does.
func BenchmarkCondition(b *testing.B) {
	s := filled(b, 100_000, 1, -1)
	paths := make([]string, 1024)
	for i := range paths {
		paths[i] = keyPath(fmt.Sprintf("bench/%06d", rand.IntN(100_000)))
	}
	b.Run("backend", func(b *testing.B) {
		st := s.state.Load()
		v := st.backend.View(st.commit)
		defer v.Close()
		var buf []byte
		for i := range b.N {
			buf, _, _ = v.Get([]byte(paths[i%len(paths)]), buf[:0])
		}
	})
	b.Run("index", func(b *testing.B) {
		index := s.state.Load().index
		for i := range b.N {
			index.Get(paths[i%len(paths)])
		}
	})
}

// BenchmarkIndexMemory reports what a live key of 32 bytes costs in memory: one
// that was written, in no order, and one that was there at the opening.
func BenchmarkIndexMemory(b *testing.B) {
	const keys = 1_000_000
	key := func(i int) []byte { return []byte(keyPath(fmt.Sprintf("some/prefix/of/a/key/%011d", i))) }
	for name, fill := range map[string]func(*index){
		"written": func(x *index) {
			for n, i := range rand.Perm(keys) {
				if x.Set(item{path: string(key(i)), rec: &record{revision: uint64(i)}}); n%1000 == 0 {
					show(x)
				}
			}
			show(x)
		},
		"loaded": func(x *index) {
			for i := range keys {
				x.Load(key(i), &record{revision: uint64(i)})
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				before := heapBytes()
				index := newIndex()
				fill(index)
				b.ReportMetric(float64(heapBytes()-before)/keys, "B/key")
				runtime.KeepAlive(index)
			}
		})
	}
}

// show makes visible what was set.
func show(x *index) {
	_, shown := x.seal()
	for s, i := range shown {
		s.now.Store(i.rec)
	}
}

func heapBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func filled(b *testing.B, keys, overwrites int, cacheBytes int64) *store {
	e, err := Open(Options{Dir: b.TempDir(), CacheBytes: cacheBytes, NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close() })
	value := make([]byte, 128)
	for range overwrites {
		for from := 0; from < keys; from += codec.MaxOps {
			batch := map[string][]byte{}
			for i := from; i < min(from+codec.MaxOps, keys); i++ {
				batch[fmt.Sprintf("bench/%06d", i)] = value
			}
			if err := e.BatchSet(batch); err != nil {
				b.Fatal(err)
			}
			e.Announced(e.Position().StoreRevision)
		}
	}
	return e.(*store)
}
