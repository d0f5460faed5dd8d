package subjects

import (
	"context"
	"reflect"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
)

// Headers of the contract.
const (
	HeaderMsgID     = nats.MsgIdHdr
	HeaderError     = "Nats-Service-Error"
	HeaderErrorCode = "Nats-Service-Error-Code"
)

// Form says what may be appended to an endpoint's subject.
type Form uint8

// The forms of DESIGN: kv.get.<key>, svc.get.<name>, kv.list.<prefix>.
const (
	Bare   Form = iota // nothing
	Keyed              // the key, as Tokens writes it
	Named              // the service's name, as one token
	Scoped             // a prefix that everything inside must lie under
)

// Info describes an endpoint: one row of the contract. Any endpoint may refuse
// with invalid, too_large (a field over its limit), overloaded, unavailable
// and internal.
type Info struct {
	Subject  string       // without prefix: "kv.set"
	Form     Form         // what may be appended
	Write    bool         // a command: applied in order, answered once durable
	Doc      string       // one sentence
	Codes    []codec.Code // refusals of its own, beside those that any may have (see below)
	Request  reflect.Type // the struct that is asked with
	Reply    reflect.Type // the struct that is answered with
	Chunk    reflect.Type // the struct of the messages that come before the reply; nil: none do
	maxBytes int          // of the request's payload; 0: what the broker allows
}

// Endpoint is one subject that the store answers: the server decodes with it
// and a Go program asks with it, so that the two cannot drift apart.
type Endpoint[Req, Resp any] struct{ *Info }

// request is what every request type of codec can do.
type request interface{ Validate() error }

// bound is a request that a subject can carry a key, a name or a scope for.
type bound interface{ Bind(string) error }

// Decode reads a request: tail is what the subject has appended. Its error is
// always a *[codec.Error]; the encoding is the one to answer in, also then.
func (e Endpoint[Req, Resp]) Decode(tail string, payload []byte) (*Req, codec.Encoding, error) {
	req := new(Req)
	enc, err := e.decode(tail, payload, req)
	return req, enc, err
}

// Command reads a command of a write endpoint, as [Endpoint.Decode] does.
func (i *Info) Command(tail string, payload []byte) (codec.Command, codec.Encoding, error) {
	cmd := codec.NewCommand(i.Subject)
	enc, err := i.decode(tail, payload, cmd)
	return cmd, enc, err
}

func (i *Info) decode(tail string, payload []byte, req any) (codec.Encoding, error) {
	enc, err := codec.DecodeRequest(payload, req)
	if err != nil {
		return enc, err
	}
	if err := i.checkSize(len(payload)); err != nil {
		return enc, err
	}
	if tail != "" {
		if err := i.bind(tail, req); err != nil {
			return enc, err
		}
	}
	return enc, req.(request).Validate()
}

func (i *Info) bind(tail string, req any) error {
	b, ok := req.(bound)
	if !ok || i.Form == Bare {
		return codec.Invalidf("subject", "%s takes nothing appended", i.Subject)
	}
	what, err := Key(tail)
	if err != nil {
		return err
	}
	if i.Form == Scoped {
		what += "/"
	}
	return b.Bind(what)
}

// Request asks the store once and waits for its answer. A refusal is a
// *[codec.Error]; no responders is [codec.ErrUnavailable], no answer within
// ctx is [codec.ErrTimeout], and [codec.ErrDenied] where the broker said so.
// With a msgID (1 to 128 bytes, or "") a command that is asked again is
// applied once. tail is what to append to the subject, or "". Defaults are
// filled into req. [Do] is the same with retries, and simpler to call.
func (e Endpoint[Req, Resp]) Request(ctx context.Context, conn Conn, p Prefix, tail, msgID string, req *Req) (*Resp, error) {
	m, err := e.message(p, tail, msgID, req)
	if err != nil {
		return nil, err
	}
	return e.ask(ctx, conn, m, req)
}

// message is the request as it travels. Asked again it must be these bytes.
func (i *Info) message(p Prefix, tail, msgID string, req any) (*nats.Msg, error) {
	if err := req.(request).Validate(); err != nil {
		return nil, err
	}
	m := &nats.Msg{Subject: p.Wrap(i.Subject), Data: codec.Append(nil, codec.Msgpack, req)}
	if err := i.checkSize(len(m.Data)); err != nil {
		return nil, err
	}
	if tail != "" {
		m.Subject += "." + tail
	}
	if msgID != "" {
		if len(msgID) > codec.MaxMsgID || headerSafe(msgID) != msgID {
			return nil, codec.Invalidf(HeaderMsgID, "must be 1 to %d bytes without control characters", codec.MaxMsgID)
		}
		m.Header = nats.Header{HeaderMsgID: {msgID}}
	}
	return m, nil
}

func (i *Info) checkSize(bytes int) error {
	if i.maxBytes == 0 || bytes <= i.maxBytes {
		return nil
	}
	e := codec.Errorf(codec.TooLarge, "%s: the request has %d bytes, the limit is %d", i.Subject, bytes, i.maxBytes)
	e.Limit = int64(i.maxBytes)
	return e
}

// ask sends the message and reads the answer.
func (e Endpoint[Req, Resp]) ask(ctx context.Context, conn Conn, m *nats.Msg, req *Req) (*Resp, error) {
	answer, err := exchange(ctx, conn, m, !e.Write || m.Header != nil) // with an id a command is applied once
	if err != nil {
		return nil, e.transportError(m.Subject, err)
	}
	if err := ReplyError(answer); err != nil {
		return nil, err
	}
	resp := newReply[Resp](req)
	if err := codec.Decode(answer.Data, resp); err != nil {
		return nil, codec.Errorf(codec.Internal, "%s: the reply cannot be read: %v", e.Subject, err)
	}
	return resp, nil
}

// newReply returns the empty reply to a request; that of a batch must know its
// ops to be decoded.
func newReply[Resp any](req any) *Resp {
	if cmd, ok := req.(codec.Command); ok {
		return any(cmd.NewReply()).(*Resp)
	}
	return new(Resp)
}

// ReplyError returns the refusal that an answer carries, or nil.
func ReplyError(m *nats.Msg) error {
	status := m.Header.Get(HeaderErrorCode)
	if status == "" {
		return nil
	}
	refused := &codec.Error{}
	if err := codec.Decode(m.Data, refused); err != nil || refused.Code == "" {
		return codec.Errorf(codec.Internal, "status %s: %s", status, m.Header.Get(HeaderError))
	}
	return refused
}

// ErrorReply is the answer that carries a refusal: the other half of
// [ReplyError].
func ErrorReply(subject string, enc codec.Encoding, e *codec.Error) *nats.Msg {
	return &nats.Msg{
		Subject: subject,
		Header: nats.Header{
			HeaderError:     {headerSafe(e.Message)},
			HeaderErrorCode: {strconv.Itoa(e.Code.Status())},
		},
		Data: codec.Append(nil, enc, e),
	}
}

// headerSafe keeps a sentence that quotes a request on one line.
func headerSafe(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
