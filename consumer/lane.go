package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// ackWithin is how long the stream may say nothing of what it was asked for.
	// It is short, since a leader change leaves questions without an answer.
	ackWithin = 2 * time.Second
	// askEvery is how many messages it takes for one acknowledgement at the most.
	askEvery = 256
	// window is how many messages it may still have to acknowledge. Servers up to
	// 2.11 drop what a stream has not taken in yet beyond 10,000.
	window = 4096
)

// lane brings messages into the stream, each at the sequence that follows the
// one before, or not at all. After an error it is good for nothing more.
//
// Each message is fenced: the stream refuses it at any other sequence. So the
// acknowledgement of one stands for all before it, and few ask for one. The
// first does: messages that were under way from elsewhere are refused or known
// by then, and the stream takes in from nobody else what comes after it (see
// [durableFeed.claim]).
type lane struct {
	conn  *nats.Conn
	inbox *nats.Subscription
	msg   *nats.Msg // published again and again: making each anew took a twelfth of what a kv.set allocates
	fence []string  // of msg

	first bool   // nothing was published yet
	last  uint64 // the sequence of what was published last,
	asked uint64 // and of what was asked for

	acked    atomic.Uint64
	refusal  atomic.Pointer[error] // the first
	answered chan struct{}
}

// newLane returns a lane that goes on behind a sequence.
func newLane(conn *nats.Conn, after uint64) (*lane, error) {
	l := &lane{conn: conn, fence: make([]string, 1), first: true, last: after, asked: after, answered: make(chan struct{}, 1)}
	l.msg = &nats.Msg{Header: nats.Header{jetstream.ExpectedLastSeqHeader: l.fence}}
	l.acked.Store(after)
	var err error
	l.inbox, err = conn.Subscribe(conn.NewInbox(), l.answer)
	return l, err
}

// publish sends the next message, and asks for its acknowledgement where that
// is due or wanted. No error says nothing.
func (l *lane) publish(ctx context.Context, subject string, payload []byte, ask bool) error {
	if err := l.await(ctx, l.last+1, window); err != nil {
		return err
	}
	l.msg.Subject, l.msg.Data, l.fence[0], l.msg.Reply = subject, payload, strconv.FormatUint(l.last, 10), ""
	l.last++
	if ask || l.first || l.last-l.asked >= askEvery {
		l.msg.Reply, l.asked, l.first = l.inbox.Subject, l.last, false
	}
	return l.conn.PublishMsg(l.msg)
}

// confirm waits until the stream has all of the messages, the last of which
// asked for it.
func (l *lane) confirm(ctx context.Context) error {
	if err := l.await(ctx, l.asked, 0); err != nil {
		return err
	}
	if acked := l.acked.Load(); acked != l.last {
		return fmt.Errorf("the stream has acknowledged sequence %d of %d", acked, l.last)
	}
	return nil
}

// await waits until no more than so many messages up to a sequence lack their
// acknowledgement.
func (l *lane) await(ctx context.Context, sequence, lacking uint64) error {
	for {
		if err := l.refusal.Load(); err != nil {
			return fmt.Errorf("the stream refuses a message: %w", *err)
		}
		if sequence <= l.acked.Load()+lacking {
			return nil
		}
		select {
		case <-l.answered:
		case <-time.After(ackWithin):
			return fmt.Errorf("the stream has acknowledged nothing for %v", ackWithin)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// answer takes in what the stream says to a message.
func (l *lane) answer(m *nats.Msg) {
	var ack struct {
		Sequence uint64              `json:"seq"`
		Error    *jetstream.APIError `json:"error"`
	}
	err := json.Unmarshal(m.Data, &ack)
	switch {
	case len(m.Data) == 0:
		err = nats.ErrNoResponders // all that the broker itself says
	case err == nil && ack.Error != nil:
		err = ack.Error
	case err == nil && ack.Sequence == 0:
		err = errors.New("an acknowledgement without a sequence")
	}
	if err != nil {
		l.refusal.CompareAndSwap(nil, &err)
	}
	l.acked.Store(max(l.acked.Load(), ack.Sequence))
	select {
	case l.answered <- struct{}{}:
	default:
	}
}

// end gives the lane up: nobody waits for what it was not told yet.
func (l *lane) end() { _ = l.inbox.Unsubscribe() }
