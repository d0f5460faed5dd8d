package subjects_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// responder answers requests by a script, one answer for each, the last one
// for all that follow. nil does not answer.
type responder struct {
	mu       sync.Mutex
	requests []*nats.Msg
	script   []func(m *nats.Msg) *nats.Msg
	seen     chan *nats.Msg
}

func respond(t *testing.T, nc *nats.Conn, subject string, script ...func(m *nats.Msg) *nats.Msg) *responder {
	t.Helper()
	r := &responder{script: script, seen: make(chan *nats.Msg, 100)}
	_, err := nc.Subscribe(subject, func(m *nats.Msg) {
		r.mu.Lock()
		answer := r.script[min(len(r.requests), len(r.script)-1)]
		r.requests = append(r.requests, m)
		r.mu.Unlock()
		r.seen <- m
		if reply := answer(m); reply != nil {
			reply.Subject = m.Reply
			_ = nc.PublishMsg(reply)
		}
	})
	if err = errors.Join(err, nc.Flush()); err != nil {
		t.Fatal(err)
	}
	return r
}

func silence(*nats.Msg) *nats.Msg { return nil }

func refuse(code codec.Code) func(*nats.Msg) *nats.Msg {
	return func(*nats.Msg) *nats.Msg {
		return subjects.ErrorReply("", codec.Msgpack, codec.Errorf(code, "by the script"))
	}
}

func answer(reply any) func(*nats.Msg) *nats.Msg {
	return func(*nats.Msg) *nats.Msg { return &nats.Msg{Data: codec.Append(nil, codec.Msgpack, reply)} }
}

func written(revision uint64) *codec.SetReply {
	return &codec.SetReply{Written: codec.Written{Revision: revision}}
}

// scripted connects a client to a broker on which a script answers.
func scripted(t *testing.T, o subjects.Options, subject string, script ...func(m *nats.Msg) *nats.Msg) (*subjects.Client, *responder) {
	t.Helper()
	s := broker(t)
	r := respond(t, connect(t, s), subject, script...)
	return newClient(t, connect(t, s), o), r
}

func TestRetryHasTheSameIDAndBytes(t *testing.T) {
	for name, first := range map[string]func(*nats.Msg) *nats.Msg{
		"time-out": silence, "overloaded": refuse(codec.Overloaded), "unavailable": refuse(codec.Unavailable),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, r := scripted(t, subjects.Options{Timeout: 2 * time.Second}, "kv.>", first, answer(written(7)))
			reply, err := c.Set(t.Context(), "a", []byte("v"), subjects.TTL(time.Minute))
			if err != nil || reply.Revision != 7 {
				t.Fatalf("%+v, %v", reply, err)
			}
			if len(r.requests) != 2 {
				t.Fatalf("asked %d times", len(r.requests))
			}
			one, two := r.requests[0], r.requests[1]
			id := one.Header.Get(subjects.HeaderMsgID)
			if id == "" || id != two.Header.Get(subjects.HeaderMsgID) || string(one.Data) != string(two.Data) || one.Subject != two.Subject {
				t.Errorf("not the same:\n%s %s\n%s %s", one.Header, one.Data, two.Header, two.Data)
			}
			if one.Reply == two.Reply {
				t.Error("both came with one inbox: a late answer would be the second's")
			}
			if _, err := c.Set(t.Context(), "a", []byte("v")); err != nil || r.requests[2].Header.Get(subjects.HeaderMsgID) == id {
				t.Errorf("another command has the same id (%v)", err)
			}
		})
	}
}

func TestRetriesOnlyOnceAndOnlyWhatMayHelp(t *testing.T) {
	for _, code := range codec.Codes() {
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			c, r := scripted(t, subjects.Options{}, "kv.>", refuse(code))
			_, err := c.Get(t.Context(), "a")
			if !errors.Is(err, &codec.Error{Code: code}) {
				t.Errorf("got %v", err)
			}
			want := 1
			if code.Temporary() {
				want = 2
			}
			if len(r.requests) != want {
				t.Errorf("asked %d times, want %d", len(r.requests), want)
			}
			if r.requests[0].Header.Get(subjects.HeaderMsgID) != "" {
				t.Error("a read has a message id")
			}
		})
	}
}

