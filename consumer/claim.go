package consumer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
)

// claim is what a store says to others on the same subjects. The one that
// began later leaves.
type claim struct {
	StoreID   string `wire:"store_id"`
	Instance  string `wire:"instance"` // random: this run of the store
	StartedMs int64  `wire:"started_ms"`
	Host      string `wire:"host,omitempty"`
}

func (a *claim) youngerThan(b *claim) bool {
	if a.StartedMs != b.StartedMs {
		return a.StartedMs > b.StartedMs
	}
	return a.Instance > b.Instance
}

// alone sees to it that one store serves the subjects. Every store says its
// claim on one private subject; whoever hears an older one leaves, and whoever
// hears a younger one says its own again, so that the other hears it.
type alone struct {
	c       *consumer
	subject string
	mine    claim
	payload []byte
	sub     *nats.Subscription
	heard   chan *nats.Msg
}

const (
	askTimeout  = 500 * time.Millisecond
	askInterval = 100 * time.Millisecond
	askMost     = 50
)

func newAlone(c *consumer) alone {
	a := alone{c: c, subject: c.prefix.Private("claim"), heard: make(chan *nats.Msg, 64)}
	a.mine = claim{StoreID: c.o.StoreID, Instance: rand.Text(), StartedMs: c.began.UnixMilli()}
	a.mine.Host, _ = os.Hostname() // only for people
	a.payload = codec.Append(nil, codec.JSON, &a.mine)
	return a
}

// ask returns once nobody else serves the subjects: at once where nobody
// listens on the private subject.
func (a *alone) ask(ctx context.Context) error {
	for range askMost {
		other, err := a.request(ctx)
		if err != nil || other == nil {
			return err
		}
		if a.mine.youngerThan(other) {
			return a.leave(other)
		}
		select { // the other one is leaving
		case <-time.After(askInterval):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("another store serves the subjects of store %s and does not leave: stop it", a.mine.StoreID)
}

// request returns the claim of another store, or nil where none answers.
func (a *alone) request(ctx context.Context) (*claim, error) {
	timeout, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	before := a.c.conn.LastError()
	m, err := a.c.conn.RequestWithContext(timeout, a.subject, a.payload)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded) && a.c.denied(before) != nil:
		return nil, a.c.denied(before)
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, context.DeadlineExceeded):
		return nil, nil // who listens without answering is no store
	case err != nil:
		return nil, fmt.Errorf("ask whether another store serves here: %w", err)
	}
	return a.read(m), nil
}

// denied is an error where the broker has denied something since before.
func (c *consumer) denied(before error) error {
	err := c.conn.LastError()
	if err == before || !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	return fmt.Errorf("the NATS server does not let this user run a store (%w): give the user what `sett permissions --store` prints; "+
		"if the server is the one inside another sett serve, use that store, or give this one a user in its --nats-config", err)
}

// read returns what a message claims, or nil where it is no claim or our own.
func (a *alone) read(m *nats.Msg) *claim {
	other := new(claim)
	if codec.Decode(m.Data, other) != nil || other.Instance == "" || other.Instance == a.mine.Instance {
		return nil
	}
	return other
}

func (a *alone) subscribe() (err error) {
	a.sub, err = a.c.conn.ChanSubscribe(a.subject, a.heard)
	return err
}

// say tells the claim to every other store.
func (a *alone) say() { a.publish(a.subject) }

// publish is said again in a few seconds, so that an error is nothing to act
// on.
func (a *alone) publish(subject string) {
	if err := a.c.conn.Publish(subject, a.payload); err != nil {
		a.c.log.Debug("the claim was not sent", "error", err)
	}
}

// judge answers another store's claim, and returns an error if it is ours that
// must give way.
func (a *alone) judge(m *nats.Msg) error {
	other := a.read(m)
	if other == nil {
		return nil
	}
	if reply := a.c.replySubject(m.Reply); reply != "" {
		a.publish(reply)
	}
	if a.mine.youngerThan(other) {
		return a.leave(other)
	}
	if m.Reply == "" {
		a.say()
	}
	return nil
}

func (a *alone) leave(other *claim) error {
	since := time.UnixMilli(other.StartedMs).UTC().Format(time.RFC3339)
	return fmt.Errorf("these subjects are already served: by store %s on host %q since %s, so store %s, which began later, leaves; "+
		"stop one of the two, or give one another --subject-prefix or NATS account",
		other.StoreID, other.Host, since, a.mine.StoreID)
}

// watch looks after what may go wrong around the consumer until ctx ends.
func (c *consumer) watch(ctx context.Context) error {
	tick := c.o.Tick
	if tick == nil {
		ticker := time.NewTicker(tickInterval)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-c.store.Failed():
			return c.store.Err()
		case m := <-c.alone.heard:
			err = c.alone.judge(m)
		case <-tick:
			err = c.look(ctx)
		case s := <-c.linked:
			if s == nats.CLOSED {
				return errors.New("the connection was closed")
			}
			if err = c.checkPayload(); err == nil {
				err = c.look(ctx)
			}
		}
		if err != nil {
			return err
		}
	}
}

// look does what is to be done every few seconds.
func (c *consumer) look(ctx context.Context) error {
	c.countLost()
	c.bound.settle(len(c.commands) == 0 && len(c.reads) == 0)
	if !c.conn.IsConnected() {
		return nil
	}
	c.alone.say()
	return c.checkStreams(ctx)
}

// countLost counts what nats.go dropped. It happens only if a whole channel
// fills up while the store cannot take one message off it.
func (c *consumer) countLost() {
	total := 0
	for _, sub := range c.subs {
		if n, err := sub.Dropped(); err == nil {
			total += n
		}
	}
	if before := c.stats.Lost.Swap(uint64(total)); uint64(total) > before {
		c.log.Error("requests were lost, because they came faster than the store could refuse them", "count", uint64(total)-before)
	}
}
