package subjects

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
)

// Conn is what a request needs of a NATS connection; *nats.Conn is one.
type Conn interface {
	RequestMsgWithContext(ctx context.Context, m *nats.Msg) (*nats.Msg, error)
}

// watched is a connection that tells what the broker refused, as *nats.Conn
// does.
type watched interface {
	LastError() error
	FlushWithContext(ctx context.Context) error
	NewRespInbox() string
}

// deniedAfter is how long a request waits before it asks why nothing came.
const deniedAfter = 100 * time.Millisecond

// exchange sends a request and waits for its answer. The broker does not
// answer a request that it denies: it tells the connection beside, before its
// next pong. So a request that waits long pings, and then reads the last error
// of the connection, whose error handler stays the user's own.
//
// Where another request was denied at the same time, that error may hide this
// one's. A request that may be repeated is then sent again, one at a time.
func exchange(ctx context.Context, conn Conn, m *nats.Msg, repeatable bool) (*nats.Msg, error) {
	w, ok := conn.(watched)
	if !ok {
		return conn.RequestMsgWithContext(ctx, m)
	}
	answer, err := attempt(ctx, conn, w, m, repeatable, deniedAfter, func() {})
	for err == errHidden {
		select {
		case suspect <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		answer, err = attempt(ctx, conn, w, m, repeatable, suspectAfter, sync.OnceFunc(func() { <-suspect }))
	}
	return answer, err
}

// suspect is held by the one request that finds out whether it is denied.
var suspect = make(chan struct{}, 1)

// suspectAfter is how long it waits before it asks: it was surely sent by then.
const suspectAfter = 5 * time.Millisecond

// errHidden says that a request may have been denied.
var errHidden = errors.New("subjects: the connection had another error meanwhile")

// attempt sends a request once. It calls probed when it has asked the broker,
// and at its end.
func attempt(ctx context.Context, conn Conn, w watched, m *nats.Msg, repeatable bool, after time.Duration, probed func()) (*nats.Msg, error) {
	defer probed()
	before := w.LastError()
	waiting, found := context.WithCancelCause(ctx)
	defer found(nil)
	probe := time.AfterFunc(after, func() {
		defer probed()
		if w.FlushWithContext(waiting) != nil {
			return
		}
		if err := denial(w, before, m.Subject); err != nil {
			found(err)
		} else if repeatable && hidden(w, before) {
			found(errHidden)
		}
	})
	defer probe.Stop()
	answer, err := conn.RequestMsgWithContext(waiting, m)
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() == nil:
		return nil, context.Cause(waiting)
	case errors.Is(err, context.DeadlineExceeded):
		if refusal := denial(w, before, m.Subject); refusal != nil {
			return nil, refusal
		}
	}
	return answer, err
}

// hidden says that the broker has refused something since before.
func hidden(w watched, before error) bool {
	err := w.LastError()
	return errors.Is(err, nats.ErrPermissionViolation) && !errors.Is(before, err)
}

// denial returns the broker's refusal to publish on a subject, if there is one
// since before, or to subscribe to the inbox that answers come to.
func denial(w watched, before error, subject string) error {
	err := w.LastError()
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	if !errors.Is(before, err) && strings.Contains(err.Error(), `Publish to "`+subject+`"`) {
		return err
	}
	// The inbox is subscribed to once, so that refusal may be an old one.
	inbox := w.NewRespInbox()
	inbox = inbox[:strings.LastIndexByte(inbox, '.')+1]
	if strings.Contains(err.Error(), `Subscription to "`+inbox) {
		return err
	}
	return nil
}

// transportErr is a failure to get an answer: one of codec's errors for
// programs that decide by them, and what nats.go said for those that ask.
type transportErr struct {
	refusal *codec.Error
	cause   error
}

// Error returns the refusal's sentence, which has the cause in it.
func (e *transportErr) Error() string { return e.refusal.Error() }

// Unwrap returns the refusal and the cause.
func (e *transportErr) Unwrap() []error { return []error{e.refusal, e.cause} }

// transportError says what it means that no answer came. Only what surely was
// not sent is unavailable: a command that was sent may have been applied.
func (i *Info) transportError(subject string, err error) error {
	code, hint := codec.Internal, ""
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, nats.ErrNoResponders):
		code, hint = codec.Unavailable, "nobody answers; is `sett serve` running on this broker? "
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		code = codec.Timeout
	case errors.Is(err, nats.ErrDisconnected):
		code, hint = codec.Timeout, "the connection was lost before the answer came: "
	case errors.Is(err, nats.ErrConnectionClosed):
		code = codec.Unavailable
		if i.Write {
			code = codec.Timeout // it was perhaps closed while the answer was on its way
		}
	case errors.Is(err, nats.ErrMaxPayload):
		code = codec.TooLarge
	case errors.Is(err, nats.ErrPermissionViolation):
		code = codec.Denied
		if strings.Contains(err.Error(), "Subscription to") {
			hint = "the answer's inbox is not allowed (see nats.CustomInboxPrefix): "
		}
	case errors.Is(err, nats.ErrConnectionDraining), errors.Is(err, nats.ErrNoServers),
		errors.Is(err, nats.ErrConnectionReconnecting), errors.Is(err, nats.ErrReconnectBufExceeded):
		code = codec.Unavailable
	}
	return &transportErr{codec.Errorf(code, "%s: %s%v", subject, hint, err), err}
}
