// Package subjects is the contract of sett, an event-driven key-value store
// and service registry that speaks NATS: one typed declaration for each
// subject, which the server answers by and a Go program asks with, and over
// them a small [Client]. With package codec, which has the messages, their
// limits and their errors, it is all that a Go program needs.
//
// # Basic Usage
//
//	nc, err := nats.Connect(nats.DefaultURL)
//	...
//	c, err := subjects.NewClient(nc, subjects.Options{})
//	...
//	_, err = c.Set(ctx, "config/host", []byte("10.0.0.1"), subjects.TTL(time.Hour))
//	got, err := c.Get(ctx, "config/host") // got.Value, got.Revision
//	_, err = c.Update(ctx, "config/host", []byte("10.0.0.2"), got.Revision)
//	if errors.Is(err, codec.ErrConflict) {
//		// another has written since
//	}
//
// The reply to a command comes when the command is durable. Every method is
// one request, or a walk over pages; what they leave out, [Do] can ask.
//
// # List, then follow
//
// Every change has a revision and is announced: on kv.changed.<key>, on
// svc.changed.<name>.<id>, and on store.changed.<reason> where a new epoch
// begins. Who keeps a copy must not miss a change between reading the state
// and listening, and must not apply one twice. [Client.Follow] does it right:
//
//   - it subscribes, and only then lists;
//   - it skips an event whose revision is not above that of the entry it
//     holds, or of the list;
//   - it lists again after a new epoch, a lost connection, an overflow or a
//     missing revision, and then tells what differs.
//
// In another language do the same by hand, or read the feed's JetStream
// stream from store_revision + 1 on.
//
// # Subjects
//
// The key, name or prefix that a request is about may be appended to its
// subject, kv.get.config.host for config/host, so that NATS permissions on
// subjects are permissions on keys. [Tokens] writes a key that way and [Key]
// reads it back.
//
// # The two sides
//
// A program asks with [Endpoint.Request], or by [Do] with retries; the server
// finds the endpoint by [Parse], reads the request with [Endpoint.Decode] or
// [Info.Command], and answers with the reply or an [ErrorReply]. [All] and
// [Events] list the contract.
package subjects
