package subjects

import (
	"context"

	"github.com/settkv/sett/codec"
)

// HistoryOptions says how much of a history to read.
type HistoryOptions struct {
	// Limit is how many changes to return at most: the newest. 0: all of them.
	Limit int
	// Consumer is the name of the JetStream consumer, as for [Client.FollowFrom].
	Consumer string
}

// History is what the durable feed still has of a key.
type History struct {
	// Begins is the first revision that the feed has, of any key: what changed
	// before is gone. 1: it has everything.
	Begins uint64
	// Changes of the key, the newest last. They may be of several epochs.
	Changes []codec.Change
}

// History reads every change of a key that the durable feed still has, up to
// now. It needs the rights of [Client.Changes] for the key's own subject, and
// without a durable feed it is [codec.ErrUnavailable].
func (c *Client) History(ctx context.Context, key string, o HistoryOptions) (*History, error) {
	if err := codec.ValidateKey(key); err != nil {
		return nil, err
	}
	if o.Limit < 0 {
		return nil, codec.Invalidf("limit", "must not be negative")
	}
	r, err := c.reader(Announced(c.prefix, &codec.Event{Kind: codec.KeyEvent, Name: key}), o.Consumer)
	if err != nil {
		return nil, err
	}
	defer r.end()
	r.anywhere, r.untilNow = true, true
	if err := r.awaitFeed(ctx); err != nil {
		return nil, err
	}
	if err := r.reopen(ctx); err != nil {
		return nil, err
	}
	h := &History{Begins: r.last + 1}
	for {
		_, ch, err := r.change(ctx)
		if err == errNoMore {
			return h, nil
		}
		if err != nil {
			return nil, err
		}
		h.Changes = append(h.Changes, *ch)
		if o.Limit > 0 && len(h.Changes) > o.Limit {
			h.Changes = h.Changes[1:]
		}
	}
}

// awaitFeed waits until the stream has what the store had a moment ago: changes
// reach it a little later than the answer to who made them. A consumer of what
// is new begins behind the stream's last message, whatever its filter.
func (r *reader) awaitFeed(ctx context.Context) error {
	at, err := r.c.position(ctx, r.filter)
	if err != nil {
		return err
	}
	ctx, cancel := r.c.bound(ctx)
	defer cancel()
	for {
		if err := r.remove(ctx); err != nil {
			return err
		}
		info, err := r.create(ctx, 0)
		if err != nil {
			return err
		}
		r.made, r.fixed = true, true // so that it is deleted before it is made to read
		if info.AckFloor.Stream >= at.StoreRevision {
			return nil
		}
		if pause(ctx, minPause) != nil {
			return codec.Errorf(codec.Timeout, "the feed is at revision %d, behind the store's %d", info.AckFloor.Stream, at.StoreRevision)
		}
	}
}
