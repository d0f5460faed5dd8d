package subjects

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
)

// follower is one run of a Follow: load, live, load again, ... It belongs to
// the goroutine of the loop that it yields to.
type follower struct {
	c *Client
	source
	yield func(Update, error) bool

	*subscription
	status chan nats.Status // of the connection: it was opened again, or closed

	epoch   uint64          // of everything that is held
	start   uint64          // the load has every change up to here
	last    uint64          // revision of the last event, or start
	checked uint64          // the store's revision at the last check
	held    map[string]held // what was told and stands
	load    int             // number of the present load
	loaded  bool            // a load was completed
}

// held is what the consumer has of a key or an instance.
type held struct {
	revision uint64
	load     int             // the last load that found it there
	instance *codec.Instance // nil for a key
}

// lost is the way out of live: changes may have been missed, so load again.
type lost struct{ reason string }

// Error returns the reason.
func (l *lost) Error() string { return "subjects: changes may be missing: " + l.reason }

// listAfter is the number of checks after which a follower of a prefix lists
// again: 10 minutes.
const listAfter = 20

// Loads that follow one another pause longer and longer, until one has stood
// for keepPace.
const (
	keepPace = 10 * time.Second
	minPause = 20 * time.Millisecond
	maxPause = 5 * time.Second
)

// errLeft is the way out when the consumer has left its loop.
var errLeft = errors.New("subjects: the loop was left")

// run loads and follows until something ends it, which is the last thing it
// yields.
func (f *follower) run(ctx context.Context) {
	f.status = f.c.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer f.c.nc.RemoveStatusListener(f.status)
	var wait time.Duration
	for {
		began := time.Now()
		err := f.once(ctx)
		if time.Since(began) > keepPace {
			wait = 0
		}
		reason, again := f.loadsAgain(err)
		switch {
		case err == errLeft:
			return
		case ctx.Err() != nil:
			f.yield(Update{}, ctx.Err())
			return
		case !again:
			f.yield(Update{}, err)
			return
		case reason != "" && !f.tell(Reset, codec.Change{Op: codec.OpChanged, Reason: reason, Revision: f.last, Epoch: f.epoch}):
			return
		}
		if err := pause(ctx, wait); err != nil {
			f.yield(Update{}, err)
			return
		}
		wait = min(max(2*wait, minPause), maxPause)
	}
}

// loadsAgain says whether an error is one to load again after. A store that
// cannot be reached is worth waiting for once it was there.
func (f *follower) loadsAgain(err error) (reason string, again bool) {
	if l, ok := errors.AsType[*lost](err); ok {
		return l.reason, true
	}
	return "", f.loaded && worthRetrying(err) && !f.c.nc.IsClosed()
}

// once loads, and follows as long as nothing is missed.
func (f *follower) once(ctx context.Context) error {
	for len(f.status) > 0 {
		<-f.status // what came before the subscription does not concern it
	}
	var err error
	if f.subscription, err = f.c.subscribe(ctx, f.filters); err != nil {
		return err
	}
	defer f.subscription.close()
	if err := f.list(ctx); err != nil {
		return err
	}
	f.loaded = true
	if !f.tell(Loaded, codec.Change{Revision: f.start, Epoch: f.epoch}) {
		return errLeft
	}
	return f.live(ctx)
}

// list tells what differs between what is held and what the store has.
func (f *follower) list(ctx context.Context) error {
	f.load++
	first := true
	for p, err := range f.pages(ctx, codec.DefaultPage) {
		if err != nil {
			if !first && errors.Is(err, codec.ErrInvalid) {
				return &lost{ReasonEpoch} // the cursor is of another one
			}
			return err
		}
		if first {
			f.begin(p.Position)
			first = false
		}
		if p.Epoch != f.epoch {
			return &lost{ReasonEpoch}
		}
		for i := range p.records {
			if err := f.put(&p.records[i]); err != nil {
				return err
			}
		}
		if err := f.drain(ctx); err != nil {
			return err
		}
	}
	return f.sweep()
}

// begin starts a load at the position of its first page.
func (f *follower) begin(at codec.Position) {
	if at.Epoch != f.epoch {
		for name, h := range f.held {
			h.revision = 0 // revisions of two epochs do not compare
			f.held[name] = h
		}
	}
	f.epoch, f.start, f.last, f.checked = at.Epoch, at.StoreRevision, at.StoreRevision, 0
}

// drain takes the events that are there, so that a long list does not overflow
// the buffer. They may be told between pages: what a page shows later is newer.
func (f *follower) drain(ctx context.Context) error {
	for {
		select {
		case m := <-f.events:
			if err := f.event(m); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		default:
			return nil
		}
	}
}

