package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
)

// bucketArgs checks the command line of an import from a bucket, and runs it.
func (im *importing) bucketArgs(cmd *cobra.Command, args []string) error {
	for _, name := range []string{"from-line"} {
		if cmd.Flags().Changed(name) {
			return usagef(cmd, "--%s is for files", name)
		}
	}
	bucket, ok := strings.CutPrefix(im.from, "jetstream:")
	if !ok || bucket == "" {
		return usagef(cmd, "--from is %q, but must be jetstream:BUCKET", im.from)
	}
	if len(args) > 1 {
		return usagef(cmd, "too many arguments: %q", args[1:])
	}
	if im.bucket = bucket; len(args) == 1 {
		im.prefix = args[0]
	}
	return im.fromBucket(cmd.Context())
}

func (im *importing) fromBucket(ctx context.Context) error {
	nc, err := im.dialSource()
	if err != nil {
		return err
	}
	defer nc.Close()
	to, done, err := im.importer()
	if err != nil {
		return err
	}
	defer done()
	b, err := im.openBucket(ctx, nc)
	if err != nil {
		return err
	}
	bar := im.a.newProgress("importing", int64(len(b.missing)), false)
	err = im.copyBucket(ctx, b, to, bar)
	bar.clear()
	if err != nil {
		return im.stoppedBucket(err, to)
	}
	if err := im.a.showImport(&to.report); err != nil {
		return err
	}
	if im.skipBad {
		return nil
	}
	return incomplete(&to.report)
}

// incomplete is the failure of an import that left something out.
func incomplete(r *importReport) error {
	const mend = "--skip-bad makes this no failure"
	text := one("key", r.LeftOut) + " of the bucket "
	switch {
	case r.LeftOut == 0:
		return nil
	case r.DryRun:
		return &exitError{status: 1, text: text + "would be left out", hint: mend}
	case r.LeftOut == 1:
		text += "was left out"
	default:
		text += "were left out"
	}
	return &exitError{status: 1, text: text, hint: "everything else is imported; " + mend}
}

// dialSource connects to where the bucket is: as to the store, unless flags
// say otherwise.
func (im *importing) dialSource() (*nats.Conn, error) {
	source := im.a.connect
	if im.fromContext != "" {
		source = connectFlags{context: im.fromContext} // with its own credentials
	}
	if im.fromServer != "" {
		source.server = im.fromServer
	}
	return source.dial(true, nats.Name("sett import"), nats.Timeout(im.a.timeout),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
}

// stoppedBucket is an import that ended early.
func (im *importing) stoppedBucket(err error, to *importer) error {
	e := &exitError{status: 1, text: err.Error()}
	if !im.dryRun {
		e.hint = fmt.Sprintf("%s imported before this; the same command again begins anew", one("key", to.report.Keys))
	}
	return withStatus(e, err)
}

// copyBucket reads the bucket to its end, and applies what the store takes.
func (im *importing) copyBucket(ctx context.Context, b *bucket, to *importer, bar *progress) error {
	defer b.close()
	for {
		messages, err := b.next(ctx)
		if err != nil {
			return err
		}
		if len(messages) == 0 {
			return to.flush(ctx)
		}
		for _, m := range messages {
			if err := im.copyMessage(ctx, b, m, to); err != nil {
				return err
			}
		}
		bar.add(int64(len(messages)))
	}
}

// copyMessage applies one message of the bucket's stream.
func (im *importing) copyMessage(ctx context.Context, b *bucket, m *bucketMessage, to *importer) error {
	name := strings.TrimPrefix(m.subject, b.subjects)
	if !strings.HasPrefix(name, im.prefix) {
		return nil
	}
	key := name
	if m.marker {
		to.report.Markers++
		return nil
	}
	if im.slashes {
		key = strings.ReplaceAll(name, ".", "/")
		if other, taken := b.slashed[key]; taken {
			to.report.leave(name, fmt.Sprintf("would be %s, as %s is already", key, other))
			return nil
		}
		b.slashed[key] = name
	}
	line := b.lineOf(m, key)
	alive, err := false, line.op.Validate()
	if err == nil {
		alive, err = line.due(time.Now(), im.fresh)
	}
	switch {
	case err != nil:
		to.report.leave(name, reason(err))
		return nil
	case !alive:
		to.report.Expired++
		return nil
	}
	_, err = to.add(ctx, line.op, 0)
	return err
}

// lineOf is the message as a line of an export would have it.
func (b *bucket) lineOf(m *bucketMessage, key string) *exportLine {
	op := &codec.Set{Key: key, Value: m.value}
	line := &exportLine{op: op}
	if ttl := b.ttlOf(m); ttl > 0 {
		op.TTLMs = codec.Millis(ttl)
		line.expiresAtMs = m.time.Add(ttl).UnixMilli()
	}
	return line
}

// reason is what an error says, without its code.
func reason(err error) string {
	if refusal, ok := errors.AsType[*codec.Error](err); ok {
		return refusal.Message
	}
	return err.Error()
}

// bucket reads the stream of a JetStream key-value bucket: nats.go's KeyValue
// hides the headers, and the TTLs are there.
//
// # Where it ends
//
// It begins with a list of the keys that there are, and ends when each of them
// has come. A consumer brings the last message of each, in the order of the
// stream. What is overwritten before its turn would come behind all others, and
// what is gone never, so what the consumer did not bring is asked for one by
// one. The consumer's own count of what is pending does not help: while the
// bucket is written to, it is 0 for moments.
type bucket struct {
	name     string
	subjects string // what the subjects of its keys begin with
	maxAge   time.Duration
	perKey   bool // messages may have TTLs of their own
	stream   jetstream.Stream
	consumer jetstream.Consumer
	last     uint64            // the stream's sequence at the start
	missing  map[string]uint64 // the subjects that have not come yet
	page     int               // how many messages are asked for at once
	ended    bool              // the consumer has brought what it has from before the start

	slashed map[string]string // the keys that came, by what they are with slashes
}

// bucketMessage is the last word on a key.
type bucketMessage struct {
	subject string
	value   []byte
	marker  bool // it is deleted
	ttl     string
	time    time.Time
}

// openBucket finds the bucket, and what there is in it now.
func (im *importing) openBucket(ctx context.Context, nc *nats.Conn) (*bucket, error) {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(im.a.timeout))
	if err != nil {
		return nil, err
	}
	b := &bucket{name: im.bucket, subjects: "$KV." + im.bucket + ".", slashed: make(map[string]string)}
	b.stream, err = js.Stream(ctx, "KV_"+im.bucket)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, &exitError{status: 3, text: fmt.Sprintf("there is no bucket %q on %s", im.bucket, nc.ConnectedUrlRedacted()),
			hint: "--from-server or --from-context say where it is"}
	case err != nil:
		return nil, b.failed(err)
	}
	if origin := b.stream.CachedInfo().Config.Mirror; origin != nil {
		b.subjects = "$KV." + strings.TrimPrefix(origin.Name, "KV_") + "."
	}
	filter := b.subjects + tokensOf(im.prefix) + ">"
	info, err := b.stream.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, b.failed(err)
	}
	b.maxAge, b.perKey, b.page = info.Config.MaxAge, info.Config.AllowMsgTTL, pageOf(info.State)
	b.last, b.missing = info.State.LastSeq, info.State.Subjects
	b.consumer, err = b.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
		AckPolicy:     jetstream.AckNonePolicy,
		FilterSubject: filter,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: 5 * time.Minute,
	})
	if err != nil {
		return nil, b.failed(err)
	}
	return b, nil
}

