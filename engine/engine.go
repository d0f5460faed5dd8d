package engine

import (
	"context"
	"io"
	"time"

	"github.com/settkv/sett/codec"
)

// Engine is one store: one writer, one order, one truth. Every method may be
// called from any goroutine. After Close each answers [codec.ErrUnavailable].
//
// All writes, whichever method they come through, are applied by one writer in
// one order, and return when they are durable (as far as [Options.Sync] says).
// Errors of every method are *[codec.Error] or wrap one, but for those of the
// file system in Maintenance.
type Engine interface {
	Commands
	Reader
	Feed
	Continuity
	KV
	Services
	Batches
	Maintenance

	// BeginTx opens a transaction at the present state. Whoever opened it must
	// end it with Commit or Rollback.
	BeginTx() (Transaction, error)
}

// Commands is the way in for the commands of the contract.
type Commands interface {
	// Submit queues a request and returns at once. Requests that one goroutine
	// submits are applied in that order. It returns [codec.ErrOverloaded] where
	// the queue is full and [codec.ErrUnavailable] where the store takes no
	// writes; Done is not called then.
	Submit(r *Request) error
	// Apply submits a command and waits for its reply, a pointer to the
	// command's own reply type. Where ctx ends first the command may be applied
	// all the same.
	Apply(ctx context.Context, cmd codec.Command) (codec.Reply, error)
}

// Request is a command on its way to the writer. The command must be valid
// (see [codec.Command]) and belongs to the engine from Submit on.
type Request struct {
	Command codec.Command

	// ID, where it is not empty, makes a repeat within [codec.DedupWindow]
	// answer with the first one's result. It is looked up together with
	// Subject, and Payload is what a repeat must equal.
	ID      string
	Subject string
	Payload []byte

	// Done is called once, when the command is durable or refused, in the
	// order of commits. It must not block. nil: nobody waits.
	Done func(codec.Reply, error)
}

// Reader answers the reads of the contract from the last durable commit.
// Requests must be valid. What they return stays as it is, and must not be
// changed: values may be shared with other readers.
type Reader interface {
	ReadKey(r *codec.Get) (*codec.GetReply, error)
	ReadKeys(r *codec.BatchGet, fit codec.Fit) (*codec.BatchGetReply, error)
	ListKeys(r *codec.List, fit codec.Fit) (*codec.ListReply, error)
	ReadService(r *codec.GetService, fit codec.Fit) (*codec.GetServiceReply, error)
	ReadServices(r *codec.ListServices, fit codec.Fit) (*codec.ListServicesReply, error)
	// Status fills in what the engine knows of a status; what the consumer
	// knows (feed, uptime, readiness) is its own to add.
	Status() codec.StatusReply
}

// Feed is the way out for changes: the outbox, which every commit writes and
// whoever announces them empties.
type Feed interface {
	// Position is that of the last durable commit.
	Position() codec.Position
	// Outbox returns the changes after a revision in order, as many as fit
	// about maxBytes and at least one if there is any. They stay valid, and are
	// not the caller's to change.
	Outbox(after uint64, maxBytes int) ([]codec.Event, error)
	// Commits receives a value after commits that wrote changes; one value may
	// stand for several commits.
	Commits() <-chan struct{}
	// Announced says that every change up to a revision was announced. With a
	// live feed it leaves the outbox then; that is not durable at once, so that
	// after a crash the last changes may be there again. With a durable feed it
	// waits for Synced, and Announced may go back.
	Announced(revision uint64)
	// AnnouncedRevision is what Announced was told last, or what was durable
	// when the store was opened.
	AnnouncedRevision() uint64
	// Synced says that every change up to a revision will not be lost by a
	// durable feed, whatever happens to its broker. The newest 100,000
	// revisions stay in the outbox all the same, but no more than 64 MiB.
	Synced(revision uint64)
}

// Continuity keeps the promise that no (epoch, revision) is ever used twice and
// that no follower misses a change without being told.
type Continuity interface {
	// FeedMode is what BeginFeed was told last, in this or an earlier process:
	// [codec.FeedLive], [codec.FeedDurable], or "": nobody follows this store,
	// and its outbox forgets.
	FeedMode() string
	// BeginFeed says how changes are announced from now on. It opens a new
	// epoch (codec.ReasonGap) where followers may miss something: a live feed
	// after the process was killed, a durable one after a live one.
	BeginFeed(mode string) error
	// NewEpoch begins an epoch at a revision above those of the store and of
	// another position, and returns its beginning when it is durable. Followers
	// learn the reason and load again.
	NewEpoch(reason string, above codec.Position) (codec.Position, error)
	// Release lets a store that was opened with [Options.Hold] take writes.
	Release()
}

// KV is the plain key-value store.
type KV interface {
	// Get returns the value of a key, or [codec.ErrNotFound].
	Get(key string) ([]byte, error)
	// Set stores a value that does not expire.
	Set(key string, value []byte) error
	// Delete removes a key; removing what is not there succeeds.
	Delete(key string) error
	// List returns every key that begins with prefix, in byte order.
	List(prefix string) ([]string, error)
}

// Services keeps one opaque record for each service name. It is stored as the
// instance of that name, so it is seen (without its data) and announced as any
// other instance.
type Services interface {
	// GetService returns the data, or [codec.ErrNotFound].
	GetService(name string) ([]byte, error)
	// SetService stores data for a TTL; 0 never expires.
	SetService(name string, data []byte, ttl time.Duration) error
	// DeleteService removes all instances of the name.
	DeleteService(name string) error
	// ListServices returns the names of all services, in byte order.
	ListServices() ([]string, error)
}

// Batches changes several keys at once: all or none.
type Batches interface {
	// BatchSet stores every pair. Over the limits of a batch it is
	// [codec.ErrTooLarge].
	BatchSet(items map[string][]byte) error
	// BatchDelete removes every key.
	BatchDelete(keys []string) error
}

// Maintenance keeps the data.
type Maintenance interface {
	// Backup writes the state of the last commit to a file: parents are
	// created, and the file appears whole or not at all.
	Backup(path string) error
	// StreamBackup writes the same to w while writing goes on.
	StreamBackup(w io.Writer) error
	// WriteBackup is StreamBackup, and says what it has written. It ends with
	// [codec.ErrUnavailable] where the store is closed or restored meanwhile.
	WriteBackup(w io.Writer) (BackupInfo, error)
	// Restore replaces the whole contents by those of a backup file, never
	// merging, and opens a new epoch.
	Restore(path string) error
	// Failed is closed when the store has stopped by itself, after a commit
	// that failed; Err says why. The process should then end.
	Failed() <-chan struct{}
	// Err is why the store stopped by itself, or nil.
	Err() error
	// Gauges says what the store has at this moment.
	Gauges() Gauges
	// Secret derives a key of 32 bytes from the store's own, for one purpose:
	// always the same. It is nil where the store is not encrypted.
	Secret(purpose string) []byte
	// Close applies what was submitted, answers it, ends all background work
	// and closes the data. Closing again does nothing.
	Close() error
}

// Transaction buffers writes and remembers what it read. It is for one
// goroutine.
type Transaction interface {
	// Get returns a value, the transaction's own write before the store's.
	Get(key string) ([]byte, error)
	// Set buffers a write.
	Set(key string, value []byte) error
	// Delete buffers a removal.
	Delete(key string) error
	// Commit applies the writes as one batch, on the condition that nothing
	// that was read has changed: [codec.ErrConflict] otherwise.
	Commit() error
	// Rollback drops the writes; after Commit it does nothing.
	Rollback() error
}
