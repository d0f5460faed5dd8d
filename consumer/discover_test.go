package consumer_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/consumer"
	"github.com/settkv/sett/engine"
)

// discoverer is a store that registers NATS services whenever tick is sent to.
type discoverer struct {
	*running
	t     *testing.T
	store engine.Engine
	nc    *nats.Conn
	tick  chan time.Time
}

func discover(t *testing.T) *discoverer {
	d := &discoverer{t: t, tick: make(chan time.Time)}
	d.store, d.running, d.nc = serveMemory(t, func(o *consumer.Options) { o.Discover, o.DiscoverTick = true, d.tick })
	return d
}

// present has a service answer $SRV.INFO as one does, and returns how to change
// what it says.
func (d *discoverer) present(info string) (say func(string)) {
	d.t.Helper()
	texts := make(chan string, 1)
	texts <- info
	_, err := d.nc.Subscribe("$SRV.INFO", func(m *nats.Msg) {
		text := <-texts
		texts <- text
		if text != "" {
			_ = m.Respond([]byte(text))
		}
	})
	if err == nil {
		err = d.nc.Flush()
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return func(text string) { <-texts; texts <- text }
}

func aService(name, id, more string) string {
	return fmt.Sprintf(`{"type":"io.nats.micro.v1.info_response","name":%q,"id":%q,"version":"1.0.0"%s}`, name, id, more)
}

// round asks all services once more.
func (d *discoverer) round() {
	d.t.Helper()
	select {
	case d.tick <- time.Now():
	case <-time.After(patience):
		d.t.Fatal("nobody asks for services")
	}
}

// instances are those of a name, whatever their status.
func (d *discoverer) instances(name string) []codec.Instance {
	d.t.Helper()
	r := &codec.GetService{Name: name, Statuses: []string{codec.Passing, codec.Warning, codec.Critical}}
	if err := r.Validate(); err != nil {
		d.t.Fatal(err)
	}
	found, err := d.store.ReadService(r, codec.Fit{})
	if err != nil {
		d.t.Fatal(err)
	}
	return found.Instances
}

// await waits until a name has one instance that satisfies cond.
func (d *discoverer) await(name, what string, cond func(codec.Instance) bool) (in codec.Instance) {
	d.t.Helper()
	until(d.t, name+" "+what, func() bool {
		found := d.instances(name)
		if len(found) == 1 {
			in = found[0]
		}
		return len(found) == 1 && cond(in)
	})
	return in
}

func any1(codec.Instance) bool { return true }

func TestDiscover(t *testing.T) {
	d := discover(t)
	events := subscribe(t, d.nc, "svc.changed.orders.>")
	say := d.present(aService("orders", "A1", `,"metadata":{"team":"shop"},"description":"sells",
		"endpoints":[{"name":"place","subject":"orders.place"},{"name":"cancel","subject":"orders.cancel"}]`))
	d.round()
	in := d.await("orders", "is registered", any1)
	for key, want := range map[string]string{
		"version": "1.0.0", "team": "shop", "description": "sells", "endpoint.place": "orders.place", "endpoint.cancel": "orders.cancel",
	} {
		if in.Meta[key] != want {
			t.Errorf("meta %s is %q, want %q", key, in.Meta[key], want)
		}
	}
	if in.ID != "A1" || len(in.Tags) != 1 || in.Tags[0] != "nats-micro" || in.TTLMs != 15_000 || in.Status != codec.Passing {
		t.Errorf("%+v", in)
	}
	if e := decode[codec.Change](t, next(t, events).Data); e.Op != codec.OpRegister || e.ID != "A1" {
		t.Errorf("%+v", e)
	}
	// Renewing is no change: the deadline moves, the revision stays.
	until(t, "the deadline moves", func() bool {
		d.round()
		return d.instances("orders")[0].ExpiresAtMs > in.ExpiresAtMs
	})
	if again := d.instances("orders")[0]; again.Revision != in.Revision {
		t.Errorf("renewing made revision %d of %d", again.Revision, in.Revision)
	}
	// Another version is one.
	say(strings.Replace(aService("orders", "A1", ""), "1.0.0", "2.0.0", 1))
	d.round()
	d.await("orders", "has its new version", func(in codec.Instance) bool { return in.Meta["version"] == "2.0.0" && len(in.Meta) == 1 })
	until(t, "both registrations are counted", func() bool { return d.stats.Discovered.Load() == 2 })
	if len(d.instances("sett")) != 0 {
		t.Error("the store registered itself")
	}
}

// What somebody else registered stays as it is.
func TestDiscoverForeign(t *testing.T) {
	d := discover(t)
	mine := &codec.Register{Name: "orders", ID: "A1", Address: "10.0.0.1", Port: 80}
	if _, err := d.store.Apply(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	d.present(aService("orders", "A1", ""))
	d.round()
	until(t, "it is skipped", func() bool { return d.stats.Skipped.Load() == 1 })
	if in := d.instances("orders")[0]; in.Address != "10.0.0.1" || len(in.Tags) != 0 || in.TTLMs != 0 {
		t.Errorf("%+v", in)
	}
	// Once it is gone its place is free.
	if _, err := d.store.Apply(t.Context(), &codec.Deregister{Name: "orders", ID: "A1"}); err != nil {
		t.Fatal(err)
	}
	d.round()
	d.await("orders", "is registered", func(in codec.Instance) bool { return in.TTLMs != 0 })
}

// A status that somebody set is kept.
func TestDiscoverStatus(t *testing.T) {
	d := discover(t)
	say := d.present(aService("orders", "A1", ""))
	d.round()
	d.await("orders", "is registered", any1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := d.store.Apply(ctx, &codec.Heartbeat{Name: "orders", ID: "A1", Status: codec.Critical}); err != nil {
		t.Fatal(err)
	}
	say(aService("orders", "A1", `,"description":"new"`))
	d.round()
	in := d.await("orders", "is described", func(in codec.Instance) bool { return in.Meta["description"] == "new" })
	if in.Status != codec.Critical {
		t.Errorf("its status became %s", in.Status)
	}
}

// Who answers no more expires, with an event, once its TTL has passed.
func TestDiscoverVanished(t *testing.T) {
	clock, wake, broker := newClock(), make(chan time.Time), startBroker(t)
	store, err := engine.Open(engine.Options{
		Kind: engine.Memory, FeedEncoding: codec.JSON, Log: slog.New(slog.DiscardHandler),
		Now: clock.now, After: func(time.Duration) <-chan time.Time { return wake },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	d := &discoverer{t: t, store: store, nc: connect(t, broker), tick: make(chan time.Time)}
	d.running = begin(t, consumer.Options{Conn: connect(t, broker), Store: store, Discover: true, DiscoverTick: d.tick})
	events := subscribe(t, d.nc, "svc.changed.orders.>")
	say := d.present(aService("orders", "A1", ""))
	d.round()
	next(t, events)
	say("")
	d.round()
	clock.advance(15 * time.Second)
	wake <- clock.now()
	if e := decode[codec.Change](t, next(t, events).Data); e.Op != codec.OpExpire || e.Instance == nil || e.Instance.Meta["version"] != "1.0.0" {
		t.Errorf("%+v", e)
	}
}

// What breaks the limits is left out, or skipped; the others come all the same.
func TestDiscoverLimits(t *testing.T) {
	d := discover(t)
	long := strings.Repeat("x", codec.MaxName+1)
	for _, bad := range []string{
		aService(long, "A1", ""), aService("a/b", "A1", ""), aService("", "A1", ""), aService("a", "", ""), `{"type":"other"}`, `not JSON`,
	} {
		d.present(bad)
	}
	var endpoints []string
	for i := range 100 {
		endpoints = append(endpoints, fmt.Sprintf(`{"name":"e%02d","subject":"s%d"}`, i, i))
	}
	endpoints = append(endpoints, fmt.Sprintf(`{"name":"a","subject":%q}`, strings.Repeat("s", codec.MaxMetaVal+1)))
	d.present(aService("large", "A1", `,"endpoints":[`+strings.Join(endpoints, ",")+`]`))
	d.round()
	in := d.await("large", "is registered", any1)
	if len(in.Meta) != codec.MaxMeta || in.Meta["version"] != "1.0.0" || in.Meta["endpoint.e00"] != "s0" || in.Meta["endpoint.a"] != "" {
		t.Errorf("%d meta: %v", len(in.Meta), in.Meta)
	}
	until(t, "six are skipped", func() bool { return d.stats.Skipped.Load() >= 6 })
}

// Nobody asks where it is not wanted.
func TestDiscoverOff(t *testing.T) {
	_, r, nc := serveMemory(t)
	asked := subscribe(t, nc, "$SRV.INFO")
	ask(t, nc, "store.status", "")
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if n, _, _ := asked.Pending(); n != 0 {
		t.Errorf("%d times asked", n)
	}
}
