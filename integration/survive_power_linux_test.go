package integration

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// powerDisk is the size of the disk that loses its power.
const powerDisk = 832 << 20

// powerFlags are those of a store on it. The feed holds more than is written
// between two syncs of the broker: else a cut could leave it nothing, and a new
// epoch would have to begin.
func powerFlags(d *disk, more ...string) []string {
	return append([]string{"--listen", "127.0.0.1:0", "--data-dir", filepath.Join(d.dir, "data"),
		"--feed", "durable", "--feed-max-bytes", "256MiB", "--disk-reserve", "16MiB"}, more...)
}

// TestSurvivePowerCut takes the power away while 64 clients write, from the store,
// its broker, and the disk with what it has in its cache. Every acknowledged
// write is there afterwards, nothing is applied by half, and the stream is the
// sequence of commits.
func TestSurvivePowerCut(t *testing.T) {
	d := newDisk(t, powerDisk)
	p := d.launch(powerFlags(d)...).mustBeReady()
	l, b := newLoad(t), newBulk(t)
	var told tally
	for round := range surviveRounds(30) {
		b.start(p.url)
		powerCut(t, d, p, l)
		b.wait()
		p = d.launch(p.sameFlags()...).mustBeReady()
		told.check(t, p, l)
		b.verify(p.connect(nats.NoReconnect()))
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	told.report(t)
	t.Logf("%d acknowledged writes of %d KiB; a new log was begun %d times between them", b.acked(), len(b.padding)>>10, d.logs)
	p.stop()
}

// powerCut lets clients write for a while, cuts, and brings the power back. It
// returns how many writes were acknowledged.
func powerCut(t testing.TB, d *disk, p *process, l *load) (acked int) {
	t.Helper()
	l.start(p.url, true)
	first := p.lastLog()
	pause(t, time.Duration(700+rand.IntN(1500))*time.Millisecond)
	d.logs += p.lastLog() - first
	d.cut()
	pause(t, 20*time.Millisecond) // whoever acknowledges now is found out
	p.kill()
	if acked = l.endOnFailedDisk(); acked == 0 {
		t.Fatal("no write was acknowledged")
	}
	d.back()
	return acked
}

// lastLog is the number of the store's last write-ahead log.
func (p *process) lastLog() (number int) {
	logs, _ := filepath.Glob(filepath.Join(p.dataDir(), "store", "*.mem"))
	for _, name := range logs {
		n, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(name), ".mem"))
		number = max(number, n)
	}
	return number
}

// endOnFailedDisk is end for a store whose disk has failed: it may tell so once,
// and then nobody knows whether the write is there.
func (l *load) endOnFailedDisk() (acked int) {
	l.t.Helper()
	close(l.stop)
	l.running.Wait()
	for _, c := range l.clients {
		c.failures = slices.DeleteFunc(c.failures, func(err error) bool {
			return strings.Contains(err.Error(), "the commit failed and the store has stopped")
		})
	}
	return l.wait()
}

// TestSurvivePowerCutUnsynced is the same with --sync=false. It shows that the
// cuts are real: writes are lost, and a new epoch says so.
func TestSurvivePowerCutUnsynced(t *testing.T) {
	d := newDisk(t, powerDisk)
	flags := powerFlags(d, "--sync=false")
	p := d.launch(flags...).mustBeReady()
	lossy := 0
	for round := range surviveRounds(10) {
		l := newLoad(t)
		nc := p.connect(nats.NoReconnect())
		before, _ := storeEpoch(t, nc)
		acked := powerCut(t, d, p, l)
		p = d.launch(p.sameFlags()...).mustBeReady()
		nc = p.connect(nats.NoReconnect())
		mustTakeWrites(t, nc)
		after, _ := storeEpoch(t, nc)
		lost := l.lost(nc)
		t.Logf("round %d: %d acknowledged writes; %d keys of %d lost their last one", round, acked, lost, l.keys())
		if lost > 0 {
			lossy++
		}
		if lost > 0 && after == before {
			t.Errorf("round %d: writes are lost, and the epoch is still %d", round, after)
		}
		events := wholeStream(t, nc)
		if reasons := epochs(events); after != before && (len(reasons) == 0 || reasons[len(reasons)-1] != "rewound") {
			t.Errorf("round %d: the last epochs were opened by %v", round, reasons)
		}
		clearLoad(t, nc)
	}
	if lossy == 0 {
		t.Error("no cut has lost a write: they are not real")
	}
	p.stop()
}

// lost counts the keys whose last acknowledged write is gone.
func (l *load) lost(nc *nats.Conn) (n int) {
	l.t.Helper()
	found := contents(l.t, nc, "load/")
	for _, c := range l.clients {
		for key, e := range c.known {
			have, ok := found[key]
			if e.check(have, ok) != nil {
				n++
			}
		}
	}
	return n
}

// keys counts the keys that a load knows.
func (l *load) keys() (n int) {
	for _, c := range l.clients {
		n += len(c.known)
	}
	return n
}

// clearLoad deletes what a load has written.
func clearLoad(t testing.TB, nc *nats.Conn) {
	t.Helper()
	for more := true; more; {
		more = must(t, nc, "kv.clear", fmt.Sprintf(`{"prefix":%q}`, "load/"))["more"].(bool)
	}
}
