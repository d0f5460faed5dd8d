package subjects

import (
	"context"
	"iter"
	"slices"

	"github.com/settkv/sett/codec"
)

// Get reads a key: [codec.ErrNotFound] where it is not there.
func (c *Client) Get(ctx context.Context, key string) (*codec.GetReply, error) {
	return Do(ctx, c, KVGet, &codec.Get{Key: key})
}

// GetMany reads up to [codec.MaxKeys] keys from one snapshot. It returns those
// that exist, in the order in which they were asked for.
func (c *Client) GetMany(ctx context.Context, keys ...string) ([]codec.Entry, error) {
	reply, err := Do(ctx, c, BatchGet, &codec.BatchGet{Keys: keys})
	if err != nil {
		return nil, err
	}
	return reply.Entries, nil
}

// List walks over the keys that begin with prefix, with their values, in byte
// order. It reads page by page, so a later page may show newer records than an
// earlier one; [Client.Follow] is for those who must keep up. An error ends
// the walk.
func (c *Client) List(ctx context.Context, prefix string) iter.Seq2[codec.Entry, error] {
	return func(yield func(codec.Entry, error) bool) {
		for page, err := range c.Pages(ctx, codec.List{Prefix: prefix, ReturnValues: true}) {
			if err != nil {
				yield(codec.Entry{}, err)
				return
			}
			for i := range page.Entries {
				if !yield(page.Entries[i], nil) {
					return
				}
			}
		}
	}
}

// Pages walks over the pages of a list, from the one that list asks for: for
// keys without values, a delimiter, the reverse order. Where ctx has no
// deadline each page has [Options.Timeout]. An error ends the walk.
func (c *Client) Pages(ctx context.Context, list codec.List) iter.Seq2[*codec.ListReply, error] {
	return func(yield func(*codec.ListReply, error) bool) {
		list := list // each walk begins where the first did
		for {
			page, err := Do(ctx, c, KVList, &list)
			if !yield(page, err) || err != nil || page.Next == "" {
				return
			}
			list.After, list.Cursor = "", page.Next
		}
	}
}

// Set stores a value. Without [TTL] or [KeepTTL] the key does not expire.
func (c *Client) Set(ctx context.Context, key string, value []byte, opts ...Option) (*codec.SetReply, error) {
	if value == nil {
		value = []byte{}
	}
	return Do(ctx, c, KVSet, &codec.Set{Key: key, Value: value}, opts...)
}

// Create stores a value only if the key is not there: [codec.ErrConflict]
// where it is.
func (c *Client) Create(ctx context.Context, key string, value []byte, opts ...Option) (*codec.SetReply, error) {
	return c.Update(ctx, key, value, 0, opts...)
}

// Update stores a value only if the key's revision is exactly this, as a read
// returned it: [codec.ErrConflict] where another has written since.
func (c *Client) Update(ctx context.Context, key string, value []byte, revision uint64, opts ...Option) (*codec.SetReply, error) {
	return c.Set(ctx, key, value, append(opts[:len(opts):len(opts)], IfRevision(revision))...)
}

// Delete removes a key. Removing what is not there succeeds, and the reply
// says that nothing was deleted.
func (c *Client) Delete(ctx context.Context, key string, opts ...Option) (*codec.DeleteReply, error) {
	return Do(ctx, c, KVDelete, &codec.Delete{Key: key}, opts...)
}

// Touch gives a key its last TTL again, or with [TTL] another one, from now
// on. Value and revision stay, and nothing is announced. With [IfRevision] it
// keeps a lock without renewing the next owner's.
func (c *Client) Touch(ctx context.Context, key string, opts ...Option) (*codec.TouchReply, error) {
	return Do(ctx, c, KVTouch, &codec.Touch{Key: key}, opts...)
}

