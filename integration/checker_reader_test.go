package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// reader follows the feed's stream as a program would that must see every
// change: it remembers the revision up to which it has everything, and goes on
// behind it after each failure.
type reader struct {
	t       testing.TB
	url     string
	ctx     context.Context
	running sync.WaitGroup
	seed    maphash.Seed
	cuts    int
	repeats int // both are read when it has ended

	mu    sync.Mutex
	nc    *nats.Conn // the present one
	seen  []uint64   // a hash of each revision's message: revision N at N-1
	wrong []error
	stop  context.CancelFunc
}

func startReader(t testing.TB, url string) *reader {
	r := &reader{t: t, url: url, seed: maphash.MakeSeed()}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.running.Go(func() {
		for r.ctx.Err() == nil {
			r.session()
			rest(r.ctx, 10*time.Millisecond)
		}
	})
	t.Cleanup(r.end)
	return r
}

// session reads on one connection until that is cut.
func (r *reader) session() {
	cut := make(chan struct{})
	nc, err := nats.Connect(r.url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), nats.ClosedHandler(func(*nats.Conn) { close(cut) }))
	if err != nil {
		return // the broker is away
	}
	defer nc.Close()
	r.mu.Lock()
	r.nc = nc
	next := uint64(len(r.seen) + 1)
	r.mu.Unlock()
	js, err := jetstream.New(nc)
	if err != nil {
		return
	}
	ordered, err := js.OrderedConsumer(r.ctx, feedStream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: next,
	})
	if err != nil {
		return
	}
	messages, err := ordered.Messages()
	if err != nil {
		return
	}
	defer messages.Stop()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-cut:
		case <-r.ctx.Done():
		case <-done:
		}
		messages.Stop()
	}()
	for {
		m, err := messages.Next()
		if err != nil {
			return
		}
		r.take(m.Data())
	}
}

// take takes one message: the next revision, or one that it has already.
func (r *reader) take(data []byte) {
	var e event
	err := json.Unmarshal(data, &e)
	sum := maphash.Bytes(r.seed, data)
	r.mu.Lock()
	defer r.mu.Unlock()
	has := int64(len(r.seen))
	switch {
	case err != nil:
		r.wrong = append(r.wrong, fmt.Errorf("%w in %s", err, clip(data)))
	case e.Revision == has+1:
		r.seen = append(r.seen, sum)
	case e.Revision > has+1:
		r.wrong = append(r.wrong, fmt.Errorf("revision %d follows %d", e.Revision, has))
	case r.seen[e.Revision-1] != sum:
		r.wrong = append(r.wrong, fmt.Errorf("revision %d comes again and differs: %s", e.Revision, clip(data)))
	default:
		r.repeats++
	}
}

// cut ends the present connection.
func (r *reader) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.nc != nil {
		r.nc.Close()
		r.cuts++
	}
}

// upTo waits until it has so many revisions, and ends it.
func (r *reader) upTo(n int) {
	r.t.Helper()
	eventually(r.t, patience, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.seen) < n {
			return fmt.Errorf("the reader has %d revisions of %d: %v", len(r.seen), n, joined(r.wrong))
		}
		return nil
	})
	r.end()
}

func (r *reader) end() {
	r.stop()
	r.cut()
	r.running.Wait()
}
