package consumer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// A lane brings messages into the stream, each at the sequence that follows the
// one before, or not at all. It is used once: what comes after close needs a
// new one.
type lane interface {
	// publish sends a message that must become the one of this sequence. No
	// error says nothing.
	publish(ctx context.Context, subject string, sequence uint64, payload []byte) error
	// close waits until the stream has all of them, and returns the sequence
	// of the last.
	close(ctx context.Context) (uint64, error)
}

const (
	ackWithin = 5 * time.Second // for what was published
	// fastAckWithin is less: a leader change leaves a fast batch without an
	// answer, and a new one is soon begun.
	fastAckWithin = time.Second
	// fastFlow is how many messages the server takes for one acknowledgement.
	fastFlow = 1000
	// window is how many messages wait for theirs, where each has one.
	window = 4096
)

// fence is what every message says in [jetstream.ExpectedLastSeqHeader]: the
// stream refuses it at any other sequence. That holds at a takeover too, as a
// fence on the first of a batch would not.
func fence(sequence uint64) string { return strconv.FormatUint(sequence-1, 10) }

// refused keeps the first refusal of a message, which comes when others are on
// their way.
type refused struct{ first atomic.Pointer[error] }

func (r *refused) note(err error) { r.first.CompareAndSwap(nil, &err) }

// refusal is what the server said of an earlier message, if it refused one.
func (r *refused) refusal() error {
	if err := r.first.Load(); err != nil {
		return fmt.Errorf("the stream refuses a message: %w", *err)
	}
	return nil
}

// fastLane is a fast-ingest batch: acknowledged as a whole. It publishes one
// message again and again with other contents: making each anew would be a
// twelfth of all that a kv.set allocates.
type fastLane struct {
	refused
	batch jetstreamext.FastPublisher
	msg   *nats.Msg
	fence []string // of msg
}

func newFastLane(js jetstream.JetStream) (*fastLane, error) {
	l := &fastLane{fence: make([]string, 1)}
	l.msg = &nats.Msg{Header: nats.Header{jetstream.ExpectedLastSeqHeader: l.fence}}
	var err error
	l.batch, err = jetstreamext.NewFastPublisher(js,
		jetstreamext.FastPublishFlowControl{Flow: fastFlow, MaxOutstandingAcks: 4, AckTimeout: fastAckWithin},
		jetstreamext.WithFastPublisherErrorHandler(l.note))
	return l, err
}

func (l *fastLane) publish(_ context.Context, subject string, sequence uint64, payload []byte) error {
	l.msg.Subject, l.msg.Data, l.fence[0] = subject, payload, fence(sequence)
	if _, err := l.batch.AddMsg(l.msg); err != nil {
		return err
	}
	return l.refusal()
}

func (l *fastLane) close(ctx context.Context) (uint64, error) {
	ack, err := l.batch.Close(ctx)
	if refused := l.refusal(); refused != nil {
		return 0, refused
	}
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// asyncLane publishes messages one by one, for servers without fast ingest.
type asyncLane struct {
	refused
	js   jetstream.JetStream
	last jetstream.PubAckFuture
}

func newAsyncLane(conn *nats.Conn) (*asyncLane, error) {
	l := &asyncLane{}
	var err error
	l.js, err = jetstream.New(conn,
		jetstream.WithPublishAsyncMaxPending(window), jetstream.WithPublishAsyncTimeout(ackWithin),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) { l.note(err) }))
	return l, err
}

func (l *asyncLane) publish(_ context.Context, subject string, sequence uint64, payload []byte) (err error) {
	if err := l.refusal(); err != nil {
		return err
	}
	msg := &nats.Msg{Subject: subject, Data: payload, Header: nats.Header{jetstream.ExpectedLastSeqHeader: {fence(sequence)}}}
	// No retries: what comes after would be refused by then.
	l.last, err = l.js.PublishMsgAsync(msg, jetstream.WithStallWait(ackWithin), jetstream.WithRetryAttempts(0))
	return err
}

// close waits for the last acknowledgement: they come in order, so what was
// refused is known by then.
func (l *asyncLane) close(ctx context.Context) (uint64, error) {
	defer l.js.CleanupPublisher()
	if l.last == nil {
		return 0, errors.New("nothing was published")
	}
	select {
	case ack := <-l.last.Ok():
		return ack.Sequence, l.refusal() // one that the stream had already lets the rest in
	case err := <-l.last.Err():
		return 0, err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
