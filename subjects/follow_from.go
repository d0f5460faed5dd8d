package subjects

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/settkv/sett/codec"
)

// FollowOptions says where a [Client.FollowFrom] begins, and what it does where
// it cannot go on.
type FollowOptions struct {
	// From is the position to go on behind: of the last update that was dealt
	// with. nil: list first.
	From *codec.Position
	// Consumer is the name of the JetStream consumer: one token. "": a name of
	// its own. Users whose rights name one consumer give that; whoever uses a
	// name later takes it over, and the earlier one ends with
	// [codec.ErrConflict].
	Consumer string
	// NoReload makes it end with [codec.ErrCompacted] where it would load again.
	NoReload bool
}

// FollowFrom tells changes of the keys that begin with prefix from the durable
// feed: every change, each once and in order, over lost connections and
// restarts of the store and the broker. Beside [Client.Follow], which tells the
// newest state from the live feed, nothing between is left out, and it can go
// on where an earlier run ended.
//
// Without From it lists first: every key as a Put, then [Loaded], then the
// changes since; so a Delete may be of a key that was gone before the list came
// to it. With From there is no list, and no Loaded. In both, Revision and Epoch
// of the last update are the position for the next run; of a list only Loaded is
// one.
//
// Where it cannot go on, because history was trimmed or a new epoch began, it
// loads again, unless NoReload: a [Reset] says why ([ReasonCompacted], or what
// the epoch began with), every key that is there is a Put, and then Loaded. It
// does not remember what it told before, so what does not come between Reset
// and Loaded is gone, without a Delete of its own.
//
// What it may miss, and the rights that it needs, are those of
// [Client.Changes]. It costs the broker a consumer for each follower, and needs
// JetStream; so Follow, which needs neither, does not use the durable feed even
// where there is one.
func (c *Client) FollowFrom(ctx context.Context, prefix string, o FollowOptions) iter.Seq2[Update, error] {
	prefix = c.within(prefix)
	scope := prefix[:strings.LastIndexByte(prefix, '/')+1]
	filter := ""
	if scope != "" {
		filter = KVChanged.Under(c.prefix, scope)
	}
	return func(yield func(Update, error) bool) {
		f := logFollower{c: c, prefix: prefix, filter: filter, o: o, yield: yield}
		if err := f.run(ctx); err != nil && err != errLeft {
			yield(Update{}, err)
		}
	}
}

// logFollower is one run of a FollowFrom: load where that is needed, then read
// the log from there, load again, ... It keeps a position instead of the keys.
type logFollower struct {
	c      *Client
	prefix string
	filter string
	o      FollowOptions
	yield  func(Update, error) bool

	at     codec.Position    // everything up to here was told
	begun  bool              // the log was once open
	newer  map[string]uint64 // keys that the list has shown newer than at
	newest uint64            // revision of the newest of them
}

// run follows until something ends it.
func (f *logFollower) run(ctx context.Context) error {
	load := f.o.From == nil
	if !load {
		f.at = *f.o.From
	}
	for wait := time.Duration(0); ; wait = min(max(2*wait, minPause), maxPause) {
		began := time.Now()
		err := error(nil)
		if load {
			err = f.load(ctx)
		}
		if err == nil {
			load = false
			err = f.follow(ctx)
		}
		l, compacted := errors.AsType[*lost](err)
		switch {
		case err == errLeft:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case compacted && !f.o.NoReload:
			load = true
			if !f.tell(Reset, codec.Change{Op: codec.OpChanged, Reason: l.reason, Revision: f.at.StoreRevision, Epoch: f.at.Epoch}) {
				return errLeft
			}
		case compacted, !f.begun, !worthRetrying(err), f.c.nc.IsClosed():
			return err
		}
		if time.Since(began) > keepPace {
			wait = 0
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// load tells everything that is there. Pages behind the first may show records
// newer than its position: their changes come in the log too, and are skipped.
func (f *logFollower) load(ctx context.Context) error {
	first := true
	clear(f.newer)
	f.newest = 0
	for p, err := range f.c.keyPages(ctx, f.prefix, codec.DefaultPage) {
		switch {
		case err != nil && !first && errors.Is(err, codec.ErrInvalid): // the cursor is of another epoch
			return epochOver(f.at, codec.Position{}, "")
		case err != nil:
			return err
		case first:
			f.at, first = p.Position, false
		case p.Epoch != f.at.Epoch:
			return epochOver(f.at, p.Position, "")
		}
		for i := range p.records {
			ch := &p.records[i]
			if ch.Revision > f.at.StoreRevision {
				f.skipUntil(ch.Key, ch.Revision)
			}
			if !f.tell(Put, *ch) {
				return errLeft
			}
		}
	}
	if !f.tell(Loaded, codec.Change{Revision: f.at.StoreRevision, Epoch: f.at.Epoch}) {
		return errLeft
	}
	return nil
}

func (f *logFollower) skipUntil(key string, revision uint64) {
	if f.newer == nil {
		f.newer = make(map[string]uint64)
	}
	f.newer[key] = revision
	f.newest = max(f.newest, revision)
}

// follow reads the log behind the position.
func (f *logFollower) follow(ctx context.Context) error {
	o := ChangesOptions{Filter: f.filter, From: &f.at, Consumer: f.o.Consumer}
	r, err := f.c.changes(ctx, o)
	if err != nil {
		return err
	}
	defer r.end()
	if r.epoch == 0 { // the present one
		at, err := f.c.position(ctx, f.filter)
		if err != nil {
			return err
		}
		r.epoch = at.Epoch
	}
	f.at.Epoch = r.epoch
	for {
		_, ch, err := r.change(ctx)
		f.begun = f.begun || r.opened
		if err != nil {
			return err
		}
		if ch.Epoch != r.epoch || ch.Op == codec.OpChanged {
			return r.ended(codec.Position{StoreRevision: ch.Revision, Epoch: r.epoch}, ch.Reason)
		}
		f.at.StoreRevision = ch.Revision
		if err := f.change(ch); err != nil {
			return err
		}
	}
}

// change tells one of the log.
func (f *logFollower) change(ch *codec.Change) error {
	if len(f.newer) > 0 && ch.Revision > f.newest {
		clear(f.newer)
	}
	if ch.Key == "" || !strings.HasPrefix(ch.Key, f.prefix) || ch.Revision <= f.newer[ch.Key] {
		return nil
	}
	kind := Delete
	if ch.Op == codec.OpSet {
		kind = Put
	}
	if !f.tell(kind, *ch) {
		return errLeft
	}
	return nil
}

func (f *logFollower) tell(kind Kind, ch codec.Change) bool { return f.yield(Update{kind, ch}, nil) }
