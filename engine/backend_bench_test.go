package engine

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// The hot path: a group of 256 puts of 100,000 keys, with what the outbox adds:
// one larger entry, and the deletion of one that was published.
const (
	benchKeys  = 100_000
	benchGroup = 256
	benchValue = 150
	benchEvent = 50 << 10
	benchLag   = 50 // groups until an outbox entry is deleted
)

// groupMaker makes groups of random puts; the same ones in each run.
type groupMaker struct {
	random *rand.Rand
	keys   [][]byte
	data   []byte // of which values are parts; half of it is random
	writes []write
	groups uint64
}

func newGroupMaker() *groupMaker {
	m := &groupMaker{random: rand.New(rand.NewPCG(1, 2)), data: make([]byte, 1<<20)}
	for i := range benchKeys {
		m.keys = append(m.keys, fmt.Appendf(nil, "kv:bench/%011d", i))
	}
	for i := 0; i < len(m.data); i += 2 {
		m.data[i] = byte(m.random.Uint32())
	}
	return m
}

// value is n bytes from anywhere in data.
func (m *groupMaker) value(n int) []byte {
	at := m.random.IntN(len(m.data) - n)
	return m.data[at : at+n]
}

// next is the next group, valid until the one after it.
func (m *groupMaker) next() []write {
	event := func(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte("ob:"), n) }
	m.groups++
	m.writes = m.writes[:0]
	for range benchGroup {
		m.writes = append(m.writes, write{key: m.keys[m.random.IntN(benchKeys)], value: m.value(benchValue)})
	}
	m.writes = append(m.writes, write{key: event(m.groups), value: m.value(benchEvent)})
	if m.groups > benchLag {
		m.writes = append(m.writes, write{key: event(m.groups - benchLag), delete: true})
	}
	return m.writes
}

// fill commits the given number of groups.
func (m *groupMaker) fill(b *testing.B, to backend, groups int) {
	for range groups {
		writes := m.next()
		commitTo(b, to, m.groups, writes...)
		to.Forget(m.groups)
	}
}

// cpuTime is what the process has used on all cores: what a commit costs beyond
// the time that its caller waits, such as flushing and compacting.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// reportCPU says what an operation has used since the given time.
func reportCPU(b *testing.B, since time.Duration) {
	b.ReportMetric(float64((cpuTime()-since).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
}

// benchBackends are the backends to compare, by name.
var benchBackends = []struct {
	name string
	open func(b *testing.B) backend
}{
	{"badger", func(b *testing.B) backend { return openTestBadger(b, b.TempDir(), badgerOptions{}) }},
	{"badger-nosync", func(b *testing.B) backend { return openTestBadger(b, b.TempDir(), badgerOptions{NoSync: true}) }},
	{"memory", func(*testing.B) backend { return openMemory() }},
}

// BenchmarkBackendCommit commits groups of 256 puts. Run it with
// -benchtime 5000x: the first groups meet neither flushing nor compaction.
func BenchmarkBackendCommit(b *testing.B) {
	for _, c := range benchBackends {
		b.Run(c.name, func(b *testing.B) {
			to, m := c.open(b), newGroupMaker()
			b.ReportAllocs()
			cpu := cpuTime()
			b.ResetTimer()
			m.fill(b, to, b.N)
			b.StopTimer()
			b.ReportMetric(float64(b.N*benchGroup)/b.Elapsed().Seconds(), "puts/s")
			reportCPU(b, cpu)
		})
	}
}

// BenchmarkBackendGet reads one random key. "memtable" has few groups, which
// are all in memory; "tables" reads what was written through to the tables.
func BenchmarkBackendGet(b *testing.B) {
	for _, c := range []struct {
		name   string
		groups int
		reopen bool
	}{{"badger-memtable", 150, false}, {"badger-tables", 3000, true}, {"badger-both", 3000, false}, {"memory", 1000, false}} {
		b.Run(c.name, func(b *testing.B) {
			m := newGroupMaker()
			var from backend = openMemory()
			if c.name != "memory" {
				dir := b.TempDir()
				from = openTestBadger(b, dir, badgerOptions{NoSync: true})
				defer func() { _ = from.Close() }()
			}
			m.fill(b, from, c.groups)
			if bg, ok := from.(*badgerBackend); ok && c.reopen {
				if err := from.Close(); err != nil {
					b.Fatal(err)
				}
				from = openTestBadger(b, bg.dir, badgerOptions{})
			}
			b.Run("view-each", func(b *testing.B) { benchGet(b, from, m, 1) })
			b.Run("view-for-100", func(b *testing.B) { benchGet(b, from, m, 100) })
		})
	}
}

// benchGet opens a view for every so many gets.
func benchGet(b *testing.B, from backend, m *groupMaker, perView int) {
	b.ReportAllocs()
	buf := make([]byte, 0, 1024)
	v, cpu := from.View(from.Last()), cpuTime()
	for i := range b.N {
		if i%perView == 0 {
			v.Close()
			v = from.View(from.Last())
		}
		if _, _, err := v.Get(m.keys[m.random.IntN(benchKeys)], buf); err != nil {
			b.Fatal(err)
		}
	}
	v.Close()
	reportCPU(b, cpu)
}

// BenchmarkBackendScan reads the 1,000 keys of a prefix, most of which were
// overwritten several times.
func BenchmarkBackendScan(b *testing.B) {
	for _, c := range benchBackends[1:] {
		b.Run(c.name, func(b *testing.B) {
			from, m := c.open(b), newGroupMaker()
			m.fill(b, from, 3000)
			b.ReportAllocs()
			keys := 0
			for b.Loop() {
				v := from.View(from.Last())
				err := v.Scan([]byte("kv:bench/00000042"), func(_, _ []byte) error { keys++; return nil })
				if v.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(keys)/b.Elapsed().Seconds(), "keys/s")
		})
	}
}
