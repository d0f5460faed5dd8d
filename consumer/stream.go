package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/settkv/sett/subjects"
)

// StreamOptions configures the stream of a durable feed.
type StreamOptions struct {
	// MaxBytes and MaxAge bound what it keeps; the oldest goes first. 0 bytes:
	// 1 GiB; -1: all. 0 age: no limit.
	MaxBytes int64
	MaxAge   time.Duration
	// Replicas and Memory say where; a single server has 1 replica. 0: 1.
	Replicas int
	Memory   bool
	// SyncInterval is how often its server syncs it to disk. 0: 2 minutes,
	// JetStream's default.
	SyncInterval time.Duration
	// Adopt takes over a stream that another store has filled.
	Adopt bool
}

const (
	defaultStreamBytes  = 1 << 30
	defaultSyncInterval = 2 * time.Minute
)

// Metadata of the stream: whose it is, its latest epoch, and the revision with
// which that began. Sequences below it may be missing.
const (
	metaStore = "sett_store_id"
	metaEpoch = "sett_epoch"
	metaBegan = "sett_epoch_revision"
)

// streamMeta is what the metadata say.
type streamMeta struct {
	store        string
	epoch, began uint64
}

func parseMeta(m map[string]string) streamMeta {
	epoch, _ := strconv.ParseUint(m[metaEpoch], 10, 64) // 0 where it is not ours
	began, _ := strconv.ParseUint(m[metaBegan], 10, 64)
	return streamMeta{store: m[metaStore], epoch: epoch, began: began}
}

// into returns metadata with its own put over others: the server's stay.
func (m streamMeta) into(other map[string]string) map[string]string {
	all := maps.Clone(other)
	if all == nil {
		all = make(map[string]string, 3)
	}
	all[metaStore] = m.store
	all[metaEpoch] = strconv.FormatUint(m.epoch, 10)
	all[metaBegan] = strconv.FormatUint(m.began, 10)
	return all
}

func (m streamMeta) description() string {
	return "every change of the sett store " + m.store + ": the message of revision N has sequence N"
}

// ingest is what a new stream's own subject begins with. Nobody can guess it:
// JetStream answers on any reply subject that the user of a consumer names, with
// a message that the stream would take in.
func ingest(p subjects.Prefix) string { return p.Private("feed." + nuid.Next() + ".") }

// ingestOf is what a stream's own subject begins with; "" where it is none of
// sett's.
func ingestOf(p subjects.Prefix, config *jetstream.StreamConfig) string {
	if len(config.Subjects) != 1 || !strings.HasPrefix(config.Subjects[0], p.Private("feed.")) {
		return ""
	}
	return strings.TrimSuffix(config.Subjects[0], ">")
}

// config is what the stream must be. It takes in the private subject alone, so
// that nobody else's message shifts a sequence, and keeps each message under its
// public subject. It republishes nothing: that costs the server a search for the
// subject's last message each time, and loses some at a change of its leader.
func (o *StreamOptions) config(p subjects.Prefix, ingest string, first uint64, meta streamMeta) jetstream.StreamConfig {
	storage, persist := jetstream.FileStorage, jetstream.DefaultPersistMode
	switch {
	case o.Memory:
		storage = jetstream.MemoryStorage
	case o.Replicas <= 1:
		// A write for many messages, and not one for each. A broker that is
		// killed then loses its tail, which it gets again, and shows no hole.
		persist = jetstream.AsyncPersistMode
	}
	return jetstream.StreamConfig{
		Name:             p.Stream(),
		Description:      meta.description(),
		Subjects:         []string{ingest + ">"},
		SubjectTransform: &jetstream.SubjectTransformConfig{Source: ingest + ">", Destination: p.Wrap(">")},
		FirstSeq:         first,
		MaxBytes:         o.maxBytes(),
		MaxAge:           o.MaxAge,
		Replicas:         max(1, o.Replicas),
		Storage:          storage,
		Discard:          jetstream.DiscardOld,
		Compression:      jetstream.NoCompression,
		PersistMode:      persist,
		DenyDelete:       true,
		Metadata:         meta.into(nil),
	}
}

func (o *StreamOptions) maxBytes() int64 {
	if o.MaxBytes == 0 {
		return defaultStreamBytes
	}
	return o.MaxBytes
}

// syncedAfter is how long the broker surely needs to have a message on disk.
func (o *StreamOptions) syncedAfter() time.Duration {
	interval := o.SyncInterval
	if interval == 0 {
		interval = defaultSyncInterval
	}
	return max(3*interval, 10*time.Second)
}

// update puts what may have changed over an existing configuration; changed
// says whether anything has.
func (o *StreamOptions) update(have jetstream.StreamConfig, p subjects.Prefix, ingest string) (want jetstream.StreamConfig, changed bool) {
	ours := o.config(p, ingest, have.FirstSeq, parseMeta(have.Metadata))
	want = have
	want.Subjects, want.SubjectTransform = ours.Subjects, ours.SubjectTransform
	want.MaxBytes, want.MaxAge, want.Replicas = ours.MaxBytes, ours.MaxAge, ours.Replicas
	return want, ingestOf(p, &have) != ingest ||
		want.MaxBytes != have.MaxBytes || want.MaxAge != have.MaxAge || want.Replicas != have.Replicas
}

