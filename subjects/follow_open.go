package subjects

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
)

// reopen opens, and once it was open goes on trying.
func (r *reader) reopen(ctx context.Context) error {
	for {
		if r.wait > 0 {
			if err := r.pause(ctx); err != nil {
				return err
			}
		}
		err := r.open(ctx)
		if err == nil {
			r.opened = true
			return nil
		}
		r.close()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !r.opened || !worthRetrying(err) || r.c.nc.IsClosed():
			return err
		}
		r.wait = min(max(2*r.wait, minPause), maxPause)
	}
}

// pause waits before the next try, but not longer than until the connection is
// there again.
func (r *reader) pause(ctx context.Context) error {
	timer := time.NewTimer(r.wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.status:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// open makes the consumer, and begins to pull. Whether the epoch is still the
// same is asked when both listen: so no change of it is missed.
func (r *reader) open(ctx context.Context) (err error) {
	for len(r.status) > 0 {
		<-r.status // what came before does not concern it
	}
	if r.filter != "" && r.epoch != 0 {
		if r.store, err = r.c.subscribe(ctx, []string{StoreChanged.Under(r.c.prefix, "")}); err != nil {
			return err
		}
	}
	if err := r.compare(ctx); err != nil {
		return err
	}
	if err := r.attach(ctx); err != nil {
		return err
	}
	return r.listen(ctx)
}

// attach makes the consumer behind what was told last.
func (r *reader) attach(ctx context.Context) error {
	r.number = 0
	switch {
	case r.keeps:
		return r.remembered(ctx)
	case r.opened:
		info, err := r.info(ctx)
		if err != nil {
			return err
		}
		if info != nil && info.Config.Metadata[metaNonce] != r.nonce {
			r.made = false
			return r.taken()
		}
		if info == nil {
			break
		}
		fallthrough
	case r.fixed: // the first to come takes the name, if it is still there
		if err := r.remove(ctx); err != nil {
			return err
		}
	}
	return r.begin(ctx)
}

// begin creates the consumer.
func (r *reader) begin(ctx context.Context) error {
	info, err := r.create(ctx, r.last+1)
	if err != nil {
		return err
	}
	r.made = true
	behind := info.AckFloor.Stream
	switch {
	case behind > r.last && !r.anywhere:
		return r.trimmed(behind)
	case behind > r.last:
		r.last = behind
	}
	r.anywhere = false
	return nil
}

// remembered goes on where a durable consumer is, or makes it.
func (r *reader) remembered(ctx context.Context) error {
	info, err := r.info(ctx)
	switch {
	case err != nil:
		return err
	case info == nil && r.opened:
		return codec.Errorf(codec.NotFound, "the consumer %s of the stream %s was deleted, and with it its place", r.name, r.stream)
	case info == nil, r.anew && !r.opened:
		if info != nil {
			if err := r.remove(ctx); err != nil {
				return err
			}
		}
		return r.begin(ctx)
	case info.Config.Filter != r.filter || info.Config.AckPolicy != "explicit" || info.Config.MaxAckPending != 1:
		return codec.Errorf(codec.Invalid, "the consumer %s of the stream %s is there already, for %q and not for %q: take another name, or delete it",
			r.name, r.stream, info.Config.Filter, r.filter)
	}
	if r.opened {
		return nil
	}
	r.last = info.AckFloor.Stream
	return r.look(ctx)
}

// look finds out whether history was trimmed while nobody followed. Everything
// shows that by itself. With a filter it takes another consumer, made and
// deleted at once; whose rights allow only the one does not learn it.
func (r *reader) look(ctx context.Context) error {
	if r.filter == "" {
		return nil
	}
	other := feedConsumer{c: r.c, stream: r.stream, name: r.name + "_" + r.nonce, filter: r.filter, nonce: r.nonce}
	info, err := other.create(ctx, r.last+1)
	if err != nil {
		if errors.Is(err, codec.ErrDenied) {
			return nil
		}
		return err
	}
	if err := other.remove(ctx); err != nil {
		return err
	}
	if info.AckFloor.Stream > r.last {
		return r.trimmed(info.AckFloor.Stream)
	}
	return nil
}

// listen subscribes and pulls, and returns when the broker has taken both.
func (r *reader) listen(ctx context.Context) (err error) {
	before := r.c.nc.LastError()
	r.inbox = r.c.nc.NewInbox()
	r.msgs = make(chan *nats.Msg, r.batch+64) // room for what the server says beside
	if r.sub, err = r.c.nc.ChanSubscribe(r.inbox+".*", r.msgs); err != nil {
		return KVList.transportError(r.inbox, err)
	}
	if err := r.more(); err != nil {
		return err
	}
	ctx, cancel := r.c.bound(ctx)
	defer cancel()
	subject := consumerCall(consumerNext, r.stream, r.name)
	if err := r.c.nc.FlushWithContext(ctx); err != nil {
		return KVList.transportError(subject, err)
	}
	if err := denial(r.c.nc, before, subject); err != nil {
		return KVList.transportError(subject, err)
	}
	return nil
}

// close stops listening; the consumer stays.
func (r *reader) close() {
	if r.store != nil {
		r.store.close()
		r.store = nil
	}
	if r.sub != nil {
		_ = r.sub.Unsubscribe() // fails only where the connection is closed
		r.sub = nil
	}
	r.left = 0
}

// trimmed says that changes are gone which should come next.
func (r *reader) trimmed(behind uint64) error {
	e := codec.Errorf(codec.Compacted, "the feed's history begins at revision %d: what changed after revision %d and before that is gone",
		behind+1, r.last)
	e.Position = codec.Position{StoreRevision: behind, Epoch: r.epoch}
	return &transportErr{e, &lost{ReasonCompacted}}
}