// Increment adds by, which may be negative but not 0, to a number that is kept
// as decimal text, from 0 where the key is not there.
func (c *Client) Increment(ctx context.Context, key string, by int64, opts ...Option) (*codec.IncrementReply, error) {
	if by == 0 {
		return nil, codec.Invalidf("by", "must not be 0")
	}
	return Do(ctx, c, KVIncrement, &codec.Increment{Key: key, By: by}, opts...)
}

// Clear deletes every key that begins with prefix, which must not be empty,
// and returns how many that were. It takes several commits: what is created
// meanwhile may go or stay, and after an error the rest is still there. Where
// ctx has no deadline each commit has [Options.Timeout].
func (c *Client) Clear(ctx context.Context, prefix string) (deleted int64, err error) {
	for {
		reply, err := Do(ctx, c, KVClear, &codec.Clear{Prefix: prefix})
		if err != nil {
			return deleted, err
		}
		deleted += reply.Deleted
		if !reply.More {
			return deleted, nil
		}
	}
}

// Apply applies all ops of a batch or none. A condition that fails is
// [codec.ErrConflict] and names its index. With [Options.Scope] the batch must
// keep within it, and takes commands on keys only.
func (c *Client) Apply(ctx context.Context, batch *codec.Batch, opts ...Option) (*codec.BatchReply, error) {
	return Do(ctx, c, BatchApply, batch, opts...)
}

// Register announces an instance of a service, or renews it.
func (c *Client) Register(ctx context.Context, instance codec.Register, opts ...Option) (*codec.RegisterReply, error) {
	instance.Tags = slices.Clone(instance.Tags) // they are sorted on the way
	return Do(ctx, c, SvcRegister, &instance, opts...)
}

// Heartbeat renews an instance's deadline. [codec.ErrNotFound] says that it
// has expired: register again.
func (c *Client) Heartbeat(ctx context.Context, name, id string, opts ...Option) (*codec.HeartbeatReply, error) {
	return Do(ctx, c, SvcHeartbeat, &codec.Heartbeat{Name: name, ID: id}, opts...)
}

// Deregister removes an instance. Removing what is not there succeeds, and the
// reply says that nothing was deregistered.
func (c *Client) Deregister(ctx context.Context, name, id string, opts ...Option) (*codec.DeregisterReply, error) {
	return Do(ctx, c, SvcDeregister, &codec.Deregister{Name: name, ID: id}, opts...)
}

// Instances returns the instances of a service that are passing or warning and
// have all of the tags; none where the name is unknown. [SvcGet] can filter
// and pick in more ways.
func (c *Client) Instances(ctx context.Context, name string, tags ...string) ([]codec.Instance, error) {
	var all []codec.Instance
	for page, err := range c.instancePages(ctx, codec.GetService{Name: name, Tags: tags}) {
		if err != nil {
			return nil, err
		}
		all = append(all, page.Instances...)
	}
	return all, nil
}

func (c *Client) instancePages(ctx context.Context, get codec.GetService) iter.Seq2[*codec.GetServiceReply, error] {
	return func(yield func(*codec.GetServiceReply, error) bool) {
		get := get
		for {
			page, err := Do(ctx, c, SvcGet, &get)
			if !yield(page, err) || err != nil || page.Next == "" {
				return
			}
			get.Cursor = page.Next
		}
	}
}

// Services walks over the services whose names begin with prefix, in byte
// order. An error ends the walk.
func (c *Client) Services(ctx context.Context, prefix string) iter.Seq2[codec.Service, error] {
	return func(yield func(codec.Service, error) bool) {
		list := codec.ListServices{Prefix: prefix}
		for {
			page, err := Do(ctx, c, SvcList, &list)
			if err != nil {
				yield(codec.Service{}, err)
				return
			}
			for i := range page.Services {
				if !yield(page.Services[i], nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			list.Cursor = page.Next
		}
	}
}

// Status says how the store is.
func (c *Client) Status(ctx context.Context) (*codec.StatusReply, error) {
	return Do(ctx, c, StoreStatus, &codec.Status{})
}
