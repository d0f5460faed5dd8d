package subjects

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/settkv/sett/codec"
)

// reader reads the durable feed: each message of a filter once and in order,
// over lost connections, restarts of the broker and consumers that are gone. It
// keeps its own position, and makes its consumer anew from there whenever
// something may have been lost on the way.
//
// # Trimmed history
//
// A consumer that begins below what the stream still has is moved up without a
// word. So whenever one is made the server says where it begins, whatever the
// filter: that shows what was trimmed. Messages that are trimmed while a
// consumer exists are seen, following everything, by the sequence that is
// missing; with a filter they can only be such as were never pulled, so a pull
// that comes late makes the consumer anew and looks.
type reader struct {
	feedConsumer
	epoch    uint64 // of the follower; 0: any
	last     uint64 // the sequence that was told last: the next one is above it
	untilNow bool   // end with errNoMore where nothing is there yet
	anywhere bool   // where history begins later than asked, begin there
	anew     bool   // a durable consumer is to begin behind last, not where it was

	sub    *nats.Subscription // nil: not open
	msgs   chan *nats.Msg
	store  *subscription // store.changed, where the filter leaves it out
	status chan nats.Status
	check  *time.Ticker

	inbox  string // of all pulls
	pulls  int
	batch  int
	left   int           // what the present pull may still bring
	alive  time.Time     // when it was surely under way
	number uint64        // of the consumer's last delivery
	made   bool          // the consumer is there, and its own
	opened bool          // it was open once
	wait   time.Duration // before it is opened again
}

// errNoMore is the way out of a reader that is not to wait.
var errNoMore = errors.New("subjects: there is nothing more")

// latePull is after what time without a pull a follower looks whether messages
// were trimmed meanwhile. A stream that keeps less than this is of no use.
var latePull = time.Second // a test shortens it

func (c *Client) reader(filter, consumer string) (*reader, error) {
	if err := checkConsumer(consumer); err != nil {
		return nil, err
	}
	r := &reader{
		feedConsumer: feedConsumer{c: c, stream: c.prefix.Stream(), name: consumer, filter: filter, fixed: consumer != "", nonce: nuid.Next()},
		batch:        min(c.buffer, 1024),
	}
	if !r.fixed {
		r.name = "sett_" + r.nonce
	}
	r.status = c.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	r.check = time.NewTicker(c.check)
	return r, nil
}

// checkConsumer checks the name of a consumer: one token of a subject.
func checkConsumer(name string) error {
	for i := range len(name) {
		if !codec.IsTokenByte(name[i]) {
			return codec.Invalidf("consumer", "%q must be one token of A-Z a-z 0-9 - _ : = @ + ~", name)
		}
	}
	return nil
}

// end lets go of everything. A consumer that remembers nothing is deleted.
func (r *reader) end() {
	r.check.Stop()
	r.c.nc.RemoveStatusListener(r.status)
	r.close()
	// The follower's own ctx may have ended; and the server would do it later.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	switch {
	case !r.c.nc.IsConnected():
	case r.keeps:
		for len(r.msgs) > 0 {
			r.giveBack(<-r.msgs)
		}
		_ = r.flush(ctx)
	case r.made:
		_ = r.remove(ctx)
	}
}

// next waits for the next message above last, and does not move last.
func (r *reader) next(ctx context.Context) (d delivery, err error) {
	for {
		if r.sub != nil && r.left == 0 && !r.keeps && time.Since(r.alive) > latePull {
			r.close() // and make it anew: that tells whether something was trimmed
		}
		if r.sub == nil {
			if err := r.reopen(ctx); err != nil {
				return d, err
			}
		}
		if r.left == 0 {
			if err := r.more(); err != nil {
				return d, err
			}
		}
		m, err := r.receive(ctx)
		if err != nil {
			return d, err
		}
		if m == nil {
			r.close()
			continue
		}
		if d, ok, err := r.take(m); ok || err != nil {
			return d, err
		}
	}
}

// more pulls.
func (r *reader) more() error {
	r.pulls++
	r.left, r.alive = r.batch, time.Now()
	return r.pull(fmt.Sprintf("%s.%d", r.inbox, r.pulls), r.batch, r.untilNow)
}

// receive waits for what comes next. nil says that the consumer is to be made
// anew. What concerns the epoch it sees to itself.
func (r *reader) receive(ctx context.Context) (*nats.Msg, error) {
	select {
	case m := <-r.msgs:
		return m, nil
	default:
	}
	quiet := time.NewTimer(silence)
	defer quiet.Stop()
	for {
		select {
		case m := <-r.msgs:
			r.alive = time.Now()
			return m, nil
		case s := <-r.status:
			if s == nats.CLOSED {
				return nil, codec.Errorf(codec.Unavailable, "%s: the connection was closed", r.stream)
			}
			return nil, nil
		case m := <-r.storeEvents():
			if err := r.storeChanged(m); err != nil {
				return nil, err
			}
		case <-r.check.C:
			if err := r.compare(ctx); err != nil {
				return nil, err
			}
		case <-quiet.C:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take looks at what came: ok says that it is the next message.
func (r *reader) take(m *nats.Msg) (d delivery, ok bool, err error) {
	code, text := status(m)
	switch {
	case code == 0:
	case code == 100:
		return d, false, nil
	case code == 404 && r.untilNow:
		return d, false, errNoMore
	case code == 404, code == 408, code == 409 && text == "Batch Completed":
		if m.Subject == fmt.Sprintf("%s.%d", r.inbox, r.pulls) {
			r.left = 0
		}
		return d, false, nil
	case code == 409, code == 503: // deleted, another leader, shut down, ...
		r.wait = min(max(2*r.wait, minPause), maxPause)
		r.close()
		return d, false, nil
	default:
		return d, false, codec.Errorf(codec.Internal, "the stream %s: JetStream says: %s (%d)", r.stream, text, code)
	}
	if d, ok = delivered(m, r.stream); !ok {
		return d, false, nil
	}
	r.left--
	if !r.keeps && d.number != r.number+1 {
		r.close() // one was lost on the way
		return d, false, nil
	}
	r.number, r.wait = d.number, 0
	if d.sequence <= r.last {
		return d, false, r.ack(d) // it came again
	}
	return d, true, nil
}

// ack tells a consumer that remembers it that a message was dealt with. What is
// not acknowledged comes again.
func (r *reader) ack(d delivery) error {
	if !r.keeps {
		return nil
	}
	if err := r.c.nc.Publish(d.Reply, []byte("+ACK")); err != nil {
		return KVList.transportError(d.Reply, err)
	}
	return nil
}

// giveBack makes a message come again at once, and not when the time for its
// acknowledgement is over.
func (r *reader) giveBack(m *nats.Msg) {
	if _, ok := delivered(m, r.stream); ok {
		_ = r.c.nc.Publish(m.Reply, []byte("-NAK")) // or else later
	}
}

// flush waits until the broker has what was published: also where ctx ended.
func (r *reader) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.c.timeout)
	defer cancel()
	return r.c.nc.FlushWithContext(ctx)
}
