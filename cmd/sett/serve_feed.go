package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/consumer"
	"github.com/settkv/sett/engine"
)

// feedFlags are those of the change feed.
type feedFlags struct {
	mode, encoding        string
	maxBytes              byteSize
	maxAge, syncInterval  time.Duration
	replicas              int
	storage               string
	adopt                 bool
	outboxMax, outboxKeep byteSize
}

func (f *feedFlags) add(fs *pflag.FlagSet) {
	f.maxBytes, f.outboxMax, f.outboxKeep = 1<<30, 1<<30, 1<<30
	fs.StringVar(&f.mode, "feed", "", "`MODE` of the change feed: durable (kept by a JetStream stream) or live (default: as before; at first durable where the broker has JetStream)")
	fs.StringVar(&f.encoding, "feed-encoding", "json", "`FORMAT` of change events: json or msgpack")
	fs.Var(&f.maxBytes, "feed-max-bytes", "the durable feed keeps about so many bytes, then drops the oldest changes (-1: keeps all)")
	addDuration(fs, "feed-max-age", "the durable feed drops changes older than `DURATION` (0: no limit); deleted values can be read in it that long", &f.maxAge)
	fs.IntVar(&f.replicas, "feed-replicas", 1, "`N` servers of a cluster keep the durable feed")
	fs.StringVar(&f.storage, "feed-storage", "file", "`WHERE` the durable feed is kept: file or memory")
	addDuration(fs, "feed-sync-interval", "sync_interval, a `DURATION`, of the NATS server that keeps the durable feed (default: the embedded one's, else 2m)", &f.syncInterval)
	fs.BoolVar(&f.adopt, "adopt-feed", false, "take over a durable feed that another store has filled; followers load again")
	fs.Var(&f.outboxMax, "outbox-max", "writes are unavailable while so many bytes of changes wait for the feed's broker")
	fs.Var(&f.outboxKeep, "outbox-keep", "bytes of announced changes that are kept until the broker has synced them")
}

func (f *feedFlags) validate() error {
	switch f.mode {
	case "", codec.FeedLive, codec.FeedDurable:
	default:
		return fmt.Errorf("--feed is %q, but must be durable or live", f.mode)
	}
	switch f.storage {
	case "file", "memory":
	default:
		return fmt.Errorf("--feed-storage is %q, but must be file or memory", f.storage)
	}
	for name, wrong := range map[string]bool{
		"feed-max-bytes": f.maxBytes == 0 || f.maxBytes < -1,
		"outbox-max":     f.outboxMax <= 0, "outbox-keep": f.outboxKeep <= 0,
	} {
		if wrong {
			return fmt.Errorf("--%s must be positive", name)
		}
	}
	if f.replicas < 1 || f.replicas > 5 {
		return fmt.Errorf("--feed-replicas is %d, but must be 1 to 5", f.replicas)
	}
	_, err := f.format()
	return err
}

func (f *feedFlags) format() (codec.Encoding, error) {
	switch f.encoding {
	case "json":
		return codec.JSON, nil
	case "msgpack":
		return codec.Msgpack, nil
	}
	return 0, fmt.Errorf("--feed-encoding is %q, but must be json or msgpack", f.encoding)
}

// engine sets what the engine must know; the flags are valid.
func (f *feedFlags) engine(o *engine.Options) {
	o.FeedEncoding, _ = f.format()
	o.Hold = true
	o.OutboxMax, o.OutboxKeep = int64(f.outboxMax), int64(f.outboxKeep)
}

// stream configures the durable feed's stream. Whatever a memory store finds in
// it is of another store.
func (f *feedFlags) stream(embedded, memory bool) consumer.StreamOptions {
	o := consumer.StreamOptions{
		MaxBytes: int64(f.maxBytes), MaxAge: f.maxAge, Replicas: f.replicas, Memory: f.storage == "memory",
		SyncInterval: f.syncInterval, Adopt: f.adopt || memory,
	}
	if o.SyncInterval == 0 && embedded {
		o.SyncInterval = brokerSync
	}
	return o
}
