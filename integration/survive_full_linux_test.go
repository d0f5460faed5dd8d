package integration

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// smallVolume is the size of a file system that is filled.
const smallVolume = 512 << 20

// serveOn starts a store on a file system, where its feed keeps little.
func serveOn(t testing.TB, v *volume, flags ...string) *process {
	t.Helper()
	return serve(t, append([]string{"--data-dir", filepath.Join(v.dir, "data"), "--feed-max-bytes", "64MiB"}, flags...)...)
}

// TestSurviveFullDisk fills a file system, by writing and by another program. The
// store refuses writes before there is no room, goes on with reads and
// deadlines, and takes writes again when there is room. It does not start where
// it would die.
func TestSurviveFullDisk(t *testing.T) {
	v := newVolume(t, filepath.Join(t.TempDir(), "volume"), smallVolume)
	other := v.fill(v.free() - 192<<20) // takes 192 MiB
	p := serveOn(t, v)
	nc := p.connect()
	f := &filling{t: t, v: v, known: make(map[string]int64), least: v.free()}

	f.write(p.url)
	f.verify(nc)
	t.Logf("%d MiB in %d writes were acknowledged; %d MiB were always free",
		len(f.known)*len(f.value())>>20, len(f.known), f.least>>20)
	if f.least < 64<<20 {
		t.Error("that is less than what the store keeps free")
	}

	f.write(p.url)
	filler := v.fill(v.free() * 3 / 4)
	f.mustRefuse(nc)
	removed(t, filler)
	removed(t, other)
	mustTakeWrites(t, nc)
	before := len(f.known)
	f.write(p.url)
	if more := len(f.known) - before; more == 0 {
		t.Error("no write was taken after room was made")
	}

	p = fillWhole(t, v, p)
	nc = p.connect()
	f.verify(nc)
	p.stop()
}

// fillWhole has another program take all but 4 MiB while the store runs. What the
// store writes in the background, compacting, may then be a fault that ends it;
// if not, it is stopped. Without room it does not start.
func fillWhole(t testing.TB, v *volume, p *process) *process {
	t.Helper()
	p.mayDie = true
	filler := v.fill(4 << 20)
	pause(t, 2*time.Second)
	p.cmd.Process.Signal(syscall.SIGTERM) // fails where it has ended
	t.Logf("on a full disk the idle store ended with %v: %s", p.wait(), firstLine(p.logged(), "nothing is lost", "fault address"))
	again := v.fill(4 << 20) // closing has freed some
	if log := launch(t, p.sameFlags()...).mustFail(); !strings.Contains(log, "make room first") {
		t.Errorf("the start on a full disk tells: %s", log)
	}
	removed(t, filler)
	removed(t, again)
	return p.again()
}

// firstLine is the first line of a log that has one of some texts.
func firstLine(log string, texts ...string) string {
	for line := range strings.Lines(log) {
		for _, text := range texts {
			if strings.Contains(line, text) {
				return strings.TrimSpace(line)
			}
		}
	}
	return "no reason is told"
}

