package subjects

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/settkv/sett/codec"
)

// Options configures a [Client]. The zero value works: it asks the store whose
// subjects have no prefix, as a user who may touch every key.
type Options struct {
	// Prefix is the token that the store's subjects begin with
	// (`sett serve --subject-prefix`).
	Prefix Prefix
	// Scope is the prefix of keys, ending in "/", that the connection's user
	// is allowed. What does not name a key or prefix of its own then asks
	// within it: Apply and GetMany always, List and Follow where their prefix
	// is empty. "": everything, on the bare subjects.
	Scope string
	// Timeout bounds a call whose ctx has no deadline, its retry included.
	// 0: 5 s.
	Timeout time.Duration
	// FollowBuffer is how many events a Follow holds while its consumer is
	// busy; beyond it Follow loads again. 0: 8192.
	FollowBuffer int
}

// Validate says what is wrong with the options, if anything.
func (o *Options) Validate() error {
	if err := o.Prefix.Validate(); err != nil {
		return err
	}
	switch {
	case o.Scope != "" && !strings.HasSuffix(o.Scope, "/"):
		return codec.Invalidf("scope", `is %q, but must end in "/"`, o.Scope)
	case o.Timeout < 0:
		return codec.Invalidf("timeout", "must not be negative")
	case o.FollowBuffer < 0:
		return codec.Invalidf("follow-buffer", "must not be negative")
	}
	return nil
}

// Client asks a store over a NATS connection. Its methods may be called from
// any goroutine.
//
// # Errors
//
// What the store or the broker refuses is a *[codec.Error]; decide by
// errors.Is(err, [codec.ErrNotFound]) and the like. [codec.ErrUnavailable]
// says that nothing was applied: nobody answers, or the store takes no writes.
// [codec.ErrTimeout] and [codec.ErrInternal] say that a command may have been
// applied. [codec.ErrDenied] says that the broker does not allow the user this
// key. A ctx that is cancelled is [context.Canceled].
//
// # Retries
//
// A call that fails with a temporary error, or that is not answered within
// half of its time, asks once more. Every command carries a message id of its
// own, so that it is applied once however often it is asked.
//
// # Subjects
//
// What is about one key, service or prefix asks on the subject that ends in it
// (kv.get.config.host), so that NATS permissions apply; see
// `sett permissions`.
type Client struct {
	nc      *nats.Conn
	prefix  Prefix
	scope   string
	timeout time.Duration
	buffer  int
	check   time.Duration // how often a Follow looks whether it missed something
}

// NewClient returns a client over a connection, which stays the caller's:
// there is nothing to close. It does not ask whether a store is there.
func NewClient(nc *nats.Conn, opts Options) (*Client, error) {
	if nc == nil {
		return nil, codec.Invalidf("connection", "is nil")
	}
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	c := &Client{
		nc: nc, prefix: opts.Prefix, scope: opts.Scope,
		timeout: opts.Timeout, buffer: opts.FollowBuffer, check: 30 * time.Second,
	}
	if c.timeout == 0 {
		c.timeout = 5 * time.Second
	}
	if c.buffer == 0 {
		c.buffer = 8192
	}
	return c, nil
}

// Option changes one request. One that the request does not have is
// [codec.ErrInvalid], and nothing is asked.
type Option func(*call)

// call is a request on its way out.
type call struct {
	req   any
	msgID string
	err   error
}

// Do asks with any request of the contract, for the fields that the methods of
// [Client] do not show:
//
//	subjects.Do(ctx, c, subjects.SvcGet, &codec.GetService{Name: "web", Pick: codec.PickRandom, Limit: 1})
//
// The request belongs to Do until it returns: options and defaults are filled
// in.
func Do[Req, Resp any](ctx context.Context, c *Client, e Endpoint[Req, Resp], req *Req, opts ...Option) (*Resp, error) {
	ask := call{req: req}
	for _, opt := range opts {
		opt(&ask)
	}
	if ask.err != nil {
		return nil, ask.err
	}
	if ask.msgID == "" && e.Write {
		ask.msgID = nuid.Next()
	}
	m, err := e.message(c.prefix, c.tail(req), ask.msgID, req)
	if err != nil {
		return nil, err
	}
	if c.nc.IsClosed() {
		return nil, codec.Errorf(codec.Unavailable, "%s: the connection is closed", m.Subject)
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(c.timeout)
	}
	resp, err := e.askUntil(ctx, time.Now().Add(time.Until(deadline)/2), c.nc, m, req)
	left := time.Until(deadline)
	if !worthRetrying(err) || left <= 0 || pause(ctx, min(retryPause, left/4)) != nil {
		return resp, err
	}
	again, second := e.askUntil(ctx, deadline, c.nc, m, req)
	if errors.Is(err, codec.ErrTimeout) && worthRetrying(second) {
		return nil, err // the second was surely not applied, but the first may have been
	}
	return again, second
}

// retryPause is what a store that is busy or starting gets, at most.
const retryPause = 50 * time.Millisecond

// askUntil asks once.
func (e Endpoint[Req, Resp]) askUntil(ctx context.Context, deadline time.Time, conn Conn, m *nats.Msg, req *Req) (*Resp, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return e.ask(ctx, conn, m, req)
}

func worthRetrying(err error) bool {
	e, ok := errors.AsType[*codec.Error](err)
	return ok && (e.Temporary || e.Code == codec.Timeout)
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// bound gives ctx a deadline where it has none.
func (c *Client) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.timeout)
}

// tail is what to append to the subject of a request: the key, the name, or
// the prefix as far as whole tokens go.
func (c *Client) tail(req any) string {
	switch r := req.(type) {
	case *codec.Get:
		return Tokens(r.Key)
	case *codec.Set:
		return Tokens(r.Key)
	case *codec.Delete:
		return Tokens(r.Key)
	case *codec.Touch:
		return Tokens(r.Key)
	case *codec.Increment:
		return Tokens(r.Key)
	case *codec.GetService:
		return Tokens(r.Name)
	case *codec.Register:
		return Tokens(r.Name)
	case *codec.Heartbeat:
		return Tokens(r.Name)
	case *codec.Deregister:
		return Tokens(r.Name)
	case *codec.List:
		return scopeTokens(c.within(r.Prefix))
	case *codec.Clear:
		return scopeTokens(r.Prefix)
	case *codec.Batch, *codec.BatchGet:
		return scopeTokens(c.scope)
	}
	return ""
}

// within is a prefix of keys, or the scope where it is empty.
func (c *Client) within(prefix string) string {
	if prefix == "" {
		return c.scope
	}
	return prefix
}

// scopeTokens is the narrowest scope that a prefix of keys lies in, as it is
// appended: "config." for "config/" and for "config/ho", "" for "conf".
func scopeTokens(prefix string) string {
	end := strings.LastIndexByte(prefix, '/')
	if end < 0 {
		return ""
	}
	return Tokens(prefix[:end])
}
