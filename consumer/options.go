package consumer

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/engine"
	"github.com/settkv/sett/subjects"
)

// Store is what a consumer needs of a store: where commands are applied, reads
// are answered, and changes come from.
type Store interface {
	engine.Commands
	engine.Reader
	engine.Feed
	engine.Continuity
	// WriteBackup writes the state of the last commit while writing goes on.
	WriteBackup(w io.Writer) (engine.BackupInfo, error)
	// Failed is closed when the store has stopped by itself; Err says why.
	Failed() <-chan struct{}
	Err() error
}

// Options configures [Run]. Conn, Store and StoreID must be given; everything
// else has a default.
type Options struct {
	// Conn carries commands, reads and replies. The caller connects it, so
	// that it reconnects for ever, and closes it after Run.
	Conn *nats.Conn
	// Feed publishes the events. A connection of its own keeps a burst of
	// events from delaying replies. nil: Conn.
	Feed *nats.Conn
	// Interest tells whether anybody is subscribed to a subject. A broker in
	// this process can be asked; an event that nobody would get then costs no
	// message. nil: nobody knows, and every event is published.
	Interest func(subject string) bool
	Store    Store

	// FeedMode is [codec.FeedLive], [codec.FeedDurable], or "": the one in
	// which the store was served last or else, at the first time, durable where
	// the broker has JetStream.
	FeedMode string
	// Stream configures the stream of a durable feed.
	Stream StreamOptions

	// Prefix is what all subjects begin with, or "".
	Prefix subjects.Prefix
	// StoreID names the store, and the queue group of its subscriptions.
	StoreID string
	// Version is told by store.status.
	Version string

	// MaxPending and MaxPendingBytes bound what waits between NATS and the
	// store, for commands and for reads each, and in bytes for both together.
	// What is beyond is answered with overloaded. 0: 32,768 and 64 MiB.
	MaxPending      int
	MaxPendingBytes int
	// Readers is how many reads are answered at a time. 0: two for each
	// processor, at least four.
	Readers int

	// Ready is called once, when the subscriptions stand. nil: nobody asks.
	Ready func()
	// Discover registers the NATS services of the account as instances with
	// the tag [DiscoveredTag]. Who may answer $SRV.INFO there decides which.
	Discover bool
	// DiscoverTick says when to ask for them again. nil: every 5 s.
	DiscoverTick <-chan time.Time

	// Figures is told as JSON with the statistics of store.status, to who asks
	// $SRV.STATS: what others than the consumer measure. nil: there is nothing.
	Figures func() any

	// Stats receives the counters. nil: nobody reads them.
	Stats *Stats
	// Log takes what an operator should know. nil: slog.Default().
	Log *slog.Logger

	// StopTimeout bounds how long a clean stop waits for the engine, and for
	// the broker. 0: 10 s.
	StopTimeout time.Duration
	// BackupPatience is how long whoever asked for a backup may take to
	// acknowledge a piece of it. 0: 10 s.
	BackupPatience time.Duration
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Tick says when to look again whether the store serves alone. nil: every
	// 5 s.
	Tick <-chan time.Time
}

const (
	tickInterval = 5 * time.Second
	stopTimeout  = 10 * time.Second
)

// Validate says what is wrong with the options, if anything.
func (o *Options) Validate() error {
	switch {
	case o.Conn == nil:
		return errors.New("consumer: Options.Conn is missing")
	case o.Store == nil:
		return errors.New("consumer: Options.Store is missing")
	case o.StoreID == "":
		return errors.New("consumer: Options.StoreID is missing")
	}
	switch o.FeedMode {
	case "", codec.FeedLive, codec.FeedDurable:
	default:
		return fmt.Errorf("consumer: Options.FeedMode is %q", o.FeedMode)
	}
	return o.Prefix.Validate()
}

func (o *Options) feed() *nats.Conn {
	if o.Feed == nil {
		return o.Conn
	}
	return o.Feed
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

func (o *Options) now() func() time.Time {
	if o.Now == nil {
		return time.Now
	}
	return o.Now
}

func (o *Options) maxPending() int {
	if o.MaxPending <= 0 {
		return 32_768
	}
	return o.MaxPending
}

func (o *Options) maxPendingBytes() int {
	if o.MaxPendingBytes <= 0 {
		return 64 << 20
	}
	return o.MaxPendingBytes
}

func (o *Options) readers() int {
	if o.Readers <= 0 {
		return max(4, 2*runtime.GOMAXPROCS(0))
	}
	return o.Readers
}

func (o *Options) stopTimeout() time.Duration {
	if o.StopTimeout <= 0 {
		return stopTimeout
	}
	return o.StopTimeout
}
