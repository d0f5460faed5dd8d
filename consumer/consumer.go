// Package consumer serves a store over NATS: messages in, engine calls,
// replies and change events out. DESIGN.md says how and why.
package consumer

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// Run serves the store on the broker until ctx ends or something makes it
// stop: a store that failed, another one on the same subjects, a stream that
// captures them, a closed connection, a feed that cannot be read. It returns nil after a clean
// stop that ctx asked for.
//
// However it stops, requests that arrived are answered first: the caller then
// closes the engine, the connections and the broker, in this order.
func Run(ctx context.Context, o Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	c := newConsumer(o)
	defer c.conn.RemoveStatusListener(c.linked)
	g := newGroup(ctx)
	defer g.cancel()
	if err := c.open(g.ctx); err != nil {
		c.unsubscribe()
		if c.relay != nil {
			c.relay.out.close()
		}
		if ctx.Err() != nil {
			return nil // it was not to begin after all
		}
		return fmt.Errorf("consumer: %w", err)
	}
	c.serve(g)
	if o.Ready != nil {
		o.Ready()
	}
	<-g.ctx.Done()
	if err := c.close(); g.err == nil && err != nil {
		return fmt.Errorf("consumer: %w", err)
	}
	return g.err
}

// consumer is one run of [Run].
type consumer struct {
	conn   *nats.Conn
	store  Store
	prefix subjects.Prefix
	o      Options
	stats  *Stats
	log    *slog.Logger
	now    func() time.Time

	linked   chan nats.Status // changes of conn
	subs     []*nats.Subscription
	commands chan *nats.Msg
	reads    chan *nats.Msg
	bound    bound
	handlers handlers
	calls    sync.Pool // of *call
	flight   *flight
	maxReply atomic.Int64 // bytes of a reply's payload
	rejected limiter      // of events on store.rejected
	logged   limiter      // of errors in the log
	relay    *relay
	alone    alone
	micro    *micro
	backups  *backups
	warned   map[string]bool // the streams that the log has told of
	began    time.Time

	// What runs, for close to wait for.
	intakeDone, watchDone, relayDone <-chan struct{}
	readersDone                      []<-chan struct{}
	helpersDone                      []<-chan struct{}
	backupsDone                      []<-chan struct{}
}

// channelRoom is how many times the bound the channels from the connection
// take. nats.go drops what finds one full, and nobody is told. So they take, by
// default, more messages than a broker keeps for a connection that stalls (64
// MiB) before it ends it; what is beyond the bound is refused as soon as it is
// looked at.
const channelRoom = 16

func newConsumer(o Options) *consumer {
	c := &consumer{
		conn: o.Conn, store: o.Store, prefix: o.Prefix, o: o,
		stats: o.stats(), log: o.log(), now: o.now(),
		flight: newFlight(), warned: make(map[string]bool),
		rejected: limiter{most: 100}, logged: limiter{most: 10},
	}
	c.began = c.now()
	c.linked = c.conn.StatusChanged(nats.CONNECTED, nats.CLOSED)
	c.bound = bound{conn: c.conn, most: o.maxPending(), mostBytes: int64(o.maxPendingBytes())}
	c.commands = make(chan *nats.Msg, channelRoom*c.bound.most)
	c.reads = make(chan *nats.Msg, channelRoom*c.bound.most)
	c.calls.New = c.newCall
	c.allHandlers()
	c.alone = newAlone(c)
	c.micro = newMicro(c)
	c.backups = newBackups(c)
	return c
}

// open makes sure that the store may serve here, and subscribes.
func (c *consumer) open(ctx context.Context) error {
	if err := c.handlers.complete(); err != nil {
		return err
	}
	if err := c.checkPayload(); err != nil {
		return err
	}
	if err := c.alone.ask(ctx); err != nil {
		return err
	}
	if err := c.checkStreams(ctx); err != nil {
		return err
	}
	if err := c.beginFeed(ctx); err != nil {
		return err
	}
	if err := c.alone.subscribe(); err != nil {
		return err
	}
	if err := c.subscribe(); err != nil {
		return err
	}
	// Whoever came at the same time has subscribed by now, or sees this.
	c.alone.say()
	c.micro.subscribe()
	return nil
}

