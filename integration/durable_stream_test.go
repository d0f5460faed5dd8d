package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// stop ends a broker in order.
func (b *broker) stop() {
	b.t.Helper()
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.t.Fatal(err)
	}
	within(b.t, patience, "end of the broker", b.exited)
}

// forceOpen has the store look at its stream again.
func (w *tap) forceOpen(nc *nats.Conn) {
	w.cut()
	mustTakeWrites(w.t, nc)
}

// TestBrokerLosesTail: the broker comes back with an older copy of its files, as
// after a power loss. The tail is published again, in the same epoch.
func TestBrokerLosesTail(t *testing.T) {
	t.Parallel() // it mostly waits
	b := startBroker(t)
	p := join(t, b)
	nc := p.connect()
	setMany(t, nc, "old", 50)
	epoch, _ := announcedAll(t, nc)
	b.stop()
	saved := filepath.Join(t.TempDir(), "saved")
	copyDir(t, b.setup.Dir, saved)
	b.start()
	mustTakeWrites(t, nc)
	setMany(t, nc, "new", 49)
	announcedAll(t, nc)
	set(t, nc, "new", "1") // with which what is announced could leave the outbox
	announcedAll(t, nc)
	b.kill()
	copyDir(t, saved, b.setup.Dir)
	b.start()
	mustTakeWrites(t, nc)
	eventually(t, patience, func() error {
		if at := streamState(t, nc).LastSeq; at != 100 {
			return fmt.Errorf("the stream is at %d", at)
		}
		return nil
	})
	if next := set(t, nc, "next", "1"); next != 101 {
		t.Errorf("the next revision is %d", next)
	}
	wantEpochs(t, mustTellAll(t, nc))
	wantEpoch(t, nc, epoch)
	p.stop()
}

