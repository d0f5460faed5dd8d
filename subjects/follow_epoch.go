package subjects

import (
	"context"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
)

// A follower of a filter does not see the change that begins an epoch in the
// stream, and a stream that was deleted begins again below where the follower
// is. So it listens to store.changed beside, and asks the store where it is:
// whenever it opens, and now and then.

// storeEvents is where store.changed comes; nil, where nothing ever comes, if
// the filter has it.
func (r *reader) storeEvents() <-chan *nats.Msg {
	if r.store == nil {
		return nil
	}
	return r.store.events
}

// storeChanged looks at an event beside the filter.
func (r *reader) storeChanged(m *nats.Msg) error {
	ch, err := StoreChanged.Decode(m.Data)
	if err != nil || ch.Op != codec.OpChanged {
		return nil // none that the store has published
	}
	return r.inEpoch(ch.Epoch, ch.Reason)
}

// inEpoch is an error where a later epoch than the follower's has begun.
func (r *reader) inEpoch(epoch uint64, reason string) error {
	if r.epoch == 0 || epoch <= r.epoch {
		return nil
	}
	return r.ended(codec.Position{StoreRevision: r.last, Epoch: epoch}, reason)
}

// ended says that what the follower has leads nowhere: another epoch began.
func (r *reader) ended(at codec.Position, reason string) error {
	return epochOver(codec.Position{StoreRevision: r.last, Epoch: r.epoch}, at, reason)
}

// epochOver is the error of who followed up to a position, and sees another
// epoch at another one.
func epochOver(was, is codec.Position, reason string) error {
	if reason == "" {
		reason = ReasonEpoch
	}
	e := codec.Errorf(codec.Compacted, "the store has begun epoch %d (%s): what was followed up to revision %d does not lead there; load again",
		is.Epoch, reason, was.StoreRevision)
	e.Position = is
	return &transportErr{e, &lost{reason}}
}

// compare asks the store where it is. A store that is away is asked later; but
// who begins must know.
func (r *reader) compare(ctx context.Context) error {
	at, err := r.c.position(ctx, r.filter)
	switch {
	case err != nil && r.opened && worthRetrying(err) && ctx.Err() == nil:
		return nil
	case err != nil:
		return err
	case r.epoch != 0 && at.Epoch != r.epoch:
		return r.ended(codec.Position{StoreRevision: min(r.last, at.StoreRevision), Epoch: at.Epoch}, "")
	case at.StoreRevision >= r.last:
		return nil
	case !r.opened && !r.keeps:
		return codec.Invalidf("from", "is revision %d, but the store is only at %d", r.last, at.StoreRevision)
	}
	return r.ended(codec.Position{Epoch: at.Epoch}, "")
}

// position asks where the store is by what a follower of the filter may read.
func (c *Client) position(ctx context.Context, filter string) (codec.Position, error) {
	rest, _ := c.prefix.Strip(filter)
	rest = strings.TrimSuffix(rest, ".>")
	if name, ok := strings.CutPrefix(rest, SvcChanged.Subject+"."); ok {
		if name, err := Key(name); err == nil {
			reply, err := Do(ctx, c, SvcGet, &codec.GetService{Name: name, Limit: 1})
			if err != nil {
				return codec.Position{}, err
			}
			return reply.Position, nil
		}
	}
	list := &codec.List{Limit: 1}
	if key, ok := strings.CutPrefix(rest, KVChanged.Subject+"."); ok {
		if key, err := Key(key); err == nil {
			list.Prefix = key
			if strings.HasSuffix(filter, ".>") {
				list.Prefix += "/"
			}
		}
	}
	reply, err := Do(ctx, c, KVList, list)
	if err != nil {
		return codec.Position{}, err
	}
	return reply.Position, nil
}
