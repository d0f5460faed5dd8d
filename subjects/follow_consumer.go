package subjects

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
)

// feedConsumer is a JetStream consumer of the stream that keeps the durable
// feed. It speaks JetStream's API itself, and of that only what a user may who
// is allowed one consumer name below one prefix: CONSUMER.CREATE, INFO, DELETE
// and MSG.NEXT. nats.go's own packages ask for the stream first, which shows
// every key.
type feedConsumer struct {
	c      *Client
	stream string
	name   string
	filter string // a subject of the stream, or "": all
	fixed  bool   // the name was given: another may have it
	keeps  bool   // it is durable: the server remembers what was acknowledged
	nonce  string // tells it from another one of the same name
}

// consumerConfig is JetStream's, as far as a follower needs it.
type consumerConfig struct {
	Name          string            `json:"name"`
	Durable       string            `json:"durable_name,omitempty"`
	DeliverPolicy string            `json:"deliver_policy"`
	StartSequence uint64            `json:"opt_start_seq,omitempty"`
	AckPolicy     string            `json:"ack_policy"`
	AckWait       time.Duration     `json:"ack_wait,omitempty"`
	MaxAckPending int               `json:"max_ack_pending,omitempty"`
	Filter        string            `json:"filter_subject,omitempty"`
	ReplayPolicy  string            `json:"replay_policy"`
	Inactive      time.Duration     `json:"inactive_threshold,omitempty"`
	Memory        bool              `json:"mem_storage,omitempty"`
	Metadata      map[string]string `json:"metadata,omitempty"`
}

// consumerInfo is what JetStream says of a consumer, or why it does not.
type consumerInfo struct {
	Config     consumerConfig `json:"config"`
	AckFloor   sequences      `json:"ack_floor"`
	NumPending uint64         `json:"num_pending"`
	Error      *streamErr     `json:"error"`
}

type sequences struct {
	Stream uint64 `json:"stream_seq"`
}

type streamErr struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

// What is asked of JetStream about a consumer. Permissions name it too: see
// [Grant].
const (
	consumerCreate = "CREATE" // with the filter appended
	consumerNext   = "MSG.NEXT"
	consumerInfos  = "INFO"
	consumerDelete = "DELETE"
)

// consumerCall is the subject to ask on.
func consumerCall(verb, stream, name string) string {
	return "$JS.API.CONSUMER." + verb + "." + stream + "." + name
}

// consumerAck is what the subjects begin with on which its messages are
// acknowledged.
func consumerAck(stream, name string) string { return "$JS.ACK." + stream + "." + name }

// What JetStream answers, by err_code.
const (
	errConsumerNotFound = 10014
	errConsumerExists   = 10148
	errNameInUse        = 10013
	errStreamNotFound   = 10059
)

const (
	metaNonce = "sett_follower"
	// inactive is how long the server keeps the consumer of a follower that has
	// gone without deleting it.
	inactive = time.Minute
)

// ackWait is after what time a durable consumer tells again what was not
// acknowledged: also to the next run, after one that was killed.
var ackWait = 5 * time.Second // a test shortens it

// config is what the consumer should be, told from a sequence on; 0: what is
// new.
//
// Without a place to remember nothing is acknowledged: the follower knows what
// it was told last. With one there is only one message on the way at a time, so
// that what comes again never comes behind what is newer.
func (f *feedConsumer) config(start uint64) consumerConfig {
	config := consumerConfig{
		Name: f.name, DeliverPolicy: "by_start_sequence", StartSequence: start, AckPolicy: "none",
		Filter: f.filter, ReplayPolicy: "instant", Inactive: inactive, Memory: true,
		Metadata: map[string]string{metaNonce: f.nonce},
	}
	if start == 0 {
		config.DeliverPolicy = "new"
	}
	if f.keeps {
		config.Durable, config.AckPolicy, config.AckWait, config.MaxAckPending = f.name, "explicit", ackWait, 1
		config.Inactive, config.Memory = 0, false
	}
	return config
}

// create makes the consumer. It begins behind its AckFloor.Stream, filter or
// not: start - 1, or more where the stream's history begins later.
func (f *feedConsumer) create(ctx context.Context, start uint64) (*consumerInfo, error) {
	call := consumerCall(consumerCreate, f.stream, f.name)
	if f.filter != "" {
		call += "." + f.filter
	}
	return f.ask(ctx, call, map[string]any{"stream_name": f.stream, "config": f.config(start), "action": "create"})
}

// info returns nil where there is no such consumer.
func (f *feedConsumer) info(ctx context.Context) (*consumerInfo, error) {
	info, err := f.ask(ctx, consumerCall(consumerInfos, f.stream, f.name), nil)
	if info != nil && info.Error != nil && info.Error.ErrCode == errConsumerNotFound {
		return nil, nil
	}
	return info, err
}