func (b *bucket) failed(err error) error { return fmt.Errorf("the bucket %s: %w", b.name, err) }

// tokensOf is a prefix of keys as far as whole tokens of a subject go.
func tokensOf(prefix string) string { return prefix[:strings.LastIndexByte(prefix, '.')+1] }

// close takes the consumer away; one that stays goes by itself.
func (b *bucket) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = b.stream.DeleteConsumer(ctx, b.consumer.CachedInfo().Name)
}

const (
	bucketPage  = 1000
	bucketBytes = 16 << 20    // of a page, as far as the average tells
	bucketWait  = time.Second // for a page that does not fill
)

// pageOf is how many messages of a stream are asked for at once.
func pageOf(state jetstream.StreamState) int {
	average := state.Bytes/max(state.Msgs, 1) + 1
	return int(min(max(bucketBytes/average, 16), bucketPage))
}

// next returns the messages that come next, and none at the end.
func (b *bucket) next(ctx context.Context) ([]*bucketMessage, error) {
	for len(b.missing) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		read := b.read
		if b.ended {
			read = b.fetchMissing
		}
		messages, err := read(ctx)
		if err != nil {
			return nil, b.failed(err)
		}
		if len(messages) > 0 {
			return messages, nil
		}
	}
	return nil, nil
}

// read takes a page of what the consumer brings.
func (b *bucket) read(context.Context) (messages []*bucketMessage, err error) {
	page, err := b.consumer.Fetch(min(b.page, len(b.missing)), jetstream.FetchMaxWait(bucketWait))
	if err != nil {
		return nil, err
	}
	b.ended = true
	for m := range page.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return nil, err
		}
		b.ended = meta.Sequence.Stream > b.last
		if b.take(m.Subject()) {
			messages = append(messages, newBucketMessage(m.Subject(), m.Headers(), m.Data(), meta.Timestamp))
		}
	}
	return messages, nil // what an error of the page left out is missing, and is asked for
}

// take says whether a key is still missing: it has come now. One that is new
// since the start is not.
func (b *bucket) take(subject string) bool {
	_, missing := b.missing[subject]
	delete(b.missing, subject)
	return missing
}

// fetchMissing asks for keys that the consumer did not bring.
func (b *bucket) fetchMissing(ctx context.Context) (messages []*bucketMessage, err error) {
	for subject := range b.missing {
		m, err := b.stream.GetLastMsgForSubject(ctx, subject)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound): // it expired, or was purged
		case err != nil:
			return nil, err
		default:
			messages = append(messages, newBucketMessage(subject, m.Header, m.Data, m.Time))
		}
		delete(b.missing, subject)
		if len(messages) == b.page {
			break
		}
	}
	return messages, nil
}

func newBucketMessage(subject string, h nats.Header, value []byte, at time.Time) *bucketMessage {
	operation := h.Get("KV-Operation")
	return &bucketMessage{
		subject: subject, value: value, time: at, ttl: h.Get(jetstream.MsgTTLHeader),
		marker: operation == "DEL" || operation == "PURGE" || h.Get(jetstream.MarkerReasonHeader) != "",
	}
}

// ttlOf is how long a message lives from its time on, as the server counts; 0
// is for ever. A message may say "never", and else goes by what ends first.
func (b *bucket) ttlOf(m *bucketMessage) time.Duration {
	if !b.perKey || m.ttl == "" {
		return b.maxAge
	}
	if strings.EqualFold(m.ttl, "never") {
		return 0
	}
	own, err := time.ParseDuration(m.ttl)
	if err != nil {
		own, err = time.ParseDuration(m.ttl + "s")
	}
	own = own.Truncate(time.Second)
	if err != nil || own <= 0 || b.maxAge > 0 && b.maxAge < own {
		return b.maxAge
	}
	return own
}