// sweep tells what the load has not found.
func (f *follower) sweep() error {
	for name, h := range f.held {
		if h.load == f.load || h.revision > f.start {
			continue
		}
		gone := codec.Change{Op: codec.OpDelete, Revision: f.start, Epoch: f.epoch, Key: name}
		if h.instance != nil {
			gone.Op, gone.Key = codec.OpDeregister, ""
			gone.Name, gone.ID, gone.Instance = h.instance.Name, name, h.instance
		}
		delete(f.held, name)
		if !f.tell(Delete, gone) {
			return errLeft
		}
	}
	return nil
}

// live tells changes as they come. It returns where something may be missing.
// Following everything, a missing event shows; otherwise only another list can
// tell, so that one is made now and then.
func (f *follower) live(ctx context.Context) error {
	check := time.NewTicker(f.c.check)
	defer check.Stop()
	for checks := 1; ; {
		select {
		case m := <-f.events:
			if err := f.event(m); err != nil {
				return err
			}
		case s := <-f.status:
			return f.reconnected(s)
		case <-check.C:
			if err := f.compare(ctx); err != nil {
				return err
			}
			if checks++; f.dense || checks%listAfter != 0 {
				continue
			}
			if err := f.list(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *follower) reconnected(s nats.Status) error {
	if s == nats.CLOSED {
		return codec.Errorf(codec.Unavailable, "%s: the connection was closed", f.filters[0])
	}
	return &lost{ReasonReconnected}
}

// event takes one event. A gap is found before anything behind it is told.
func (f *follower) event(m *nats.Msg) error {
	select {
	case s := <-f.status:
		return f.reconnected(s)
	default:
	}
	if f.overflowed() {
		return &lost{ReasonSlow}
	}
	var ch codec.Change
	if err := codec.Decode(m.Data, &ch); err != nil || !f.announces(m.Subject, &ch) {
		return nil // none that the store has published
	}
	switch {
	case ch.Epoch > f.epoch && ch.Reason != "":
		return &lost{ch.Reason}
	case ch.Epoch > f.epoch:
		return &lost{ReasonEpoch}
	case ch.Epoch < f.epoch, ch.Revision <= f.last:
		return nil // the load has it, or it came twice
	case f.dense && ch.Revision != f.last+1:
		return &lost{codec.ReasonGap}
	}
	f.last = ch.Revision
	if !f.covers(&ch) {
		return nil
	}
	if ch.Op == codec.OpSet || ch.Op == codec.OpRegister {
		return f.put(&ch)
	}
	return f.remove(&ch)
}

// announces says whether the store would publish a change on this subject.
func (f *follower) announces(subject string, ch *codec.Change) bool {
	e := codec.Event{Kind: codec.KeyEvent, Name: ch.Key}
	switch {
	case ch.Op == codec.OpChanged:
		e = codec.Event{Kind: codec.StoreEvent, Name: ch.Reason}
	case ch.Name != "":
		e = codec.Event{Kind: codec.ServiceEvent, Name: ch.Name, ID: ch.ID}
	}
	var stack [subjectBuf]byte
	return string(AppendAnnounced(stack[:0], f.c.prefix, &e)) == subject
}

// put tells what is there, where it is newer than what is held.
func (f *follower) put(ch *codec.Change) error {
	name := f.name(ch)
	have := f.held[name]
	if ch.Revision <= have.revision {
		have.load = f.load
		f.held[name] = have
		return nil
	}
	f.held[name] = held{ch.Revision, f.load, ch.Instance}
	if !f.tell(Put, *ch) {
		return errLeft
	}
	return nil
}

// remove tells that something is gone, where it was there and not newer.
func (f *follower) remove(ch *codec.Change) error {
	name := f.name(ch)
	have, ok := f.held[name]
	if !ok || ch.Revision <= have.revision {
		return nil
	}
	delete(f.held, name)
	if !f.tell(Delete, *ch) {
		return errLeft
	}
	return nil
}

func (f *follower) tell(kind Kind, ch codec.Change) bool {
	return f.yield(Update{kind, ch}, nil)
}

// compare looks whether the store is still where the events say: the feed is
// live, and its last event may have been missed as well as any other.
func (f *follower) compare(ctx context.Context) error {
	for p, err := range f.pages(ctx, 1) {
		switch {
		case worthRetrying(err) && ctx.Err() == nil:
			return nil // the store is away; the next check will see
		case err != nil:
			return err
		case p.Epoch > f.epoch:
			return &lost{ReasonEpoch}
		case f.dense && f.last < f.checked:
			return &lost{codec.ReasonGap} // not announced since the check before
		}
		f.checked = p.StoreRevision
		break
	}
	return nil
}
