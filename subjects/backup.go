package subjects

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
)

// Stream is one subject that the store answers with more than one message:
// chunks, each of which the requester acknowledges with an empty message to its
// reply subject, and then the reply. An error ends it as a refusal ends any
// request.
type Stream[Req, Chunk, Resp any] struct{ *Info }

// Decode reads a request, as [Endpoint.Decode] does.
func (s Stream[Req, Chunk, Resp]) Decode(tail string, payload []byte) (*Req, codec.Encoding, error) {
	return Endpoint[Req, Resp](s).Decode(tail, payload)
}

// Message is a chunk on its way to the requester, to be acknowledged on ack.
func (s Stream[Req, Chunk, Resp]) Message(to, ack string, enc codec.Encoding, chunk *Chunk) *nats.Msg {
	return &nats.Msg{Subject: to, Reply: ack, Data: codec.Append(nil, enc, chunk)}
}

func stream[Req, Chunk, Resp any](subject, doc string, codes ...codec.Code) Stream[Req, Chunk, Resp] {
	info := read[Req, Resp](subject, Bare, doc, codes...).Info
	info.Chunk = reflect.TypeFor[Chunk]()
	return Stream[Req, Chunk, Resp]{info}
}

// Backup writes a backup of the whole store to w, as `sett backup create` does.
// What w got is whole only if Backup returns nil: the sum over it is checked
// last. The store waits for w (it sends no more than a few chunks ahead), but
// gives up on a requester that takes nothing for 10 s.
//
// A ctx without a deadline bounds nothing but the silence of the store, by
// [Options.Timeout].
func (c *Client) Backup(ctx context.Context, w io.Writer) (*codec.BackupReply, error) {
	inbox := c.nc.NewInbox()
	sub, err := c.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, StoreBackup.transportError(StoreBackup.Subject, err)
	}
	defer func() { _ = sub.Unsubscribe() }() // the store sees it, where it has more to send
	m, err := StoreBackup.message(c.prefix, "", "", &codec.Backup{})
	if err != nil {
		return nil, err
	}
	m.Reply = inbox
	if err := c.publish(ctx, m); err != nil {
		return nil, StoreBackup.transportError(m.Subject, err)
	}
	return (&download{c: c, sub: sub, w: w}).run(ctx)
}

// publish sends a request and asks the broker whether it may pass, and whether
// the answer may be listened for: a broker says so beside, before its next
// pong.
func (c *Client) publish(ctx context.Context, m *nats.Msg) error {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	before := c.nc.LastError()
	if err := c.nc.PublishMsg(m); err != nil {
		return err
	}
	if err := c.nc.FlushWithContext(ctx); err != nil {
		return err
	}
	err := c.nc.LastError()
	if errors.Is(before, err) || !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	if strings.Contains(err.Error(), `Publish to "`+m.Subject+`"`) || strings.Contains(err.Error(), `Subscription to "`+m.Reply+`"`) {
		return err
	}
	return nil
}

// download is one run of [Client.Backup].
type download struct {
	c    *Client
	sub  *nats.Subscription
	w    io.Writer
	seq  uint64
	size int64
}

func (b *download) run(ctx context.Context) (*codec.BackupReply, error) {
	sum := sha256.New()
	for {
		m, err := b.next(ctx)
		if err != nil {
			return nil, StoreBackup.transportError(StoreBackup.Subject, err)
		}
		if err := ReplyError(m); err != nil {
			return nil, err
		}
		chunk := &codec.BackupChunk{}
		if err := codec.Decode(m.Data, chunk); err != nil {
			return nil, codec.Errorf(codec.Internal, "store.backup: a chunk cannot be read: %v", err)
		}
		if chunk.Seq == 0 {
			return b.end(m, hex.EncodeToString(sum.Sum(nil)))
		}
		if b.seq++; chunk.Seq != b.seq {
			return nil, codec.Errorf(codec.Internal, "store.backup: chunk %d came instead of %d; begin again", chunk.Seq, b.seq)
		}
		sum.Write(chunk.Data)
		b.size += int64(len(chunk.Data))
		if _, err := b.w.Write(chunk.Data); err != nil {
			return nil, err
		}
		if err := m.Respond(nil); err != nil {
			return nil, StoreBackup.transportError(StoreBackup.Subject, err)
		}
	}
}

// next waits for the next message.
func (b *download) next(ctx context.Context) (*nats.Msg, error) {
	ctx, cancel := b.c.bound(ctx)
	defer cancel()
	m, err := b.sub.NextMsgWithContext(ctx)
	if err == nil && len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return nil, nats.ErrNoResponders
	}
	return m, err
}

// end reads the last message.
func (b *download) end(m *nats.Msg, sum string) (*codec.BackupReply, error) {
	reply := &codec.BackupReply{}
	if err := codec.Decode(m.Data, reply); err != nil || !reply.Done {
		return nil, codec.Errorf(codec.Internal, "store.backup: the end cannot be read: %v", err)
	}
	if reply.Chunks != b.seq || reply.Bytes != b.size || reply.SHA256 != sum {
		return nil, codec.Errorf(codec.Internal, "store.backup: %d bytes in %d chunks came (SHA-256 %s), %d in %d were sent (%s); begin again",
			b.size, b.seq, sum, reply.Bytes, reply.Chunks, reply.SHA256)
	}
	return reply, nil
}
