package consumer_test

import (
	"testing"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/consumer"
	"github.com/settkv/sett/subjects"
)

// meter is that of an endpoint.
func (r *running) meter(subject string) *consumer.Meter {
	r.t.Helper()
	for _, m := range r.stats.Meters() {
		if m.Info.Subject == subject {
			return m
		}
	}
	r.t.Fatal("there is no meter of", subject)
	return nil
}

// Every request is counted to its endpoint, once, with its outcome.
func TestMeters(t *testing.T) {
	_, r, nc := serveFake(t)
	for _, q := range []struct{ subject, payload string }{
		{"kv.set", `{"key":"a","value":"1"}`},
		{"kv.set.b", `{"value":"1"}`},
		{"kv.set", `{"key":"conflict","value":"1"}`},
		{"kv.set", `{"key":"internal","value":"1"}`},
		{"kv.set", `{"kee":"a"}`},
		{"kv.get.a", ``},
		{"kv.get.none", ``},
		{"kv.get.none", ``},
	} {
		ask(t, nc, q.subject, q.payload)
	}
	if err := nc.Publish("kv.set.c.", nil); err != nil { // none of the store's subjects
		t.Fatal(err)
	}
	set, get := r.meter("kv.set"), r.meter("kv.get")
	until(t, "eight requests are counted", func() bool { return set.Time.Count() == 5 && get.Time.Count() == 3 })
	for _, c := range []struct {
		meter *consumer.Meter
		code  codec.Code
		want  uint64
	}{
		{set, codec.Conflict, 1}, {set, codec.Internal, 1}, {set, codec.Invalid, 1}, {set, codec.NotFound, 0}, {set, "none", 0},
		{get, codec.NotFound, 2}, {get, codec.Invalid, 0},
	} {
		if got := c.meter.Errors(c.code); got != c.want {
			t.Errorf("%s: %d times %s, want %d", c.meter.Info.Subject, got, c.code, c.want)
		}
	}
	if set.Failed() != 3 || set.LastError() != "400:invalid" || set.Time.Sum() <= 0 {
		t.Errorf("kv.set: %d failed, the last with %q, in %d ns", set.Failed(), set.LastError(), set.Time.Sum())
	}
	if m := r.meter("kv.list"); m.Time.Count() != 0 || m.LastError() != "" {
		t.Errorf("kv.list: %d requests, last error %q", m.Time.Count(), m.LastError())
	}
	if got, want := len(r.stats.Meters()), len(subjects.All()); got != want {
		t.Errorf("%d meters, want %d", got, want)
	}
}

// What cannot be taken in counts as well, and what nobody waits for.
func TestMetersRefused(t *testing.T) {
	store, r, nc := serveFake(t)
	store.most = 1
	release := store.hold()
	set := r.meter("kv.set")
	for range 3 {
		if err := nc.Publish("kv.set", []byte(`{"key":"a","value":"1"}`)); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "one is overloaded", func() bool { return set.Errors(codec.Overloaded) > 0 })
	release()
	until(t, "three are counted", func() bool { return set.Time.Count() == 3 })
}

func TestServing(t *testing.T) {
	_, r, _ := serveMemory(t, func(o *consumer.Options) { o.Version = "1.2.3" })
	s, ok := r.stats.Serving()
	if !ok || s.Status.StoreID != "store-1" || s.Status.Version != "1.2.3" || !s.FeedConnected || s.Commands != 0 {
		t.Errorf("%v, %+v", ok, s)
	}
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	if _, ok := r.stats.Serving(); ok {
		t.Error("it serves after it ended")
	}
	if _, ok := new(consumer.Stats).Serving(); ok {
		t.Error("nobody serves, but it says so")
	}
}
