package engine

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/settkv/sett/codec"
)

// Kinds of engine.
const (
	Badger = "badger" // on disk
	Memory = "memory" // gone when the process ends
)

// Options configures a store. The zero value of each field works, but for Dir
// of a badger engine.
type Options struct {
	// Kind is Badger (the default) or Memory.
	Kind string
	// Dir holds the data: Dir/identity and Dir/store. It is created with mode
	// 0700. A memory engine takes none.
	Dir string
	// NoSync acknowledges before the disk has the data: faster, and a power
	// loss may then lose acknowledged writes. A killed process loses none.
	NoSync bool
	// EncryptionKey, of 16, 24 or 32 random bytes, encrypts all that is written
	// to the disk, backups too. nil: nothing is encrypted. It is needed again
	// whenever the store is opened; a store is encrypted from its beginning or
	// never. A memory engine takes none.
	EncryptionKey []byte
	// EncryptionRotation is how long Badger uses one of its own data keys, which
	// the encryption key protects. 0: a week.
	EncryptionRotation time.Duration
	// PlainBackups has an encrypted store write backups that anyone can read.
	PlainBackups bool
	// FeedEncoding is that of the events in the outbox. JSON costs more bytes
	// and reads everywhere; Msgpack is the zero value.
	FeedEncoding codec.Encoding
	// Hold begins without taking writes, and without ending what is past its
	// deadline, until Release: a store whose directory may be an old copy must
	// see its feed before it uses a revision. Writes are unavailable meanwhile.
	Hold bool
	// OutboxMax bounds the bytes of changes that wait to be announced; beyond
	// it commands that change anything are unavailable. 0: 1 GiB.
	OutboxMax int64
	// OutboxKeep bounds the bytes that were announced and are not yet synced.
	// 0: 1 GiB.
	OutboxKeep int64
	// DiskReserve is what must stay free on the disk: below it commands that
	// write anything are unavailable, but down to a half of it not those that
	// only remove. 0: 128 MiB, and as much as the data take,
	// up to 1 GiB more, since compaction writes them anew before it removes the
	// old.
	DiskReserve int64
	// QueueCommands and QueueBytes bound what waits for the writer; beyond
	// either Submit is overloaded. 0: 65,536 commands, 64 MiB.
	QueueCommands int
	QueueBytes    int
	// CacheBytes bounds the values kept in memory beside the disk's own cache.
	// 0: 64 MiB; negative: none.
	CacheBytes int64
	// Now is the clock. nil: the wall clock at opening, then the monotonic one.
	Now func() time.Time
	// After waits on that clock, as time.After does. nil: time.After.
	After func(time.Duration) <-chan time.Time
	// GCInterval is how often the value log is collected. 0: 5 minutes.
	GCInterval time.Duration
	// Stats measures what the store does. nil: nobody reads it.
	Stats *Stats
	// Version is told by Status.
	Version string
	// noExpirer is for tests that call sweep themselves.
	noExpirer bool
	// Log takes what an operator should know. nil: slog.Default().
	Log *slog.Logger
}

// Validate says what is wrong with the options, if anything.
func (o *Options) Validate() error {
	if o.EncryptionKey != nil {
		if err := CheckKey(o.EncryptionKey); err != nil {
			return fmt.Errorf("engine: %w", err)
		}
	}
	switch o.Kind {
	case "", Badger:
		if o.Dir == "" {
			return fmt.Errorf("engine: a badger engine needs a data directory")
		}
	case Memory:
		if o.EncryptionKey != nil {
			return fmt.Errorf("engine: a memory engine writes nothing that could be encrypted")
		}
	default:
		return fmt.Errorf("engine: unknown engine %q; it is %s or %s", o.Kind, Badger, Memory)
	}
	return nil
}

func (o *Options) log() *slog.Logger {
	if o.Log == nil {
		return slog.Default()
	}
	return o.Log
}

func (o *Options) stats() *Stats {
	if o.Stats == nil {
		return new(Stats)
	}
	return o.Stats
}

func (o *Options) queueCommands() int { return orDefault(o.QueueCommands, 65_536) }
func (o *Options) queueBytes() int    { return orDefault(o.QueueBytes, 64<<20) }
func (o *Options) cacheBytes() int64  { return orDefault(o.CacheBytes, 64<<20) }
func (o *Options) outboxMax() int64   { return orDefault(o.OutboxMax, 1<<30) }
func (o *Options) outboxKeep() int64  { return orDefault(o.OutboxKeep, 1<<30) }

// backupKey encrypts backups; nil: they are not.
func (o *Options) backupKey() []byte {
	if o.PlainBackups {
		return nil
	}
	return o.EncryptionKey
}

func (o *Options) encryptionRotation() time.Duration {
	return orDefault(o.EncryptionRotation, 7*24*time.Hour)
}

func (o *Options) gcInterval() time.Duration { return orDefault(o.GCInterval, 5*time.Minute) }

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
