package subjects

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
)

// Kind says what an [Update] tells.
type Kind uint8

// Kinds of update.
const (
	// Put: the key or instance is there, as found by a load or as changed
	// since.
	Put Kind = iota + 1
	// Delete: it is gone, by a change (Op says which) or found gone by a load.
	Delete
	// Loaded: everything up to Revision was told. The first one ends the first
	// load; each later one ends what a Reset began.
	Loaded
	// Reset: changes may have been missed (Reason says why), and everything is
	// loaded again. What was told before stands until an update says otherwise:
	// of what differs a Put or Delete follows, then a Loaded.
	Reset
)

// String returns the kind's name in lower case.
func (k Kind) String() string {
	names := [...]string{Put: "put", Delete: "delete", Loaded: "loaded", Reset: "reset"}
	if int(k) < len(names) {
		return names[k]
	}
	return ""
}

// Reasons of a [Reset], beside those of [codec.Change] that open a new epoch.
const (
	ReasonReconnected = "reconnected" // the connection was lost meanwhile
	ReasonSlow        = "slow"        // the consumer let the buffer overflow
	ReasonEpoch       = "epoch"       // a new epoch, whose event was not seen
	ReasonCompacted   = "compacted"   // the durable feed no longer has what comes next
)

// Update is one step of a [Client.Follow]. Revision and Epoch are always set,
// in a Put or Delete also Key (or Name and ID), in a Put also Value (or
// Instance). What a load tells has no CommitRevision, PreviousRevision and
// TimeMs, and what it found gone has the revision of the load.
type Update struct {
	Kind Kind
	codec.Change
}

// Follow tells every key that begins with prefix, and then every change of
// them, until ctx ends or the loop is left:
//
//	for u, err := range c.Follow(ctx, "config/") {
//		if err != nil {
//			return err
//		}
//		switch u.Kind {
//		case subjects.Put:
//			config[u.Key] = u.Value
//		case subjects.Delete:
//			delete(config, u.Key)
//		}
//	}
//
// Such a loop holds what the store holds, as of the last [Loaded] at least: no
// change is missed, and none is told twice or after a newer one of its key.
// Follow subscribes before it lists, and skips what the list has shown. It
// loads again by itself where something may have been missed: after a
// reconnect, in a new epoch, where its consumer was so slow that
// [Options.FollowBuffer] overflowed, and, following everything, where a
// revision is missing. It then tells only what differs.
//
// The changes come from the live feed, which the broker delivers at most once.
// So Follow tells the newest state, but not each state between: what changed
// while it was not connected is one difference. And should the broker lose an
// event between healthy connections (at a change of a JetStream leader),
// following everything sees it at the next event or within a minute, following
// a prefix within ten minutes: it then lists again, silently.
//
// The error is the last thing told: ctx's own where it ended, or a refusal. A
// store that cannot be reached ends only the first load; later Follow waits
// for it, telling nothing between Reset and Loaded. Following needs the right
// to subscribe to kv.changed.<prefix>.> and store.changed.>, and to ask
// kv.list.<prefix>. Following everything ("" without [Options.Scope]) needs
// svc.changed.> too.
//
// It runs in the loop's own goroutine, starts none, and remembers the revision
// of each key, about 100 bytes a key.
func (c *Client) Follow(ctx context.Context, prefix string) iter.Seq2[Update, error] {
	prefix = c.within(prefix)
	scope := prefix[:strings.LastIndexByte(prefix, '/')+1]
	source := source{
		filters: []string{KVChanged.Under(c.prefix, scope), StoreChanged.Under(c.prefix, "")},
		covers:  func(ch *codec.Change) bool { return ch.Key != "" && strings.HasPrefix(ch.Key, prefix) },
		name:    func(ch *codec.Change) string { return ch.Key },
		pages:   func(ctx context.Context, limit int64) iter.Seq2[page, error] { return c.keyPages(ctx, prefix, limit) },
	}
	if scope == "" {
		source.filters = append(source.filters, SvcChanged.Under(c.prefix, ""))
		source.dense = true
	}
	return c.follow(ctx, source)
}

// FollowService tells every instance of a service, whatever its status, and
// then every change of them, as [Client.Follow] does for keys. A renewal
// changes nothing; what ends an instance is its Delete, which has the last
// known Instance, and never its ExpiresAtMs. It needs the right to subscribe
// to svc.changed.<name>.> and store.changed.>, and to ask svc.get.<name>.
func (c *Client) FollowService(ctx context.Context, name string) iter.Seq2[Update, error] {
	return c.follow(ctx, source{
		filters: []string{SvcChanged.Under(c.prefix, name+"/"), StoreChanged.Under(c.prefix, "")},
		covers:  func(ch *codec.Change) bool { return ch.Name == name },
		name:    func(ch *codec.Change) string { return ch.ID },
		pages:   func(ctx context.Context, limit int64) iter.Seq2[page, error] { return c.servicePages(ctx, name, limit) },
	})
}