// removed removes a file.
func removed(t testing.TB, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

// filling is writers that fill a file system, and what they were told.
type filling struct {
	t testing.TB
	v *volume

	mu    sync.Mutex
	known map[string]int64 // the acknowledged revisions
	n     int
	least int64 // that was free
	wrong []error
}

// value is 16 KiB that nothing compresses.
func (f *filling) value() string {
	text := make([]byte, 16<<10)
	for i := range text {
		text[i] = byte('0' + rand.IntN(64)) // none of them is escaped in JSON but one
	}
	return strings.ReplaceAll(string(text), `\`, "-")
}

// write has sixteen writers write until each is refused. Some of what they
// write expires after a few seconds.
func (f *filling) write(url string) {
	f.t.Helper()
	var running sync.WaitGroup
	for range 16 {
		nc := connect(f.t, url)
		running.Go(func() {
			for f.writeOne(nc) {
			}
		})
	}
	running.Wait()
	if len(f.wrong) > 0 {
		f.t.Errorf("%d answers that no writer may get: %v", len(f.wrong), joined(f.wrong))
	}
}

func (f *filling) writeOne(nc *nats.Conn) bool {
	f.mu.Lock()
	f.n++
	key, ttl := fmt.Sprint("fill/", f.n), 0
	if f.n%10 == 0 {
		key, ttl = fmt.Sprint("dying/", f.n), 3000
	}
	f.mu.Unlock()
	m, err := nc.Request("kv.set", fmt.Appendf(nil, `{"key":%q,"value":%q,"ttl_ms":%d}`, key, f.value(), ttl), patience)
	var reply loadReply
	if err == nil {
		err = json.Unmarshal(m.Data, &reply)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.least = min(f.least, f.v.free())
	switch {
	case err == nil && reply.Code == "":
		if ttl == 0 {
			f.known[key] = reply.Revision
		}
		return true
	case err != nil || reply.Code != "unavailable":
		f.wrong = append(f.wrong, fmt.Errorf("%v %+v", err, reply))
	}
	return false
}

// mustRefuse checks a store whose disk is almost full.
func (f *filling) mustRefuse(nc *nats.Conn) {
	f.t.Helper()
	eventually(f.t, patience, func() error {
		return checkError(ask(f.t, nc, "kv.set", []byte(`{"key":"refused","value":"1"}`)), "unavailable")
	})
	for key := range f.known { // what only removes is taken
		must(f.t, nc, "kv.delete", fmt.Sprintf(`{"key":%q}`, key))
		delete(f.known, key)
		break
	}
	status := must(f.t, nc, "store.status", "")
	reasons, _ := status["reasons"].(list)
	if status["ready"] != false || !slices.Contains(reasons, any("the disk is almost full")) {
		f.t.Errorf("the status of a store whose disk is full: %v", status)
	}
	// Deadlines are committed: the keys are not counted any more.
	eventually(f.t, patience, func() error {
		if keys := must(f.t, nc, "store.status", "")["keys"]; keys != int64(len(f.known)) {
			return fmt.Errorf("the store has %v keys, not %d", keys, len(f.known))
		}
		return nil
	})
	f.verify(nc)
}

// verify compares the store with what was acknowledged.
func (f *filling) verify(nc *nats.Conn) {
	f.t.Helper()
	found := revisions(f.t, nc, "fill/")
	lost := 0
	for key, revision := range f.known {
		if found[key] != revision {
			lost++
		}
	}
	if lost > 0 || len(found) != len(f.known) {
		f.t.Errorf("%d of %d acknowledged writes are lost; the store has %d keys", lost, len(f.known), len(found))
	}
}

// TestSurviveFilledUnderLoad: another program takes the disk at once while 64
// clients write, faster than anyone could notice. The store may refuse or die;
// what it acknowledged is there when there is room again.
func TestSurviveFilledUnderLoad(t *testing.T) {
	v := newVolume(t, filepath.Join(t.TempDir(), "volume"), smallVolume)
	p := serveOn(t, v)
	l := newLoad(t)
	died := 0
	for round := range int(forShort(2, 20)) {
		p.mayDie = true
		l.start(p.url, false)
		pause(t, time.Duration(200+rand.IntN(500))*time.Millisecond)
		filler := v.fill(rand.Int64N(4) << 20)
		pause(t, 1500*time.Millisecond)
		outcome := "refused writes"
		select {
		case <-p.exited:
			died, outcome = died+1, fmt.Sprintf("died: %v", p.err)
			removed(t, filler)
			l.interrupt()
			p = p.again()
		default:
			removed(t, filler)
		}
		nc := p.connect(nats.NoReconnect())
		mustTakeWrites(t, nc)
		l.interrupt()
		l.end()
		l.settle()
		l.verify(nc)
		t.Logf("round %d: the store %s", round, outcome)
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("the store died %d times", died)
	p.stop()
}