func TestTimeoutStaysOneAfterARefusal(t *testing.T) {
	t.Parallel()
	// The first may have been applied, whatever the second says about itself.
	c, _ := scripted(t, subjects.Options{Timeout: 2 * time.Second}, "kv.>", silence, refuse(codec.Overloaded))
	if _, err := c.Set(t.Context(), "a", nil); !errors.Is(err, codec.ErrTimeout) {
		t.Errorf("got %v", err)
	}
	// A refusal that looked at the state stands: the same id was not applied.
	c, _ = scripted(t, subjects.Options{Timeout: 2 * time.Second}, "kv.>", silence, refuse(codec.Conflict))
	if _, err := c.Set(t.Context(), "a", nil); !errors.Is(err, codec.ErrConflict) {
		t.Errorf("got %v", err)
	}
}

func TestTimeouts(t *testing.T) {
	s := broker(t)
	r := respond(t, connect(t, s), "kv.>", silence)
	hasty := newClient(t, connect(t, s), subjects.Options{Timeout: 50 * time.Millisecond})
	_, err := hasty.Get(context.Background(), "a")
	if !errors.Is(err, codec.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Options.Timeout: %v", err)
	}
	patient := newClient(t, connect(t, s), subjects.Options{Timeout: patience})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := patient.Get(ctx, "a"); !errors.Is(err, codec.ErrTimeout) {
		t.Errorf("a deadline: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	for len(r.seen) > 0 {
		<-r.seen
	}
	go func() {
		<-r.seen
		cancel()
	}()
	for range 2 { // cancelled while it waits, then before it asks
		if _, err := patient.Set(ctx, "a", nil); !errors.Is(err, context.Canceled) || errors.Is(err, codec.ErrTimeout) {
			t.Errorf("cancelled: %v", err)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	nc := connect(t, broker(t))
	c := newClient(t, nc, subjects.Options{})
	_, err := c.Set(t.Context(), "a", nil)
	if !errors.Is(err, codec.ErrUnavailable) || !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("no store: %v", err)
	}
	nc.Close()
	if _, err := c.Set(t.Context(), "a", nil); !errors.Is(err, codec.ErrUnavailable) {
		t.Errorf("closed: %v", err)
	}
}

func TestConnectionLostWhileWaiting(t *testing.T) {
	s := broker(t)
	nc := connect(t, s, nats.NoReconnect())
	r := respond(t, connect(t, s), "kv.>", silence)
	go func() {
		<-r.seen
		nc.Close()
	}()
	c := newClient(t, nc, subjects.Options{})
	if _, err := c.Set(t.Context(), "a", nil); !errors.Is(err, codec.ErrTimeout) {
		t.Errorf("a command that may have been applied: %v", err)
	}
}

// TestReconnectWhileWaiting loses the connection under a command: the retry
// goes over the new one.
func TestReconnectWhileWaiting(t *testing.T) {
	t.Parallel()
	s := broker(t)
	nc := connect(t, s)
	r := respond(t, connect(t, s), "kv.>", silence, answer(written(3)))
	go func() {
		<-r.seen
		_ = nc.ForceReconnect()
	}()
	c := newClient(t, nc, subjects.Options{Timeout: 2 * time.Second})
	if reply, err := c.Set(t.Context(), "a", nil); err != nil || reply.Revision != 3 {
		t.Errorf("%+v, %v", reply, err)
	}
}

func permissions(publish, subscribe []string) func(*server.Options) {
	return func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "store", Password: "x"},
			{Username: "user", Password: "x", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Allow: publish}, Subscribe: &server.SubjectPermission{Allow: subscribe},
			}},
		}
	}
}