func (c *Client) follow(ctx context.Context, s source) iter.Seq2[Update, error] {
	return func(yield func(Update, error) bool) {
		f := follower{c: c, source: s, yield: yield, held: make(map[string]held)}
		f.run(ctx)
	}
}

// source is what a follower follows.
type source struct {
	filters []string                   // the subjects of its events
	covers  func(*codec.Change) bool   // whether an event is one of its own
	name    func(*codec.Change) string // the key, or the instance's id
	dense   bool                       // it sees every change, so a missing revision shows
	pages   func(ctx context.Context, limit int64) iter.Seq2[page, error]
}

// page is a page of a list, told as the changes that lead to it.
type page struct {
	codec.Position
	records []codec.Change
}

func (c *Client) keyPages(ctx context.Context, prefix string, limit int64) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		for reply, err := range c.Pages(ctx, codec.List{Prefix: prefix, Limit: limit, ReturnValues: true}) {
			if err != nil {
				yield(page{}, err)
				return
			}
			p := page{reply.Position, make([]codec.Change, len(reply.Entries))}
			for i, e := range reply.Entries {
				p.records[i] = codec.Change{
					Op: codec.OpSet, Epoch: p.Epoch, Revision: e.Revision,
					Key: e.Key, Value: e.Value, TTLMs: e.TTLMs, ExpiresAtMs: e.ExpiresAtMs,
				}
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (c *Client) servicePages(ctx context.Context, name string, limit int64) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		all := []string{codec.Passing, codec.Warning, codec.Critical}
		for reply, err := range c.instancePages(ctx, codec.GetService{Name: name, Statuses: all, Limit: limit}) {
			if err != nil {
				yield(page{}, err)
				return
			}
			p := page{reply.Position, make([]codec.Change, len(reply.Instances))}
			for i := range reply.Instances {
				in := &reply.Instances[i]
				p.records[i] = codec.Change{
					Op: codec.OpRegister, Epoch: p.Epoch, Revision: in.Revision, Name: in.Name, ID: in.ID,
					TTLMs: in.TTLMs, ExpiresAtMs: in.ExpiresAtMs, Instance: in,
				}
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// subscription is the live feed from one load to the next.
type subscription struct {
	events chan *nats.Msg
	subs   []*nats.Subscription
}

// errUnclear says that the connection had another failure meanwhile, which may
// hide that a subscription was refused: it keeps only the last one.
var errUnclear = codec.Errorf(codec.Unavailable, "cannot tell whether the broker took the subscription")

// subscribe listens to the filters, and returns when the broker has them. All
// of them feed one channel, which keeps the order between them.
func (c *Client) subscribe(ctx context.Context, filters []string) (*subscription, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	for {
		s := &subscription{events: make(chan *nats.Msg, c.buffer)}
		err := s.open(ctx, c.nc, filters)
		if err == nil {
			return s, nil
		}
		s.close()
		if err != errUnclear || pause(ctx, minPause) != nil {
			return nil, err
		}
	}
}

func (s *subscription) open(ctx context.Context, nc *nats.Conn, filters []string) error {
	before := nc.LastError()
	for _, filter := range filters {
		sub, err := nc.ChanSubscribe(filter, s.events)
		if err != nil {
			return KVList.transportError(filter, err)
		}
		s.subs = append(s.subs, sub)
	}
	if err := nc.FlushWithContext(ctx); err != nil {
		return KVList.transportError(filters[0], err)
	}
	err := nc.LastError()
	if err == nil || errors.Is(before, err) {
		return nil
	}
	for _, filter := range filters {
		if errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), `Subscription to "`+filter+`"`) {
			return &transportErr{codec.Errorf(codec.Denied, "%s: %v", filter, err), err}
		}
	}
	return errUnclear
}

// overflowed says that events were dropped behind those in the channel.
func (s *subscription) overflowed() bool {
	for _, sub := range s.subs {
		if n, err := sub.Dropped(); err == nil && n > 0 {
			return true
		}
	}
	return false
}

func (s *subscription) close() {
	for _, sub := range s.subs {
		_ = sub.Unsubscribe() // fails only where the connection is closed
	}
}
