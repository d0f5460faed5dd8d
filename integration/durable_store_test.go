package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// wantEpoch fails unless the store is still in an epoch.
func wantEpoch(t testing.TB, nc *nats.Conn, want int64) {
	t.Helper()
	if epoch, _ := storeEpoch(t, nc); epoch != want {
		t.Errorf("the store is in epoch %d, not %d", epoch, want)
	}
}

// TestKilledBeforePublish: what was committed and acknowledged and never
// reached the broker is published by the next process, once, in the same epoch.
func TestKilledBeforePublish(t *testing.T) {
	t.Parallel() // it mostly waits
	for name, after := range map[string]func(*tap){
		"lost": (*tap).cut,
		// What the dead process had published arrives while the next one
		// publishes the same.
		"late": (*tap).release,
	} {
		t.Run(name, func(t *testing.T) {
			b := startBroker(t)
			w, p := joinTapped(t, b)
			nc := connect(t, b.url)
			setMany(t, nc, "before", 20)
			epoch, _ := announcedAll(t, nc)
			w.hold(false)
			must(t, nc, "batch.apply", `{"ops":[{"op":"kv.set","key":"x","value":"1"},{"op":"kv.set","key":"y","value":"1"},{"op":"kv.set","key":"z","value":"1"}]}`)
			last := setMany(t, nc, "held", 50)
			if at := streamState(t, nc).LastSeq; at != 20 {
				t.Fatalf("the stream is at %d although nothing reaches it", at)
			}
			p.kill()
			if name == "lost" {
				after(w)
			}
			launch(t, p.args...).mustBeReady()
			if name == "late" {
				after(w)
			}
			if next := set(t, nc, "after", "1"); next != last+1 {
				t.Errorf("the next revision is %d after %d", next, last)
			}
			wantEpochs(t, mustTellAll(t, nc))
			wantEpoch(t, nc, epoch)
		})
	}
}

// TestKilledBeforeAcknowledgement: the stream has the changes, and whoever
// should learn it dies first: the store, the broker, or the connection.
func TestKilledBeforeAcknowledgement(t *testing.T) {
	t.Parallel() // it mostly waits
	for name, die := range map[string]func(*broker, *tap, *process){
		"store": func(_ *broker, w *tap, p *process) {
			p.kill()
			w.cut()
			launch(p.t, p.args...).mustBeReady()
		},
		"broker": func(b *broker, w *tap, _ *process) {
			b.kill()
			w.cut()
			b.start()
		},
		"connection": func(_ *broker, w *tap, _ *process) { w.cut() },
	} {
		t.Run(name, func(t *testing.T) {
			b := startBroker(t)
			w, p := joinTapped(t, b)
			nc := connect(t, b.url)
			setMany(t, nc, "before", 20)
			epoch, _ := announcedAll(t, nc)
			w.mute()
			last := setMany(t, nc, "unheard", 3)
			eventually(t, patience, func() error {
				if at := streamState(t, nc).LastSeq; at <= 20 {
					return fmt.Errorf("the stream is at %d", at)
				}
				return nil
			})
			die(b, w, p)
			eventually(t, patience, func() error {
				_, err := nc.Request("store.status", nil, time.Second)
				return err
			})
			if next := set(t, nc, "after", "1"); next != last+1 {
				t.Errorf("the next revision is %d after %d", next, last)
			}
			wantEpochs(t, mustTellAll(t, nc))
			wantEpoch(t, nc, epoch)
		})
	}
}

// TestFeedAwayUnderLoad: while nothing reaches the stream 64 clients go on
// writing; afterwards it has everything.
func TestFeedAwayUnderLoad(t *testing.T) {
	b := startBroker(t)
	w, p := joinTapped(t, b)
	nc := p.connect()
	l := newLoad(t)
	epoch, _ := storeEpoch(t, nc)
	l.start(b.url, false)
	pause(t, forShort(200*time.Millisecond, time.Second))
	w.hold(true)
	pause(t, forShort(1500*time.Millisecond, time.Minute))
	_, held := storeEpoch(t, nc)
	at := int64(streamState(t, nc).LastSeq)
	if held <= at+loadClients {
		t.Errorf("the store is at revision %d and the stream at %d: writers do not go on", held, at)
	}
	w.release()
	l.end()
	l.verify(nc)
	wantEpochs(t, mustTellAll(t, nc))
	wantEpoch(t, nc, epoch)
	t.Logf("%d changes were held back", held-at)
}