func TestDenied(t *testing.T) {
	s := broker(t, permissions([]string{"kv.get.config.>"}, []string{"_INBOX.>"}))
	handled := make(chan error, 10)
	nc := connect(t, s, nats.UserInfo("user", "x"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { handled <- err }))
	respond(t, connect(t, s, nats.UserInfo("store", "x")), "kv.>", answer(&codec.GetReply{Entry: codec.Entry{Key: "config/a"}}))
	c := newClient(t, nc, subjects.Options{Timeout: patience})
	if _, err := c.Get(t.Context(), "config/a"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err := c.Get(t.Context(), "other/a")
	if !errors.Is(err, codec.ErrDenied) || !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("got %v", err)
	}
	if time.Since(began) > patience/3 {
		t.Errorf("told after %v", time.Since(began))
	}
	if err := <-handled; !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("the user's handler got %v", err)
	}
	// The connection still remembers the violation; the next one is its own.
	if _, err := c.Get(t.Context(), "config/a"); err != nil {
		t.Error(err)
	}
	if _, err := c.Set(t.Context(), "other/a", nil); !errors.Is(err, codec.ErrDenied) {
		t.Errorf("got %v", err)
	}
	for _, err := range c.Follow(t.Context(), "config/") {
		if !errors.Is(err, codec.ErrDenied) {
			t.Errorf("Follow without the right to subscribe: %v", err)
		}
	}
}

// silent is a connection on which nothing is answered, and whose last error is
// an old one.
type silent struct{ last error }

func (s silent) LastError() error                       { return s.last }
func (s silent) FlushWithContext(context.Context) error { return nil }
func (s silent) NewRespInbox() string                   { return "_INBOX.me.1" }

func (s silent) RequestMsgWithContext(ctx context.Context, _ *nats.Msg) (*nats.Msg, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestOldViolations(t *testing.T) {
	for violation, want := range map[string]error{
		`Publish to "kv.get.a"`:           codec.ErrTimeout, // told an earlier request; rights may have changed since
		`Publish to "kv.get.b"`:           codec.ErrTimeout,
		`Subscription to "_INBOX.you.*"`:  codec.ErrTimeout,
		`Subscription to "_INBOX.me.*"`:   codec.ErrDenied, // no answer can come, ever
		`Subscription to "kv.changed.a.>`: codec.ErrTimeout,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		conn := silent{fmt.Errorf("%w: Permissions Violation for %s", nats.ErrPermissionViolation, violation)}
		_, err := subjects.KVGet.Request(ctx, conn, "", "a", "", &codec.Get{Key: "a"})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", violation, err)
		}
		cancel()
	}
}