// subscribe subscribes every endpoint, alone and with something appended: the
// commands into one channel, so that they come in the order in which a
// connection sent them, and the reads into another.
func (c *consumer) subscribe() error {
	before := c.conn.LastError()
	for _, info := range subjects.All() {
		into := c.reads
		if info.Write {
			into = c.commands
		}
		for _, subject := range []string{info.Subject, info.Subject + ".>"} {
			sub, err := c.conn.ChanQueueSubscribe(c.prefix.Wrap(subject), c.o.StoreID, into)
			if err != nil {
				return fmt.Errorf("subscribe %s: %w", subject, err)
			}
			c.subs = append(c.subs, sub)
		}
	}
	if err := flush(c.conn, confirmWithin); err != nil {
		return fmt.Errorf("the broker does not confirm the subscriptions: %w", err)
	}
	// A subscription that the broker refuses is only an error of the
	// connection; it has arrived by now.
	return c.denied(before)
}

func (c *consumer) serve(g *group) {
	c.intakeDone = g.Go("intake", c.intake)
	for i := range c.o.readers() {
		c.readersDone = append(c.readersDone, g.Go(fmt.Sprintf("reader %d", i), c.reader))
	}
	for i := range mostBackups {
		c.backupsDone = append(c.backupsDone, g.Go(fmt.Sprintf("backup %d", i), func() error { return c.backups.work(g.ctx) }))
	}
	c.relayDone = g.Go("relay", c.relay.run)
	c.watchDone = g.Go("watch", func() error { return c.watch(g.ctx) })
	c.helpersDone = append(c.helpersDone, g.Go("micro", func() error { return c.micro.run(g.ctx) }))
	if c.o.Discover {
		c.helpersDone = append(c.helpersDone, g.Go("discovery", func() error { return newDiscovery(c).run(g.ctx) }))
	}
	c.stats.serving.Store(c)
}

// close stops in the order in which messages flow: no new ones, those that
// arrived, those that the engine has, the events of what they changed. What it
// cannot do within its time is an error.
func (c *consumer) close() error {
	timeout := time.NewTimer(c.o.stopTimeout())
	defer timeout.Stop()
	c.stats.serving.Store(nil)
	for _, done := range c.helpersDone {
		<-done
	}
	c.unsubscribe()
	for _, done := range append(c.readersDone, c.intakeDone, c.watchDone) {
		<-done // they work off what is in memory
	}
	close(c.backups.jobs)
	for _, done := range c.backupsDone {
		<-done
	}
	var err error
	select {
	case <-c.flight.land():
	case <-timeout.C:
		waiting := c.flight.submitted - c.flight.finished.Load()
		err = fmt.Errorf("%d commands were not answered within %v: the engine does not finish them", waiting, c.o.stopTimeout())
		timeout.Reset(0)
	}
	close(c.relay.stop)
	select {
	case <-c.relayDone:
	case <-timeout.C:
		c.relay.abandon()
		<-c.relayDone
	}
	if ferr := flush(c.conn, c.o.stopTimeout()); ferr != nil {
		c.log.Warn("the broker did not confirm the last replies", "error", ferr)
	}
	return err
}

// unsubscribe ends the subscriptions without losing what is on the way: the
// broker stops sending, what it sent before it confirmed that is in the
// channels, and only then are the channels closed.
func (c *consumer) unsubscribe() {
	for _, sub := range append(c.subs, c.alone.sub) {
		if sub != nil {
			_ = sub.Drain() // fails where the connection is closed
		}
	}
	if err := flush(c.conn, c.o.stopTimeout()); err != nil {
		c.log.Warn("the broker did not confirm the end of the subscriptions", "error", err)
	}
	c.countLost()
	for _, sub := range append(c.subs, c.alone.sub) {
		if sub != nil {
			_ = sub.Unsubscribe() // nothing is delivered after this
		}
	}
	close(c.commands)
	close(c.reads)
}

// flush waits until the broker has seen everything that was published before.
func flush(conn *nats.Conn, timeout time.Duration) error {
	if !conn.IsConnected() {
		return nats.ErrDisconnected
	}
	return conn.FlushTimeout(timeout)
}

// checkPayload refuses a broker whose messages are too small for the contract,
// and notes how large they may be.
func (c *consumer) checkPayload() error {
	most := c.conn.MaxPayload()
	if most < codec.MinPayload {
		return fmt.Errorf("the broker's max_payload is %d bytes, but sett needs %d: raise max_payload in its configuration",
			most, codec.MinPayload)
	}
	c.maxReply.Store(most - replyMargin)
	return nil
}

// replyMargin is kept free in a reply, for whatever stands beside its payload.
const replyMargin = 1024
