package consumer_test

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/consumer"
	"github.com/settkv/sett/engine"
	"github.com/settkv/sett/subjects"
)

// TestStopAnswersEverything stops the consumer while requests are with the
// engine, in the channels and on the way: each is answered, by the store or,
// once it is gone, by the broker.
func TestStopAnswersEverything(t *testing.T) {
	store, r, nc := serveFake(t)
	release := store.hold()
	inbox := nc.NewRespInbox()
	replies := subscribe(t, nc, inbox)
	const count = 5000
	published := make(chan error, 1)
	go func() {
		for i := range count {
			if err := nc.PublishRequest("kv.set", inbox, fmt.Appendf(nil, `{"key":"k%d","value":"v"}`, i)); err != nil {
				published <- err
				return
			}
		}
		published <- nc.Flush()
	}()
	until(t, "the engine has some", func() bool { return store.waiting() > 0 })
	r.stop()
	until(t, "the broker says that nobody is there", func() bool {
		_, err := nc.Request("kv.set", []byte(`{"key":"late","value":""}`), time.Second)
		return errors.Is(err, nats.ErrNoResponders)
	})
	select {
	case err := <-r.ended:
		t.Fatal("it did not wait for the engine: ", err)
	default:
	}
	release()
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	applied := 0
	for range count {
		m, err := replies.NextMsg(patience)
		if errors.Is(err, nats.ErrNoResponders) {
			continue
		}
		if err = errors.Join(err, subjects.ReplyError(m)); err != nil {
			t.Fatal(err)
		}
		decode[codec.SetReply](t, m.Data)
		applied++
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
	keys, _ := store.applied()
	if keys[len(keys)-1] == "late" {
		keys = keys[:len(keys)-1] // its request may have come in time and waited in vain
	}
	t.Logf("%d of %d were applied", applied, count)
	if applied > len(keys) {
		t.Errorf("%d answered, %d applied", applied, len(keys))
	}
	if store.AnnouncedRevision() != store.Position().StoreRevision {
		t.Errorf("announced up to %d of %d", store.AnnouncedRevision(), store.Position().StoreRevision)
	}
}

func TestStopWithAStuckEngine(t *testing.T) {
	store, r, nc := serveFake(t, func(o *consumer.Options) { o.StopTimeout = 50 * time.Millisecond })
	release := store.hold()
	if err := nc.Publish("kv.set", []byte(`{"key":"k","value":""}`)); err != nil {
		t.Fatal(err)
	}
	until(t, "the engine has it", func() bool { return store.waiting() > 0 })
	if err := r.end(); err == nil {
		t.Error("it stopped as if nothing was wrong")
	}
	release()
}

// TestReconnect restarts the broker under a consumer. A stream of the broker
// records the events.
func TestReconnect(t *testing.T) {
	jetStream := withJetStream(t)
	broker := startBroker(t, jetStream)
	port := broker.Addr().(*net.TCPAddr).Port
	addStream(t, broker, "RECORD", "kv.changed.>")
	store, feed := fake(t), connect(t, broker)
	r := begin(t, consumer.Options{Conn: connect(t, broker), Feed: feed, Store: store})
	nc := connect(t, broker)
	ask(t, nc, "kv.set", `{"key":"k1","value":""}`)

	broker.Shutdown()
	broker.WaitForShutdown()
	for i := range 50 {
		set := &codec.Set{Key: fmt.Sprintf("meanwhile%d", i), Value: []byte{}}
		done := make(chan struct{})
		if err := store.Submit(&engine.Request{Command: set, Done: func(codec.Reply, error) { close(done) }}); err != nil {
			t.Fatal(err)
		}
		<-done
	}
	startBroker(t, jetStream, func(o *server.Options) { o.Port = port })
	until(t, "it serves again", func() bool {
		_, err := nc.Request("kv.set", []byte(`{"key":"k2","value":""}`), time.Second)
		return err == nil
	})
	if err := r.end(); err != nil {
		t.Error(err)
	}
	recorded := map[uint64]bool{}
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	// The broker stores what it was sent behind our back.
	until(t, "every change is recorded", func() bool {
		info, err := js.StreamInfo("RECORD")
		if err != nil {
			t.Fatal(err)
		}
		for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
			m, err := js.GetMsg("RECORD", seq)
			if err != nil {
				t.Fatal(err)
			}
			recorded[decode[codec.Change](t, m.Data).Revision] = true
		}
		return len(recorded) >= int(store.Position().StoreRevision)
	})
	for revision := uint64(1); revision <= store.Position().StoreRevision; revision++ {
		if !recorded[revision] {
			t.Errorf("the event of revision %d was lost", revision)
		}
	}
}

func TestStopsWithTheStore(t *testing.T) {
	store, r, _ := serveFake(t)
	close(store.failed)
	mustEnd(t, r.ended, errSecret.Error())
	r.ended <- nil
}

func TestStopsWithTheConnection(t *testing.T) {
	for _, which := range []string{"conn", "feed"} {
		t.Run(which, func(t *testing.T) {
			broker := startBroker(t)
			conn, feed := connect(t, broker), connect(t, broker)
			r := begin(t, consumer.Options{Conn: conn, Feed: feed, Store: fake(t)})
			if which == "feed" {
				feed.Close()
			} else {
				conn.Close()
			}
			mustEnd(t, r.ended, "closed")
			r.ended <- nil
		})
	}
}