// remove deletes the consumer, if it is there.
func (f *feedConsumer) remove(ctx context.Context) error {
	info, err := f.ask(ctx, consumerCall(consumerDelete, f.stream, f.name), nil)
	if info != nil && info.Error != nil && info.Error.ErrCode == errConsumerNotFound {
		return nil
	}
	return err
}

// ask sends one request to JetStream. A refusal is an error beside the answer.
func (f *feedConsumer) ask(ctx context.Context, call string, request any) (*consumerInfo, error) {
	ctx, cancel := f.c.bound(ctx)
	defer cancel()
	m := nats.NewMsg(call)
	if request != nil {
		var err error
		if m.Data, err = json.Marshal(request); err != nil {
			return nil, err
		}
	}
	answer, err := exchange(ctx, f.c.nc, m, false)
	if err == nats.ErrNoResponders {
		return nil, codec.Errorf(codec.Unavailable, "the NATS server has no JetStream for this user, and so no durable feed to follow; %s", instead)
	}
	if err != nil {
		return nil, KVList.transportError(m.Subject, err)
	}
	info := &consumerInfo{}
	if err := json.Unmarshal(answer.Data, info); err != nil {
		return nil, codec.Errorf(codec.Internal, "%s: cannot read the answer of JetStream: %v", m.Subject, err)
	}
	return info, f.refusal(info.Error)
}

// instead is what remains where there is no durable feed.
const instead = "the live feed needs none (Follow, `sett watch`); `sett serve --feed durable` makes one"

// refusal says what it means that JetStream refused a request.
func (f *feedConsumer) refusal(e *streamErr) error {
	switch {
	case e == nil:
		return nil
	case e.ErrCode == errStreamNotFound:
		return codec.Errorf(codec.Unavailable, "there is no stream %s: the store's feed is live only; %s", f.stream, instead)
	case e.ErrCode == errConsumerExists, e.ErrCode == errNameInUse:
		return f.taken()
	case e.ErrCode == errConsumerNotFound:
		return codec.Errorf(codec.NotFound, "there is no consumer %s of the stream %s", f.name, f.stream)
	case e.Code == 503 || e.Code == 500 || e.Code == 408:
		return codec.Errorf(codec.Unavailable, "the stream %s: JetStream says: %s", f.stream, e.Description)
	}
	return codec.Errorf(codec.Invalid, "the consumer %s of the stream %s: JetStream says: %s (%d)", f.name, f.stream, e.Description, e.ErrCode)
}

func (f *feedConsumer) taken() error {
	return codec.Errorf(codec.Conflict, "another follower has taken over the consumer %s of the stream %s: each needs a name of its own", f.name, f.stream)
}

// pull asks for up to batch messages, to come to an inbox: as they happen, or
// only what is there.
func (f *feedConsumer) pull(inbox string, batch int, untilNow bool) error {
	pull := map[string]any{"batch": batch, "max_bytes": pullBytes, "expires": pullExpires, "idle_heartbeat": pullHeartbeat}
	if untilNow {
		pull = map[string]any{"batch": batch, "max_bytes": pullBytes, "no_wait": true}
	}
	request, err := json.Marshal(pull)
	if err != nil {
		return err
	}
	subject := consumerCall(consumerNext, f.stream, f.name)
	if err := f.c.nc.PublishRequest(subject, inbox, request); err != nil {
		return KVList.transportError(subject, err)
	}
	return nil
}

// Bounds of a pull. An event has at most 2 MiB.
const (
	pullBytes     = 8 << 20
	pullExpires   = 30 * time.Second
	pullHeartbeat = 5 * time.Second
	// silence is after what time without a message or a heartbeat nobody works
	// on a pull any more.
	silence = 3 * pullHeartbeat
)

// delivery is a message of the stream with what its reply subject tells.
type delivery struct {
	*nats.Msg
	sequence uint64 // in the stream
	number   uint64 // of the consumer's deliveries
	pending  uint64 // how many match the filter behind it
}

// delivered reads a message; ok is false where it is none of the stream.
func delivered(m *nats.Msg, stream string) (d delivery, ok bool) {
	meta, err := m.Metadata()
	if err != nil || meta.Stream != stream {
		return d, false
	}
	return delivery{m, meta.Sequence.Stream, meta.Sequence.Consumer, meta.NumPending}, true
}

// status is what the server says of a pull instead of a message: 100 is a
// heartbeat, 404 and 408 end it. 0: it is a message.
func status(m *nats.Msg) (code int, text string) {
	if len(m.Header) == 0 || strings.HasPrefix(m.Reply, "$JS.ACK.") {
		return 0, ""
	}
	code, _ = strconv.Atoi(m.Header.Get("Status")) // 0 where there is none
	return code, m.Header.Get("Description")
}