// copyDir replaces a directory by a copy of another.
func copyDir(t testing.TB, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// TestOldDataDirectory: somebody puts back a whole directory that is behind the
// stream. No revision is used twice: a new epoch begins above all of them.
func TestOldDataDirectory(t *testing.T) {
	p, nc, epoch := putBack(t, ".")
	launch(t, p.args...).mustBeReady()
	mustBeRewound(t, nc, epoch, 151)
}

// TestOldStore: only the store in the directory is an old copy. With --sync that
// is no power loss, and refused; without it is one, and a new epoch begins above
// all revisions that were reserved.
func TestOldStore(t *testing.T) {
	p, _, _ := putBack(t, "store")
	if log := launch(t, p.args...).mustFail(); !strings.Contains(log, "older copy") {
		t.Errorf("the error does not say what is wrong: %s", log)
	}
	p, nc, epoch := putBack(t, "store", "--sync=false")
	launch(t, p.args...).mustBeReady()
	next := set(t, nc, "next", "1")
	if next <= 151 {
		t.Fatalf("the next revision is %d", next)
	}
	events := wholeStream(t, nc)
	if len(events) != 2 || len(epochs(events)) != 1 || events[0].Epoch <= epoch {
		t.Errorf("the stream has %d events: %v", len(events), events)
	}
	if n := len(contents(t, nc, "")); n != 101 {
		t.Errorf("the store has %d keys, not the 100 of the old copy and one", n)
	}
}

// putBack makes a store whose stream is at revision 150 and a part of whose
// directory is as it was at 100. The store does not run.
func putBack(t testing.TB, part string, flags ...string) (p *process, nc *nats.Conn, epoch int64) {
	b := startBroker(t)
	p = join(t, b, flags...)
	nc = p.connect()
	old := filepath.Join(p.dataDir(), part)
	setMany(t, nc, "old", 100)
	epoch, _ = announcedAll(t, nc)
	p.stop()
	saved := filepath.Join(t.TempDir(), "saved")
	copyDir(t, old, saved)
	p = launch(t, p.args...).mustBeReady()
	setMany(t, nc, "new", 50)
	announcedAll(t, nc)
	p.stop()
	copyDir(t, saved, old)
	return p, nc, epoch
}

// dataDir is the store's data directory.
func (p *process) dataDir() (dir string) {
	for i, flag := range p.args {
		if flag == "--data-dir" {
			dir = p.args[i+1]
		}
	}
	return dir
}

// mustBeRewound checks a store whose directory was put back at revision 100
// while its stream was at 150: the new epoch begins at a revision.
func mustBeRewound(t testing.TB, nc *nats.Conn, before, begins int64) {
	t.Helper()
	if next := set(t, nc, "next", "1"); next != begins+1 {
		t.Errorf("the next revision is %d, not %d", next, begins+1)
	}
	events := wholeStream(t, nc)
	wantEpochs(t, events, "rewound")
	if len(events) != 152 || events[150].Op != "changed" || events[149].Epoch != before || events[150].Epoch <= before {
		t.Errorf("the stream has %d events", len(events))
	}
	if n := len(contents(t, nc, "")); n != 101 {
		t.Errorf("the store has %d keys, not the 100 of the old directory and one", n)
	}
}

// TestOldDataDirectoryUnseen: with such a directory the store takes no write
// until it has seen the stream, since its revisions were used. It tells why.
func TestOldDataDirectoryUnseen(t *testing.T) {
	t.Parallel() // it mostly waits
	b := startBroker(t)
	w, p := joinTapped(t, b)
	nc := connect(t, b.url)
	setMany(t, nc, "old", 100)
	epoch, _ := announcedAll(t, nc)
	p.stop()
	saved := filepath.Join(t.TempDir(), "saved")
	copyDir(t, p.dataDir(), saved)
	p = launch(t, p.args...).mustBeReady()
	setMany(t, nc, "new", 50)
	announcedAll(t, nc)
	p.kill()
	copyDir(t, saved, p.dataDir())
	w.hold(true)
	launch(t, p.args...).mustBeReady()
	if err := checkError(ask(t, nc, "kv.set", []byte(`{"key":"a","value":"1"}`)), "unavailable"); err != nil {
		t.Error(err)
	}
	status := must(t, nc, "store.status", "")
	if reasons, _ := status["reasons"].(list); status["ready"] != false || len(reasons) == 0 || status["store_revision"] != int64(100) {
		t.Errorf("the status of a store that has not seen its stream: %v", status)
	}
	if value, _, _ := get(t, nc, "old/99"); value != "v99" {
		t.Errorf("reads do not go on: %q", value)
	}
	w.release()
	w.cut()
	mustTakeWrites(t, nc)
	mustBeRewound(t, nc, epoch, 151)
}

// mustTakeWrites waits until the store is ready.
func mustTakeWrites(t testing.TB, nc *nats.Conn) {
	t.Helper()
	eventually(t, patience, func() error {
		m, err := nc.Request("store.status", nil, time.Second)
		if err != nil {
			return err
		}
		if status, err := decode(m.Data); err != nil || status["ready"] != true {
			return fmt.Errorf("the store is not ready: %v %s", err, m.Data)
		}
		return nil
	})
}
