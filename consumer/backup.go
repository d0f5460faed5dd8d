package consumer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// mostBackups is how many are sent at a time: each holds a view of the store,
// whose older versions stay on disk meanwhile.
const mostBackups = 2

// errGone is why a backup ends whose requester takes no more of it.
var errGone = errors.New("the requester takes no more of the backup")

// backups sends backups to those who ask for one. A reader hands a request on
// and goes on reading; workers of its own send. What waits on a slow requester
// is one worker and a window of chunks, never a reader or the engine's writer.
type backups struct {
	c    *consumer
	jobs chan backupJob
	busy atomic.Int32 // jobs that wait or run
}

// backupJob is one request for a backup.
type backupJob struct {
	reply string
	enc   codec.Encoding
}

func newBackups(c *consumer) *backups {
	return &backups{c: c, jobs: make(chan backupJob, mostBackups)}
}

// take hands a request to a worker, or refuses it.
func (b *backups) take(reply, tail string, payload []byte) {
	_, enc, err := subjects.StoreBackup.Decode(tail, payload)
	if err == nil && b.busy.Add(1) > mostBackups {
		b.busy.Add(-1)
		err = codec.Errorf(codec.Overloaded, "%d backups are being sent already; try again when one has ended", mostBackups)
	}
	if err != nil {
		b.c.refuse(reply, enc, subjects.StoreBackup.Subject, "", err)
		return
	}
	b.jobs <- backupJob{reply, enc} // there is room for as many as may be busy
}

// work sends backups until there are no more requests. When ctx ends it refuses
// what is left.
func (b *backups) work(ctx context.Context) error {
	for job := range b.jobs {
		b.send(ctx, job)
		b.busy.Add(-1)
	}
	return nil
}

func (b *backups) send(ctx context.Context, job backupJob) {
	c, began := b.c, b.c.now()
	s, err := newBackupSender(ctx, c, job)
	if err == nil {
		err = s.run()
	}
	switch {
	case err != nil:
		c.log.Warn("a backup was not sent to its end", "reason", err, "bytes", s.size)
		if !errors.Is(err, errGone) {
			c.refuse(job.reply, job.enc, subjects.StoreBackup.Subject, "", err)
		}
	default:
		c.log.Info("a backup was sent", "bytes", s.size, "took", c.now().Sub(began))
	}
}

// backupSender sends one backup in chunks. It is the writer that the engine
// writes to: a Write that finds the window full waits for an acknowledgement.
type backupSender struct {
	c    *consumer
	ctx  context.Context
	job  backupJob
	acks *nats.Subscription
	ack  string // what the subjects of acknowledgements begin with

	chunk []byte              // not yet sent
	open  map[uint64]struct{} // sent and not yet acknowledged
	seq   uint64
	size  int64
	sum   hash.Hash
}

func newBackupSender(ctx context.Context, c *consumer, job backupJob) (*backupSender, error) {
	s := &backupSender{
		c: c, ctx: ctx, job: job, ack: c.conn.NewInbox() + ".", sum: sha256.New(),
		chunk: make([]byte, 0, codec.BackupChunkBytes), open: make(map[uint64]struct{}),
	}
	var err error
	s.acks, err = c.conn.SubscribeSync(s.ack + "*")
	if err != nil {
		return s, codec.Errorf(codec.Unavailable, "the store's connection: %v", err)
	}
	// Whoever floods it harms their own backup only.
	return s, s.acks.SetPendingLimits(64*codec.BackupWindow, 1<<20)
}

func (s *backupSender) run() error {
	defer func() { _ = s.acks.Unsubscribe() }() // fails where the connection is closed
	info, err := s.c.store.WriteBackup(s)
	if err == nil && len(s.chunk) > 0 {
		err = s.flush()
	}
	if err != nil {
		return err
	}
	reply := &codec.BackupReply{
		Position: codec.Position{StoreRevision: info.Revision, Epoch: info.Epoch}, Done: true,
		Chunks: s.seq, Bytes: s.size, SHA256: hex.EncodeToString(s.sum.Sum(nil)), Keys: info.Keys, Instances: info.Instances,
	}
	// The last chunks need no acknowledgement: nothing follows them.
	s.c.answer(s.job.reply, s.job.enc, reply)
	return nil
}

// Write implements [io.Writer].
func (s *backupSender) Write(p []byte) (n int, err error) {
	for n < len(p) {
		part := p[n:min(len(p), n+cap(s.chunk)-len(s.chunk))]
		s.chunk = append(s.chunk, part...)
		n += len(part)
		if len(s.chunk) == cap(s.chunk) {
			if err := s.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// flush sends the chunk, once the window has room for it.
func (s *backupSender) flush() error {
	if err := s.await(); err != nil {
		return err
	}
	s.seq++
	s.open[s.seq] = struct{}{}
	s.sum.Write(s.chunk)
	s.size += int64(len(s.chunk))
	chunk := &codec.BackupChunk{Seq: s.seq, Data: s.chunk}
	m := subjects.StoreBackup.Message(s.job.reply, s.ack+strconv.FormatUint(s.seq, 10), s.job.enc, chunk)
	s.chunk = s.chunk[:0]
	if err := s.c.conn.PublishMsg(m); err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return nil
}

// await waits until the window has room. The whole wait has a limit, so that
// messages which acknowledge nothing do not prolong it.
func (s *backupSender) await() error {
	ctx, cancel := context.WithTimeout(s.ctx, s.c.o.backupPatience())
	defer cancel()
	for len(s.open) >= codec.BackupWindow {
		m, err := s.acks.NextMsgWithContext(ctx)
		switch {
		case s.ctx.Err() != nil:
			return codec.Errorf(codec.Unavailable, "the store is stopping")
		case errors.Is(err, context.DeadlineExceeded):
			return codec.Errorf(codec.Unavailable, "%d chunks of the backup were not acknowledged within %v; begin again", len(s.open), s.c.o.backupPatience())
		case err != nil && !errors.Is(err, nats.ErrSlowConsumer):
			return fmt.Errorf("%w: %w", errGone, err)
		case err == nil:
			if err := s.acknowledged(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// acknowledged notes one acknowledgement. The broker sends one itself, with
// status 503, if nobody listens for the chunk.
func (s *backupSender) acknowledged(m *nats.Msg) error {
	s.c.bound.others.Add(payloadSize(m))
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return fmt.Errorf("%w: nobody listens for it", errGone)
	}
	seq, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, s.ack), 10, 64)
	if err == nil {
		delete(s.open, seq)
	}
	return nil
}

// backupPatience is how long a requester may take for an acknowledgement.
func (o *Options) backupPatience() time.Duration {
	if o.BackupPatience <= 0 {
		return 10 * time.Second
	}
	return o.BackupPatience
}