// TestBrokerLosesMiddle: a block file of the stream is cut off while its index
// says that all is well, and the last sequence is right. Only a look at what is
// missing shows it.
func TestBrokerLosesMiddle(t *testing.T) {
	b := startBroker(t)
	p := join(t, b)
	nc := p.connect()
	value := strings.Repeat("v", 400<<10)
	for i := range 30 {
		set(t, nc, fmt.Sprint("k", i), value)
	}
	epoch, _ := announcedAll(t, nc)
	p.stop()
	b.stop()
	blocks := blockFiles(t, b.setup.Dir)
	if len(blocks) < 2 {
		t.Fatalf("the stream has the blocks %v", blocks)
	}
	info, err := os.Stat(blocks[0])
	if err == nil {
		err = os.Truncate(blocks[0], info.Size()/2)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.start()
	if at := streamState(t, nc).LastSeq; at != 30 {
		t.Fatalf("the broker noticed it by itself: the stream is at %d", at)
	}
	p = launch(t, p.args...).mustBeReady()
	if next := set(t, nc, "next", "1"); next != 32 {
		t.Errorf("the next revision is %d, not 32", next)
	}
	if now, _ := announcedAll(t, nc); now <= epoch {
		t.Error("no new epoch tells that changes are missing")
	}
	wantEpochs(t, readStream(t, nc, 31), "gap")
	p.stop()
	launch(t, p.args...).mustBeReady() // the same holes are no news
	if next := set(t, nc, "next", "2"); next != 33 {
		t.Errorf("after a restart the next revision is %d, not 33", next)
	}
}

// blockFiles are those of the feed's stream, in order.
func blockFiles(t testing.TB, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.Contains(path, feedStream) && filepath.Ext(path) == ".blk" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestLastMessageUnreadable: the stream cannot show its last message, so nobody
// knows whether it is the store's.
func TestLastMessageUnreadable(t *testing.T) {
	b := startBroker(t)
	p := join(t, b)
	nc := p.connect()
	setMany(t, nc, "k", 30)
	announcedAll(t, nc)
	p.stop()
	b.stop()
	blocks := blockFiles(t, b.setup.Dir)
	data, err := os.ReadFile(blocks[len(blocks)-1])
	if err == nil {
		data[len(data)-40] ^= 1
		err = os.WriteFile(blocks[len(blocks)-1], data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.start()
	p = launch(t, p.args...).mustBeReady()
	mustTakeWrites(t, nc)
	set(t, nc, "next", "1")
	announcedAll(t, nc)
	wantEpochs(t, readStream(t, nc, 31), "gap")
	p.stop()
}

// TestStreamDeleted: while the outbox has everything, a deleted stream is made
// again as it was. Once it has not, a gap says so, and the stream begins there.
func TestStreamDeleted(t *testing.T) {
	t.Parallel() // it mostly waits
	for name, flags := range map[string][]string{"kept": nil, "forgotten": {"--outbox-keep", "1"}} {
		for _, running := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " running=", running), func(t *testing.T) {
				b := startBroker(t)
				w, p := joinTapped(t, b, flags...)
				nc := connect(t, b.url)
				last := setMany(t, nc, "k", 40)
				epoch, _ := announcedAll(t, nc)
				last = max(last, set(t, nc, "more", "1"))
				announcedAll(t, nc)
				if !running {
					p.stop()
				}
				if err := jetStream(t, nc).DeleteStream(t.Context(), feedStream); err != nil {
					t.Fatal(err)
				}
				if running {
					set(t, nc, "seen", "1") // whose publishing finds out
					w.forceOpen(nc)
				} else {
					launch(t, p.args...).mustBeReady()
					set(t, nc, "seen", "1")
				}
				if name == "kept" {
					wantEpochs(t, mustTellAll(t, nc))
					wantEpoch(t, nc, epoch)
					return
				}
				events := wholeStream(t, nc)
				wantEpochs(t, events, "gap")
				if len(events) == 0 || events[0].Op != "changed" || events[0].Revision <= last || events[0].Epoch <= epoch {
					t.Errorf("the stream begins with %s", events[0].raw)
				}
			})
		}
	}
}

// TestStreamPurged: somebody empties the stream, or takes one subject out.
func TestStreamPurged(t *testing.T) {
	t.Parallel() // it mostly waits
	for name, option := range map[string]jetstream.StreamPurgeOpt{
		"all": jetstream.WithPurgeKeep(0), "subject": jetstream.WithPurgeSubject("kv.changed.k.7"),
	} {
		t.Run(name, func(t *testing.T) {
			b := startBroker(t)
			w, p := joinTapped(t, b)
			nc := connect(t, b.url)
			setMany(t, nc, "k", 20)
			epoch, _ := announcedAll(t, nc)
			stream, err := jetStream(t, nc).Stream(t.Context(), feedStream)
			if err == nil {
				err = stream.Purge(t.Context(), option)
			}
			if err != nil {
				t.Fatal(err)
			}
			w.forceOpen(nc)
			eventually(t, patience, func() error {
				if now, revision := storeEpoch(t, nc); now <= epoch || revision != 21 {
					return fmt.Errorf("the store is in epoch %d at revision %d", now, revision)
				}
				return nil
			})
			set(t, nc, "next", "1")
			announcedAll(t, nc)
			wantEpochs(t, readStream(t, nc, 21), "gap")
			p.stop()
			launch(t, p.args...).mustBeReady() // it is no news any more
			set(t, nc, "next", "2")
			announcedAll(t, nc)
			wantEpochs(t, readStream(t, nc, 21), "gap")
		})
	}
}

// TestStreamOfAnother: a store does not write into another store's stream,
// unless it is told to take it over; then a new epoch begins above both.
func TestStreamOfAnother(t *testing.T) {
	for name, n := range map[string]int{"ahead": 10, "behind": 60} {
		t.Run(name, func(t *testing.T) {
			b := startBroker(t)
			first := join(t, b)
			nc := first.connect()
			id := must(t, nc, "store.status", "")["store_id"].(string)
			setMany(t, nc, "first", 30)
			epoch, _ := announcedAll(t, nc)
			first.stop()
			second := join(t, b, "--subject-prefix", "two") // so that it has changes
			nc2 := second.connect()
			otherID := must(t, nc2, "two.store.status", "")["store_id"].(string)
			for i := range n {
				must(t, nc2, "two.kv.set", fmt.Sprintf(`{"key":"second/%d","value":"1"}`, i))
			}
			second.stop()
			args := second.args[:len(second.args)-2]
			log := launch(t, args...).mustFail()
			for _, word := range []string{id, otherID, "--adopt-feed"} {
				if !strings.Contains(log, word) {
					t.Errorf("the error does not name %s: %s", word, log)
				}
			}
			adopter := launch(t, append(args, "--adopt-feed")...).mustBeReady()
			begins := int64(max(30, n)) + 1
			if next := set(t, nc, "next", "1"); next != begins+1 {
				t.Errorf("the next revision is %d, not %d", next, begins+1)
			}
			if now, _ := announcedAll(t, nc); now <= epoch {
				t.Errorf("epoch %d was taken over in epoch %d", epoch, now)
			}
			wantEpochs(t, readStream(t, nc, uint64(begins)), "gap")
			if failed := strings.Count(adopter.logged(), "trying again"); failed > 0 {
				t.Errorf("taking over took %d attempts more:\n%s", failed, adopter.logged())
			}
			if text := streamInfo(t, nc).Config.Description; !strings.Contains(text, otherID) {
				t.Errorf("the stream that was taken over is described as %q", text)
			}
			adopter.stop()
			launch(t, args...).mustBeReady() // it is its own now
		})
	}
}

// TestMemoryStoreAtItsStream: a memory store begins anew above what its stream
// has, so that no pair of epoch and revision is used twice.
func TestMemoryStoreAtItsStream(t *testing.T) {
	b := startBroker(t)
	p := join(t, b, "--engine", "memory")
	nc := p.connect()
	setMany(t, nc, "k", 25)
	announcedAll(t, nc)
	p.kill()
	p = launch(t, p.args...).mustBeReady()
	if next := set(t, nc, "next", "1"); next != 27 {
		t.Errorf("the next revision is %d, not 27", next)
	}
	events := wholeStream(t, nc)
	wantEpochs(t, events, "gap")
	if len(events) != 27 {
		t.Errorf("the stream has %d events", len(events))
	}
	p.stop()
}

// TestIntruder: on a broker without permissions somebody publishes what only
// the store should.
func TestIntruder(t *testing.T) {
	b := startBroker(t)
	p := join(t, b)
	nc := p.connect()
	setMany(t, nc, "k", 10)
	epoch, _ := announcedAll(t, nc)
	forged := []byte(`{"revision":11,"op":"set","key":"k/0","value":"forged"}`)
	if err := nc.Publish("kv.changed.k.0", forged); err != nil {
		t.Fatal(err)
	}
	set(t, nc, "next", "1") // revision 11
	wantEpochs(t, mustTellAll(t, nc))
	wantEpoch(t, nc, epoch)
	if _, err := nc.Request(ingest(t, nc)+"kv.changed.k.0", forged, patience); err != nil {
		t.Fatal(err) // the stream has taken it, as sequence 12
	}
	set(t, nc, "next", "2")
	eventually(t, patience, func() error {
		if now, _ := storeEpoch(t, nc); now <= epoch {
			return errors.New("the intruder is not noticed")
		}
		return nil
	})
	set(t, nc, "next", "3")
	announcedAll(t, nc)
	wantEpochs(t, readStream(t, nc, 13), "rewound")
	mustTakeWrites(t, nc)
	p.stop()
}

// ingest is what the stream's own subject begins with.
func ingest(t *testing.T, nc *nats.Conn) string {
	t.Helper()
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	info, err := js.StreamInfo("SETT_CHANGES")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(info.Config.Subjects[0], ">")
}

// TestIntruderAtEmbedded: the embedded broker lets no client do that.
func TestIntruderAtEmbedded(t *testing.T) {
	p := serve(t)
	refused := make(chan error, 10)
	nc := p.connect(nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	setMany(t, nc, "k", 10)
	for _, subject := range []string{"kv.changed.k.0", ingest(t, nc) + "kv.changed.k.0"} {
		if err := nc.Publish(subject, []byte(`{"revision":11}`)); err != nil {
			t.Fatal(err)
		}
		if err := within(t, patience, "refusal", refused); !errors.Is(err, nats.ErrPermissionViolation) {
			t.Error(err)
		}
	}
	wantEpochs(t, mustTellAll(t, nc))
}
