package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

const (
	soakUsers       = 64 // each waits for its reply
	soakConnections = 8
	soakFollowers   = 4
	soakConsumer    = "soak" // of the durable feed
)

// soakLoad is the users of a soak.
type soakLoad struct {
	url     string
	running sync.WaitGroup
	ctx     context.Context // ends what waits for nothing in particular
	stop    context.CancelFunc
	rate    atomic.Uint64 // operations a second of all users; 0: as fast as they can
	done    atomic.Uint64
	events  atomic.Uint64 // that followers and the consumer were told

	mu       sync.Mutex
	counts   map[string]int
	failures []error
}

// startSoak starts all users, unpaced.
func startSoak(t testing.TB, url string) *soakLoad {
	t.Helper()
	l := &soakLoad{url: url, counts: make(map[string]int)}
	l.ctx, l.stop = context.WithCancel(t.Context())
	for i := range soakConnections {
		nc := connect(t, url, nats.NoReconnect())
		store, err := subjects.NewClient(nc, subjects.Options{Timeout: patience})
		if err != nil {
			t.Fatal(err)
		}
		var users sync.WaitGroup
		for range soakUsers / soakConnections {
			users.Go(func() { l.use(store) })
		}
		l.running.Go(func() { users.Wait(); nc.Close() })
		if i < soakFollowers {
			l.running.Go(func() { l.repeat("follow", l.follow) })
		}
	}
	l.running.Go(func() { l.repeat("visit", l.visit) })
	l.running.Go(func() { l.repeat("consume", l.consume) })
	return l
}

// top is the rate of the load as it is.
func (l *soakLoad) top(t testing.TB) float64 {
	t.Helper()
	pause(t, soakTop/2)
	before, begin := l.done.Load(), time.Now()
	pause(t, soakTop/2)
	return float64(l.done.Load()-before) / time.Since(begin).Seconds()
}

// pace keeps the users to a rate from now on.
func (l *soakLoad) pace(rate float64) { l.rate.Store(uint64(max(rate, 1))) }

// end stops the users and waits until they have gone. What no user may be
// answered fails the test.
func (l *soakLoad) end(t testing.TB) {
	t.Helper()
	l.stop()
	l.running.Wait()
	nc := connect(t, l.url)
	defer nc.Close()
	must(t, nc, "$JS.API.CONSUMER.DELETE.SETT_CHANGES."+soakConsumer, "")
	if len(l.failures) > 0 {
		t.Errorf("%d failures: %v", len(l.failures), joined(l.failures))
	}
}

// count takes a result. A refusal is meant where the operation says so.
func (l *soakLoad) count(name string, err error, meant ...*codec.Error) {
	if l.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return
	}
	for _, m := range meant {
		if errors.Is(err, m) {
			name, err = name+", "+string(m.Code), nil
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts[name]++; err != nil {
		l.failures = append(l.failures, fmt.Errorf("%s: %w", name, err))
	}
}

// tally lists what was done, the most frequent first.
func (l *soakLoad) tally() string {
	names := slices.SortedFunc(maps.Keys(l.counts), func(a, b string) int { return l.counts[b] - l.counts[a] })
	var text strings.Builder
	for _, name := range names {
		fmt.Fprintf(&text, "%10d %s\n", l.counts[name], name)
	}
	fmt.Fprintf(&text, "%10d events told", l.events.Load())
	return text.String()
}

// use is one user: an operation, its reply, and the next one when it is due.
func (l *soakLoad) use(store *subjects.Client) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for due := time.Now(); l.ctx.Err() == nil; {
		l.operate(store)
		l.done.Add(1)
		rate := l.rate.Load()
		if rate == 0 {
			due = time.Now()
			continue
		}
		// Who fell behind by more than a second does not make up for it.
		due = due.Add(time.Second * soakUsers / time.Duration(rate))
		if behind := time.Now().Add(-time.Second); due.Before(behind) {
			due = behind
		}
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-l.ctx.Done():
		}
	}
}

// operate is one operation, drawn by how often users do it.
func (l *soakLoad) operate(store *subjects.Client) {
	ctx := context.Background()
	switch n := rand.IntN(100); {
	case n < 30:
		_, err := store.Get(ctx, soakKey())
		l.count("kv.get", err, codec.ErrNotFound)
	case n < 52:
		_, err := store.Set(ctx, soakKey(), soakValue())
		l.count("kv.set", err)
	case n < 60:
		_, err := store.Set(ctx, soakKey(), soakValue(), subjects.TTL(time.Duration(1+rand.IntN(30))*time.Second))
		l.count("kv.set with a TTL", err)
	case n < 64:
		_, err := store.Delete(ctx, soakKey())
		l.count("kv.delete", err)
	case n < 70:
		_, err := store.Increment(ctx, fmt.Sprintf("count/%d", rand.IntN(soakCounters)), 1)
		l.count("kv.increment", err)
	case n < 76:
		l.compareAndSet(ctx, store)
	case n < 79:
		l.list(ctx, store)
	case n < 82:
		l.batch(ctx, store)
	default:
		l.service(ctx, store, n)
	}
}