// create makes the stream, without what an older server does not know.
func (f *durableFeed) create(ctx context.Context, first uint64, meta streamMeta) (*jetstream.StreamInfo, error) {
	config := f.o.config(f.prefix, f.ingest, first, meta)
	stream, err := f.js.CreateStream(ctx, config)
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok && refused.ErrorCode == errCodeConfig {
		config.PersistMode = jetstream.DefaultPersistMode
		stream, err = f.js.CreateStream(ctx, config)
	}
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok && refused.ErrorCode == errCodeStorage {
		err = fmt.Errorf("create the stream %s: %w for the %d MiB that it may take: give a smaller --feed-max-bytes, or JetStream more room (max_file)",
			config.Name, err, config.MaxBytes>>20)
		if f.stream == nil {
			return nil, fatal{err} // at the start; later there may be room again
		}
		return nil, err
	}
	if err != nil {
		return nil, lasting(fmt.Errorf("create the stream %s: %w", config.Name, err))
	}
	f.log.Info("the stream of the change feed was created", "stream", config.Name, "first", max(1, first))
	return stream.CachedInfo(), nil
}

const (
	errCodeConfig   = 10025 // a configuration that the server does not know
	errCodeReplicas = 10074 // more than one replica, on a single server
	errCodeChange   = 10052 // a change that this stream cannot take
	errCodeStorage  = 10047 // it may grow beyond what JetStream has
)

// lasting makes an error fatal where the server would refuse the same request
// each time: what it was asked for is wrong.
func lasting(err error) error {
	refused, ok := errors.AsType[*jetstream.APIError](err)
	if ok && (refused.Code == http.StatusBadRequest || refused.ErrorCode == errCodeReplicas || refused.ErrorCode == errCodeChange) {
		return fatal{err}
	}
	return err
}

// change changes the configuration of the stream, and looks at it again: nobody
// else brings a message into it now.
func (f *durableFeed) change(ctx context.Context, info *jetstream.StreamInfo, want jetstream.StreamConfig) error {
	if _, err := f.js.UpdateStream(ctx, want); err != nil {
		hint := ""
		if want.Replicas > 1 && want.PersistMode == jetstream.AsyncPersistMode {
			hint = fmt.Sprintf("; it was made for 1 replica: stop the store and delete the stream (nats stream rm %s), and it is made anew", want.Name)
		}
		return lasting(fmt.Errorf("change the stream %s: %w%s", want.Name, err, hint))
	}
	again, err := f.info(ctx)
	if err == nil && again == nil {
		err = fmt.Errorf("change the stream %s: %w", want.Name, jetstream.ErrStreamNotFound)
	}
	if err == nil {
		*info = *again
	}
	return err
}

// info is what the server says of the stream, missing sequences included; nil
// where there is none.
func (f *durableFeed) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	stream, err := f.js.Stream(ctx, f.prefix.Stream())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at the stream %s: %w", f.prefix.Stream(), err)
	}
	info := stream.CachedInfo()
	if missing(&info.State) == 0 {
		return info, nil
	}
	return stream.Info(ctx, jetstream.WithDeletedDetails(true))
}

// missing counts the sequences between the first and the last that have no
// message.
func missing(s *jetstream.StreamState) uint64 {
	if s.Msgs == 0 {
		return 0
	}
	return s.LastSeq - s.FirstSeq + 1 - s.Msgs
}

// missingSince counts the missing sequences that its epoch should have.
func missingSince(s *jetstream.StreamState, began uint64) uint64 {
	n := missing(s)
	for _, sequence := range s.Deleted {
		if sequence < began && n > 0 {
			n--
		}
	}
	return n
}

// message is the payload of a message of the stream.
func (f *durableFeed) message(ctx context.Context, sequence uint64) ([]byte, error) {
	stream, err := f.js.Stream(ctx, f.prefix.Stream())
	if err != nil {
		return nil, err
	}
	m, err := stream.GetMsg(ctx, sequence)
	if err != nil {
		return nil, fmt.Errorf("read message %d of the stream %s: %w", sequence, f.prefix.Stream(), err)
	}
	return m.Data, nil
}

// note writes what the metadata should say.
func (f *durableFeed) note(ctx context.Context, info *jetstream.StreamInfo, meta streamMeta) error {
	config := info.Config
	config.Metadata, config.Description = meta.into(config.Metadata), meta.description()
	stream, err := f.js.UpdateStream(ctx, config)
	if err != nil {
		return fmt.Errorf("note epoch %d in the stream %s: %w", meta.epoch, config.Name, err)
	}
	*info = *stream.CachedInfo()
	return nil
}
