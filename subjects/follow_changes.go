package subjects

import (
	"context"
	"errors"
	"iter"

	"github.com/settkv/sett/codec"
)

// ChangesOptions says which changes of the durable feed to tell.
type ChangesOptions struct {
	// Filter is a subject of the feed, as [Event.Under] and [Announced] make
	// them: KVChanged.Under(prefix, "config/"). "": everything.
	Filter string
	// From is the position to go on behind. nil: now; for [Client.Consume]
	// where its consumer was, or now if there is none yet. Epoch 0 is any: then
	// a new epoch does not end it.
	From *codec.Position
	// Consumer is the name of the JetStream consumer: one token. "": a name of
	// its own. Users whose rights name one consumer give that; whoever uses a
	// name later takes it over, and the earlier one ends with
	// [codec.ErrConflict].
	Consumer string
}

// ErrEnough is what a function given to [Client.Consume] returns to end it
// after the present change, which counts as dealt with.
var ErrEnough = errors.New("subjects: enough")

// Changes tells every change that the durable feed has behind a position, and
// goes on as they happen: each once and in order, over lost connections and
// restarts of the store and the broker, until ctx ends or the loop is left.
// What begins an epoch is told too ([codec.OpChanged]) where the filter has it.
// It is a log; who keeps a copy of keys wants [Client.FollowFrom].
//
// It ends with [codec.ErrCompacted] where changes are missing: because the
// stream's limits have trimmed them, or because From's epoch is over, so that
// what was told before may not stand. The error's Position is where changes
// can be had from. A store whose feed is only live has none to tell:
// [codec.ErrUnavailable].
//
// Following a filter is told of trimmed changes when it begins, after a lost
// connection, and when its loop was not back for the next 1,024 changes within
// a second; a stream that keeps less than that could lose some unnoticed.
//
// It needs the right to publish $JS.API.CONSUMER.CREATE.<stream>.<name>.<filter>
// (without the filter where there is none), CONSUMER.INFO, CONSUMER.DELETE and
// CONSUMER.MSG.NEXT of <stream>.<name>, and kv.list.<prefix> (of a service:
// svc.get.<name>) to ask for the epoch; and with a filter and an epoch to
// subscribe to store.changed.>. [Prefix.Stream] is the stream.
func (c *Client) Changes(ctx context.Context, o ChangesOptions) iter.Seq2[codec.Change, error] {
	return func(yield func(codec.Change, error) bool) {
		r, err := c.changes(ctx, o)
		if err != nil {
			yield(codec.Change{}, err)
			return
		}
		defer r.end()
		for {
			_, ch, err := r.change(ctx)
			if err != nil {
				yield(codec.Change{}, err)
				return
			}
			if !yield(*ch, nil) {
				return
			}
		}
	}
}

// Consume tells changes as [Client.Changes] does, and the broker remembers
// which: o.Consumer is a durable JetStream consumer, and a change that handle
// has dealt with is acknowledged. The next Consume of that name goes on behind
// it, unless o.From gives it another place.
//
// handle may be called twice for a change, where an acknowledgement was lost in
// a crash. After a run that was killed it can take 5 s until the first one
// comes. An error of handle ends Consume with that error, and its change is
// told again the next time; [ErrEnough] ends it with nil.
//
// It needs the right to publish $JS.ACK.<stream>.<name>.> too.
func (c *Client) Consume(ctx context.Context, o ChangesOptions, handle func(*codec.Change) error) error {
	if o.Consumer == "" {
		return codec.Invalidf("consumer", "must have a name to remember its place by")
	}
	r, err := c.changes(ctx, o)
	if err != nil {
		return err
	}
	defer r.end()
	r.keeps, r.anew = true, o.From != nil
	for {
		d, ch, err := r.change(ctx)
		if err != nil {
			return err
		}
		switch err := handle(ch); err {
		case nil:
			if err := r.ack(d); err != nil {
				return err
			}
		case ErrEnough:
			r.close() // first, so that no other change is on its way then
			return errors.Join(r.ack(d), r.flush(ctx))
		default:
			r.close()
			r.giveBack(d.Msg)
			return err
		}
	}
}

// changes is a reader that begins where the options say.
func (c *Client) changes(ctx context.Context, o ChangesOptions) (*reader, error) {
	from := o.From
	if from == nil {
		at, err := c.position(ctx, o.Filter)
		if err != nil {
			return nil, err
		}
		from = &codec.Position{StoreRevision: at.StoreRevision}
	}
	r, err := c.reader(o.Filter, o.Consumer)
	if err != nil {
		return nil, err
	}
	r.last, r.epoch = from.StoreRevision, from.Epoch
	return r, nil
}

// change is the next one, of any key of the filter.
func (r *reader) change(ctx context.Context) (delivery, *codec.Change, error) {
	d, err := r.next(ctx)
	if err != nil {
		return d, nil, err
	}
	ch := &codec.Change{}
	if err := codec.Decode(d.Data, ch); err != nil || ch.Revision != d.sequence {
		return d, nil, codec.Errorf(codec.Internal, "message %d of the stream %s has revision %d: the stream is not the feed of a sett store",
			d.sequence, r.stream, ch.Revision)
	}
	if err := r.inEpoch(ch.Epoch, ch.Reason); err != nil {
		return d, nil, err
	}
	// Only a new epoch moves the stream forward; otherwise the limits did.
	if r.filter == "" && d.sequence != r.last+1 && ch.Op != codec.OpChanged {
		return d, nil, r.trimmed(d.sequence - 1)
	}
	r.last = d.sequence
	return d, ch, nil
}