func TestDeniedInbox(t *testing.T) {
	s := broker(t, permissions([]string{"kv.>"}, []string{"_INBOX_user.>"}))
	respond(t, connect(t, s, nats.UserInfo("store", "x")), "kv.>", answer(&codec.GetReply{Entry: codec.Entry{Key: "a"}}))
	c := newClient(t, connect(t, s, nats.UserInfo("user", "x")), subjects.Options{})
	for range 2 { // the inbox is subscribed to, and refused, once
		if _, err := c.Get(t.Context(), "a"); !errors.Is(err, codec.ErrDenied) {
			t.Errorf("got %v", err)
		}
	}
	private := connect(t, s, nats.UserInfo("user", "x"), nats.CustomInboxPrefix("_INBOX_user"))
	if _, err := newClient(t, private, subjects.Options{}).Get(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

// TestSubjects: what has a key, name or prefix asks on the subject of it.
func TestSubjects(t *testing.T) {
	s := broker(t)
	r := respond(t, connect(t, s), "prod.>", refuse(codec.NotFound))
	ctx := t.Context()
	bare := newClient(t, connect(t, s), subjects.Options{Prefix: "prod"})
	scoped := newClient(t, connect(t, s), subjects.Options{Prefix: "prod", Scope: "my app/"})
	batch := &codec.Batch{Ops: []codec.Command{&codec.Delete{Key: "a"}}}
	list := func(c *subjects.Client, prefix string) {
		for range c.List(ctx, prefix) {
		}
	}
	for _, c := range []struct {
		want string
		ask  func()
	}{
		{"kv.get.config.a%2Eb", func() { bare.Get(ctx, "config/a.b") }},
		{"kv.set.a", func() { bare.Set(ctx, "a", nil) }},
		{"kv.set.a", func() { bare.Create(ctx, "a", nil) }},
		{"kv.set.a", func() { bare.Update(ctx, "a", nil, 3) }},
		{"kv.delete.a", func() { bare.Delete(ctx, "a") }},
		{"kv.touch.a", func() { bare.Touch(ctx, "a") }},
		{"kv.increment.a", func() { bare.Increment(ctx, "a", 1) }},
		{"kv.clear.config", func() { bare.Clear(ctx, "config/") }},
		{"kv.clear", func() { bare.Clear(ctx, "conf") }},
		{"kv.list", func() { list(bare, "") }},
		{"kv.list", func() { list(bare, "conf") }},
		{"kv.list.config", func() { list(bare, "config/") }},
		{"kv.list.config", func() { list(bare, "config/ho") }},
		{"kv.list.a.%", func() { list(bare, "a//") }},
		{"kv.list.my%20app", func() { list(scoped, "") }},
		{"kv.list.config", func() { list(scoped, "config/") }},
		{"batch.apply", func() { bare.Apply(ctx, batch) }},
		{"batch.apply.my%20app", func() { scoped.Apply(ctx, batch) }},
		{"batch.get", func() { bare.GetMany(ctx, "a") }},
		{"batch.get.my%20app", func() { scoped.GetMany(ctx, "a") }},
		{"svc.register.web%2Eapi", func() { bare.Register(ctx, codec.Register{Name: "web.api", ID: "1"}) }},
		{"svc.heartbeat.web", func() { bare.Heartbeat(ctx, "web", "1") }},
		{"svc.deregister.web", func() { bare.Deregister(ctx, "web", "1") }},
		{"svc.get.web", func() { bare.Instances(ctx, "web") }},
		{"svc.list", func() {
			for range bare.Services(ctx, "w") {
			}
		}},
		{"store.status", func() { bare.Status(ctx) }},
	} {
		c.ask()
		select {
		case m := <-r.seen:
			if m.Subject != "prod."+c.want {
				t.Errorf("asked on %s, want prod.%s", m.Subject, c.want)
			}
		case <-time.After(patience):
			t.Fatalf("%s: nothing was asked", c.want)
		}
	}
}

func TestMisuseIsInvalidAndAsksNothing(t *testing.T) {
	c := newClient(t, connect(t, broker(t)), subjects.Options{}) // where nobody answers
	ctx := t.Context()
	for name, ask := range map[string]func() error{
		"an empty key":         func() error { _, err := c.Get(ctx, ""); return err },
		"TTL of a delete":      func() error { _, err := c.Delete(ctx, "a", subjects.TTL(time.Second)); return err },
		"KeepTTL of a touch":   func() error { _, err := c.Touch(ctx, "a", subjects.KeepTTL()); return err },
		"both TTLs":            func() error { _, err := c.Set(ctx, "a", nil, subjects.TTL(time.Hour), subjects.KeepTTL()); return err },
		"a negative TTL":       func() error { _, err := c.Set(ctx, "a", nil, subjects.TTL(-1)); return err },
		"previous of a touch":  func() error { _, err := c.Touch(ctx, "a", subjects.ReturnPrevious()); return err },
		"condition of a batch": func() error { _, err := c.Apply(ctx, &codec.Batch{}, subjects.IfRevision(1)); return err },
		"an increment of 0":    func() error { _, err := c.Increment(ctx, "a", 0); return err },
		"an empty id":          func() error { _, err := c.Set(ctx, "a", nil, subjects.MsgID("")); return err },
		"an id of two lines":   func() error { _, err := c.Set(ctx, "a", nil, subjects.MsgID("a\r\nb: c")); return err },
		"an id of a read": func() error {
			_, err := subjects.Do(ctx, c, subjects.KVGet, &codec.Get{Key: "a"}, subjects.MsgID("x"))
			return err
		},
		"clearing everything": func() error { _, err := c.Clear(ctx, ""); return err },
		"no key":              func() error { _, err := c.GetMany(ctx); return err },
		"no connection":       func() error { _, err := subjects.NewClient(nil, subjects.Options{}); return err },
		"a scope of half":     func() error { o := subjects.Options{Scope: "config"}; return o.Validate() },
		"a prefix of two":     func() error { o := subjects.Options{Prefix: "a.b"}; return o.Validate() },
		"a negative time":     func() error { o := subjects.Options{Timeout: -1}; return o.Validate() },
		"a negative buffer":   func() error { o := subjects.Options{FollowBuffer: -1}; return o.Validate() },
	} {
		if err := ask(); !errors.Is(err, codec.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
