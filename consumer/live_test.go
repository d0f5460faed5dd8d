package consumer_test

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/consumer"
	"github.com/settkv/sett/engine"
)

// TestAnEventThatNobodyWouldGetCostsNoMessage where the broker can be asked, and
// whoever is subscribed gets it all the same.
func TestAnEventThatNobodyWouldGetCostsNoMessage(t *testing.T) {
	broker := startBroker(t)
	store, err := engine.Open(engine.Options{Kind: engine.Memory, FeedEncoding: codec.JSON, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	feed := connect(t, broker)
	begin(t, consumer.Options{
		Conn: connect(t, broker), Feed: feed, Store: store, Interest: broker.GlobalAccount().SubscriptionInterest,
	})
	set := func(keys ...string) (published uint64) {
		before := feed.Stats().OutMsgs
		for _, key := range keys {
			if err := store.Set(key, []byte("v")); err != nil {
				t.Fatal(err)
			}
		}
		until(t, "everything is announced", func() bool {
			return store.Status().Feed.AckedRevision == store.Position().StoreRevision
		})
		return feed.Stats().OutMsgs - before
	}
	if n := set("a/1", "b/1"); n != 0 {
		t.Errorf("nobody is subscribed, and %d events were published", n)
	}
	nc := connect(t, broker)
	for i, c := range []struct {
		subject string
		got     []string // of the keys a/i and b/i
	}{
		{"kv.changed.a.*", []string{"a/"}}, {"kv.changed.>", []string{"a/", "b/"}}, {">", []string{"a/", "b/"}}, {"kv.changed.c.>", nil},
	} {
		sub := subscribe(t, nc, c.subject)
		if n := set(fmt.Sprint("a/", i), fmt.Sprint("b/", i)); int(n) < len(c.got) {
			t.Errorf("%s: %d events were published", c.subject, n)
		}
		for _, key := range c.got {
			if m := next(t, sub); decode[codec.Change](t, m.Data).Key != fmt.Sprint(key, i) {
				t.Errorf("%s got %q", c.subject, m.Data)
			}
		}
		if err := sub.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if n := set("a/9", "b/9"); n != 0 {
		t.Errorf("nobody is subscribed any more, and %d events were published", n)
	}
}

// TestADurableFeedAsksForInterestInPlainEventsOnly: the stream gets every change.
func TestADurableFeedAsksForInterestInPlainEventsOnly(t *testing.T) {
	d := serveDurable(t, func(o *consumer.Options) {
		o.Interest = func(subject string) bool { return subject == "kv.changed.heard" }
	})
	sub := subscribe(t, d.nc, "kv.changed.>")
	for _, key := range []string{"unheard", "heard"} {
		d.set(key)
	}
	if changes := d.stream("SETT_CHANGES"); len(changes) != 2 {
		t.Errorf("the stream has %d changes", len(changes))
	}
	if m := next(t, sub); decode[codec.Change](t, m.Data).Key != "heard" {
		t.Errorf("got %q", m.Data)
	}
}