// compareAndSet writes what it has read, if nobody else did meanwhile.
func (l *soakLoad) compareAndSet(ctx context.Context, store *subjects.Client) {
	key, revision := soakKey(), uint64(0)
	switch entry, err := store.Get(ctx, key); {
	case err == nil:
		revision = entry.Revision
	case !errors.Is(err, codec.ErrNotFound):
		l.count("compare", err)
		return
	}
	_, err := store.Update(ctx, key, soakValue(), revision)
	l.count("compare and set", err, codec.ErrConflict)
}

// list reads two pages of a group.
func (l *soakLoad) list(ctx context.Context, store *subjects.Client) {
	pages := 0
	for _, err := range store.Pages(ctx, codec.List{Prefix: soakPrefix(), Limit: 100, ReturnValues: true}) {
		l.count("kv.list", err)
		if pages++; err != nil || pages == 2 {
			return
		}
	}
}

// batch writes ten keys of a group and deletes one, half the time on a
// condition that mostly fails.
func (l *soakLoad) batch(ctx context.Context, store *subjects.Client) {
	prefix, b := soakPrefix(), &codec.Batch{}
	for range 10 {
		b.Ops = append(b.Ops, &codec.Set{Key: fmt.Sprintf("%s%03d", prefix, rand.IntN(soakGroup)), Value: soakValue()})
	}
	b.Ops = append(b.Ops, &codec.Delete{Key: fmt.Sprintf("%s%03d", prefix, rand.IntN(soakGroup))})
	if rand.IntN(2) == 0 {
		b.If = []codec.Condition{{Key: soakKey(), Revision: codec.Revision(0)}}
	}
	_, err := store.Apply(ctx, b)
	l.count("batch.apply", err, codec.ErrConflict)
}

// service registers, renews, finds or ends an instance. Many are left to
// expire.
func (l *soakLoad) service(ctx context.Context, store *subjects.Client, n int) {
	name, id := fmt.Sprintf("soak-%d", rand.IntN(soakServices)), fmt.Sprintf("10.0.0.%d:80", rand.IntN(soakInstances))
	switch {
	case n < 92:
		_, err := store.Heartbeat(ctx, name, id)
		l.count("svc.heartbeat", err, codec.ErrNotFound)
	case n < 96:
		_, err := store.Instances(ctx, name)
		l.count("svc.get", err)
	case n < 99:
		_, err := store.Register(ctx, codec.Register{Name: name, ID: id, Tags: []string{"soak"}, TTLMs: 1000 + rand.Int64N(10_000)})
		l.count("svc.register", err)
	default:
		_, err := store.Deregister(ctx, name, id)
		l.count("svc.deregister", err)
	}
}

// repeat goes on with something that connects and leaves, until the end.
func (l *soakLoad) repeat(name string, visit func(*subjects.Client) error) {
	for l.ctx.Err() == nil {
		nc, err := nats.Connect(l.url, nats.Timeout(patience), nats.NoReconnect())
		if err == nil {
			var store *subjects.Client
			if store, err = subjects.NewClient(nc, subjects.Options{Timeout: patience}); err == nil {
				err = visit(store)
			}
			nc.Close()
		}
		l.count(name, err)
		if err != nil {
			return
		}
	}
}

// visit asks for a key and a second one a moment later.
func (l *soakLoad) visit(store *subjects.Client) error {
	for range 2 {
		if _, err := store.Get(l.ctx, soakKey()); err != nil && !errors.Is(err, codec.ErrNotFound) {
			return err
		}
		l.rest(50 * time.Millisecond)
	}
	return nil
}

// follow follows a group, or a service, for some seconds.
func (l *soakLoad) follow(store *subjects.Client) error {
	ctx, cancel := context.WithTimeout(l.ctx, time.Duration(1+rand.IntN(10))*time.Second)
	defer cancel()
	updates := store.Follow(ctx, soakPrefix())
	if rand.IntN(4) == 0 {
		updates = store.FollowService(ctx, fmt.Sprintf("soak-%d", rand.IntN(soakServices)))
	}
	for _, err := range updates {
		if l.events.Add(1); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// consume reads the changes of one group through a durable consumer, and leaves it
// for a second each minute. All changes are more than one consumer takes.
func (l *soakLoad) consume(store *subjects.Client) error {
	ctx, cancel := context.WithTimeout(l.ctx, time.Minute)
	defer cancel()
	last := uint64(0)
	options := subjects.ChangesOptions{Consumer: soakConsumer, Filter: subjects.KVChanged.Under("", "soak/00/")}
	err := store.Consume(ctx, options, func(c *codec.Change) error {
		if c.Revision <= last {
			return fmt.Errorf("revision %d came behind %d", c.Revision, last)
		}
		last = c.Revision
		l.events.Add(1)
		return nil
	})
	if ctx.Err() == nil {
		return err
	}
	l.rest(time.Second)
	return nil
}

// rest waits, but not beyond the end.
func (l *soakLoad) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.ctx.Done():
	}
}

// soakSetAll writes keys in one batch.
func soakSetAll(ctx context.Context, store *subjects.Client, keys []string) error {
	b := &codec.Batch{}
	for _, key := range keys {
		b.Ops = append(b.Ops, &codec.Set{Key: key, Value: soakValue()})
	}
	_, err := store.Apply(ctx, b)
	return err
}
