package subjects_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// subjectsOf are the subjects of rights.
func subjectsOf(list []subjects.Right) string {
	var all []string
	for _, right := range list {
		all = append(all, right.Subject)
	}
	return strings.Join(all, " ")
}

// What a user gets is what the design promises, and nothing else.
func TestGrant(t *testing.T) {
	for name, c := range map[string]struct {
		grant              subjects.Grant
		publish, subscribe string
	}{
		"nothing": {subjects.Grant{}, "", "_INBOX.me.>"},
		"read": {
			subjects.Grant{Prefix: "p", Read: []string{"a.b/"}},
			"p.kv.get.a%2Eb.> p.kv.list.a%2Eb p.kv.list.a%2Eb.> p.batch.get.a%2Eb p.batch.get.a%2Eb.>",
			"p.kv.changed.a%2Eb.> p.store.changed.> _INBOX.me.>",
		},
		"write": {
			subjects.Grant{Write: []string{"a/b/"}},
			"kv.set.a.b.> kv.delete.a.b.> kv.touch.a.b.> kv.increment.a.b.> kv.clear.a.b kv.clear.a.b.> batch.apply.a.b batch.apply.a.b.>",
			"_INBOX.me.>",
		},
		"serve": {
			subjects.Grant{Serve: []string{"web"}, Find: []string{"web", "db"}},
			"svc.register.web svc.heartbeat.web svc.deregister.web svc.get.web svc.get.db",
			"svc.changed.web.> svc.changed.db.> store.changed.> _INBOX.me.>",
		},
		"durable": {
			subjects.Grant{Prefix: "p", Find: []string{"db"}, Consumer: "c"},
			"p.svc.get.db $JS.API.CONSUMER.CREATE.SETT_CHANGES_p.c.p.svc.changed.db.> $JS.API.CONSUMER.MSG.NEXT.SETT_CHANGES_p.c " +
				"$JS.API.CONSUMER.INFO.SETT_CHANGES_p.c $JS.API.CONSUMER.DELETE.SETT_CHANGES_p.c $JS.ACK.SETT_CHANGES_p.c.>",
			"p.svc.changed.db.> p.store.changed.> _INBOX.me.>",
		},
	} {
		c.grant.Inbox = "_INBOX.me"
		if err := c.grant.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		r := c.grant.Rights()
		if got := subjectsOf(r.Publish); got != c.publish || r.Responses {
			t.Errorf("%s: publish %s, want %s", name, got, c.publish)
		}
		if got := subjectsOf(r.Subscribe); got != c.subscribe {
			t.Errorf("%s: subscribe %s, want %s", name, got, c.subscribe)
		}
	}
}

// Nobody but the store publishes an event, and nobody subscribes to more than
// what is announced and the own inbox.
func TestAdminGrant(t *testing.T) {
	g := subjects.Grant{Admin: true, Inbox: subjects.PrivateInbox("me")}
	for _, right := range g.Rights().Publish {
		for _, event := range subjects.Events() {
			root, _, _ := strings.Cut(event.Subject, ".")
			if right.Subject == ">" || right.Subject == root+".>" || strings.HasPrefix(right.Subject, event.Subject) || strings.HasPrefix(right.Subject, "_") {
				t.Errorf("an admin may publish %s", right.Subject)
			}
		}
	}
}

func TestGrantRefuses(t *testing.T) {
	for field, g := range map[string]subjects.Grant{
		"read":           {Read: []string{"config"}},
		"write":          {Write: []string{""}},
		"find":           {Find: []string{"a/b"}},
		"service":        {Serve: []string{""}},
		"consumer":       {Read: []string{"a/"}, Consumer: "a.b"},
		"consumer: has":  {Write: []string{"a/"}, Consumer: "c"},
		"subject-prefix": {Prefix: "kv"},
	} {
		g.Inbox = "_INBOX.me"
		if err := g.Validate(); !errors.Is(err, codec.ErrInvalid) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, inbox := range []string{"", "_INBOX.>", "_INBOX.*", "_INBOX.", "$JS.x", "_sett", "a b", `a"b`, ".a"} {
		g, s := subjects.Grant{Inbox: inbox}, subjects.StoreGrant{Inbox: "_INBOX.sett", Inboxes: []string{inbox}}
		if g.Validate() == nil || s.Validate() == nil {
			t.Errorf("the inbox prefix %q is taken", inbox)
		}
	}
}

// The inbox of a user is nobody else's, whatever its name.
func TestPrivateInbox(t *testing.T) {
	seen := make(map[string]string)
	for _, user := range []string{"a", "a/b", "a.b", "a b", "a*", ">", "a//b", "ü", "a%2Fb", "/", ""} {
		inbox := subjects.PrivateInbox(user)
		if other, taken := seen[inbox]; taken {
			t.Errorf("%q and %q share %s", user, other, inbox)
		}
		seen[inbox] = user
		g := subjects.Grant{Inbox: inbox}
		if err := g.Validate(); err != nil || strings.Count(inbox, ".") != 1 {
			t.Errorf("%q: %s: %v", user, inbox, err)
		}
	}
}

// However many requests are denied at once, each is told so: the connection
// keeps only its last error.
func TestManyDenied(t *testing.T) {
	s := broker(t, permissions([]string{"kv.get.config.>"}, []string{"_INBOX.>"}))
	c := newClient(t, connect(t, s, nats.UserInfo("user", "x")), subjects.Options{Timeout: 30 * time.Second})
	const many = 32
	errs := make(chan error, 2*many)
	for i := range many {
		key := "other/" + strconv.Itoa(i)
		go func() { _, err := c.Get(t.Context(), key); errs <- err }()
		go func() { _, err := c.Set(t.Context(), key, nil); errs <- err }()
	}
	for range 2 * many {
		select {
		case err := <-errs:
			if !errors.Is(err, codec.ErrDenied) {
				t.Fatal(err)
			}
		case <-time.After(patience):
			t.Fatal("a request is still waiting")
		}
	}
}
