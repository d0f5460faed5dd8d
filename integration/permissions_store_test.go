package integration

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// TestStoreRights: what `sett permissions --store` prints is enough for all that
// a store does on another's NATS server: guard fails where it was not.
func TestStoreRights(t *testing.T) {
	g := guard(t, "")
	admin := g.tenant("admin")
	admin.must("kv.set", `{"key":"a","value":"1"}`)
	file := filepath.Join(t.TempDir(), "backup")
	for _, args := range [][]string{{"backup", "create", file}, {"status"}, {"kv", "list"}} {
		if r := g.sett("admin", args...); r.status != 0 {
			t.Errorf("sett %v: %d: %s", args, r.status, r.err)
		}
	}
	// Changed limits update the stream, and changes that it missed move it
	// forward.
	flags := g.store.args
	g.store.stop()
	g.store = launch(t, append(flags, "--feed", "live")...).mustBeReady()
	for range 3 {
		admin.must("kv.set", `{"key":"a","value":"2"}`)
	}
	g.store.stop()
	g.store = launch(t, append(flags, "--feed", "durable", "--feed-max-bytes", "2MiB")...).mustBeReady()
	g.mustAnnounce(admin)
	if !strings.Contains(g.store.logged(), "moves forward") {
		t.Errorf("the stream was not moved: the test is wrong: %s", g.store.logged())
	}
	admin.must("kv.set", `{"key":"a","value":"3"}`)
	g.store.stop()
	g.store = launch(t, flags...).mustBeReady() // compares the stream's last message
	g.mustAnnounce(admin)
	admin.must("kv.set", `{"key":"a","value":"4"}`)
	other := launch(t, append(g.store.args, "--data-dir", filepath.Join(t.TempDir(), "other"))...)
	if log := other.mustFail(); !strings.Contains(log, "already served") {
		t.Errorf("a second store: %s", log)
	}
}

// mustAnnounce waits until the stream has what the store has.
func (g *guarded) mustAnnounce(admin *tenant) {
	g.t.Helper()
	eventually(g.t, patience, func() error {
		status := admin.must("store.status", "")
		if feed := status["feed"].(obj); feed["acked_revision"] != status["store_revision"] {
			return fmt.Errorf("%v", status)
		}
		return nil
	})
}

// TestUsersWork: with their own permissions users do their work with the Go
// client and the command line, and are told at once what they may not.
func TestUsersWork(t *testing.T) {
	g := guard(t, "")
	for _, s := range []struct {
		user, args string
		status     int
	}{
		{"admin", "kv set config/host 1", 0},
		{"admin", "kv set app/y/1 1", 0},
		{"reader", "kv get config/host", 0},
		{"reader", "kv list config/ --values", 0},
		{"reader", "export config/", 0},
		{"reader", "env config/ -- true", 0},
		{"reader", "kv get app/y/1", 5},
		{"reader", "kv set config/host 2", 5},
		{"reader", "kv list", 5},
		{"reader", "svc get web", 5},
		{"reader", "status", 5},
		{"reader", "backup create " + filepath.Join(t.TempDir(), "b"), 5},
		{"reader", "watch app/ --count 1", 5},
		{"writer", "kv set app/x/1 1", 0},
		{"writer", "kv delete app/x/1", 0},
		{"writer", "lock lock/nightly -- true", 5},
		{"service", "svc register web --id 1 --ttl 1m", 0},
		{"service", "svc heartbeat web 1", 0},
		{"service", "svc get web", 0},
		{"service", "svc deregister web 1", 0},
		{"service", "svc register db --id 1", 5},
		{"service", "svc list", 5},
	} {
		if r := g.sett(s.user, strings.Fields(s.args)...); r.status != s.status {
			t.Errorf("%s: sett %s ends with %d, not %d: %s%s", s.user, s.args, r.status, s.status, r.out, r.err)
		} else if s.status == 5 && !strings.Contains(r.err, "denied") {
			t.Errorf("%s: sett %s: %s", s.user, s.args, r.err)
		}
	}
}

// TestUsersFollow: a user follows the live and the durable feed of its own
// prefix, by the one consumer that it may have, and no other.
func TestUsersFollow(t *testing.T) {
	g := guard(t, "")
	admin := g.tenant("admin")
	for _, key := range []string{"config/a", "other/a", "config/b"} {
		admin.must("kv.set", fmt.Sprintf(`{"key":%q,"value":"1"}`, key))
	}
	c, err := subjects.NewClient(g.as("reader"), subjects.Options{Scope: "config/"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for u, err := range c.Follow(ctx, "config/") {
		if err != nil {
			t.Fatal(err)
		}
		if u.Kind == subjects.Loaded {
			break
		}
	}
	var keys []string
	o := subjects.ChangesOptions{Filter: subjects.KVChanged.Under("", "config/"), From: &codec.Position{}, Consumer: "reader"}
	for ch, err := range c.Changes(ctx, o) {
		if err != nil {
			t.Fatal(err)
		}
		if keys = append(keys, ch.Key); len(keys) == 2 {
			break
		}
	}
	err = c.Consume(ctx, o, func(ch *codec.Change) error {
		if keys = append(keys, ch.Key); len(keys) == 4 {
			return subjects.ErrEnough
		}
		return nil
	})
	if got := strings.Join(keys, " "); err != nil || got != "config/a config/b config/a config/b" {
		t.Errorf("%v: %s", err, got)
	}
	for _, o := range []subjects.ChangesOptions{
		{Filter: "kv.changed.other.>", Consumer: "reader", From: o.From}, {Consumer: "reader", From: o.From}, {Filter: o.Filter, Consumer: "other", From: o.From}, {Filter: o.Filter, From: o.From},
	} {
		for _, err := range c.Changes(ctx, o) {
			if !errors.Is(err, codec.ErrDenied) {
				t.Errorf("%+v: %v", o, err)
			}
			break
		}
	}
}
