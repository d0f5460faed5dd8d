package integration

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// feedClient is a Go program at a broker.
func feedClient(t testing.TB, nc *nats.Conn) *subjects.Client {
	t.Helper()
	c, err := subjects.NewClient(nc, subjects.Options{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// logReader is a program that reads the log of all changes.
type logReader struct {
	t    testing.TB
	done chan struct{} // closed when it has seen lastKey, or ended
	told []codec.Change
	err  error
}

// readLog reads every change from the first one on, until that of lastKey.
func readLog(t testing.TB, nc *nats.Conn, filter string) *logReader {
	t.Helper()
	l, c := &logReader{t: t, done: make(chan struct{})}, feedClient(t, nc)
	go func() {
		defer close(l.done)
		for ch, err := range c.Changes(t.Context(), subjects.ChangesOptions{Filter: filter, From: &codec.Position{}}) {
			if l.err = err; err != nil {
				return
			}
			if l.told = append(l.told, ch); ch.Key == lastKey {
				return
			}
		}
	}()
	return l
}

// mustHaveAll checks that each revision came once and in order.
func (l *logReader) mustHaveAll(upTo int64) {
	l.t.Helper()
	within(l.t, patience, "last change in the log", l.done)
	if l.err != nil {
		l.t.Fatalf("the log ended: %v", l.err)
	}
	for i, ch := range l.told {
		if ch.Revision != uint64(i+1) {
			l.t.Fatalf("change %d of the log has revision %d", i+1, ch.Revision)
		}
	}
	if int64(len(l.told)) != upTo {
		l.t.Errorf("%d changes of %d", len(l.told), upTo)
	}
	l.t.Logf("the log has %d changes", len(l.told))
}

// TestLogOverKills: the store is killed with its broker again and again while
// clients write. A program reads each revision once and in order all the same,
// and one that lists and follows ends with what the store has.
func TestLogOverKills(t *testing.T) {
	p := serve(t)
	nc := p.connect()
	log := readLog(t, nc, "")
	state := followLog(t, p.connect())
	l := newLoad(t)
	for range 4 {
		l.start(p.url, true)
		pause(t, forShort(200*time.Millisecond, 2*time.Second))
		p.kill()
		l.end()
		p = p.again()
	}
	last := set(t, p.connect(), lastKey, "1")
	log.mustHaveAll(last)
	state.mustHold(p.connect())
}

// TestLogOverBrokerRestarts: the same with a broker of its own, whose kill
// leaves the store alive.
func TestLogOverBrokerRestarts(t *testing.T) {
	b := startBroker(t)
	join(t, b)
	nc := connect(t, b.url)
	log := readLog(t, nc, "")
	state := followLog(t, connect(t, b.url))
	l := newLoad(t)
	for range 3 {
		l.start(b.url, true)
		pause(t, forShort(200*time.Millisecond, 2*time.Second))
		b.kill()
		l.end()
		b.start()
		eventually(t, patience, func() error {
			_, err := nc.Request("store.status", nil, time.Second)
			return err
		})
	}
	last := set(t, nc, lastKey, "1")
	log.mustHaveAll(last)
	state.mustHold(nc)
}

// logFollower keeps a copy of all keys by FollowFrom.
type logFollower struct {
	t      testing.TB
	mu     sync.Mutex
	held   map[string]entry
	fresh  map[string]bool // told since a reset; nil: there was none
	resets []string
	done   chan struct{}
	err    error
}

func followLog(t testing.TB, nc *nats.Conn) *logFollower {
	t.Helper()
	f, c := &logFollower{t: t, held: make(map[string]entry), done: make(chan struct{})}, feedClient(t, nc)
	loaded := make(chan struct{}, 100)
	go func() {
		defer close(f.done)
		for u, err := range c.FollowFrom(t.Context(), "", subjects.FollowOptions{}) {
			if f.err = err; err != nil || f.take(u) {
				return
			}
			if u.Kind == subjects.Loaded {
				loaded <- struct{}{}
			}
		}
	}()
	within(t, patience, "first load", loaded)
	return f
}

// take keeps the copy as FollowFrom's documentation says; done says that the
// last key was told.
func (f *logFollower) take(u subjects.Update) (done bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch u.Kind {
	case subjects.Put:
		f.held[u.Key] = entry{string(u.Value), int64(u.Revision)}
		if f.fresh != nil {
			f.fresh[u.Key] = true
		}
	case subjects.Delete:
		delete(f.held, u.Key)
	case subjects.Reset:
		f.resets = append(f.resets, u.Reason)
		f.fresh = make(map[string]bool)
	case subjects.Loaded:
		for key := range f.held {
			if f.fresh != nil && !f.fresh[key] {
				delete(f.held, key)
			}
		}
		f.fresh = nil
	}
	_, last := f.held[lastKey]
	return last && f.fresh == nil
}

func (f *logFollower) mustHold(nc *nats.Conn) {
	f.t.Helper()
	set(f.t, nc, lastKey, "2")
	within(f.t, patience, "last change at the follower", f.done)
	if f.err != nil {
		f.t.Errorf("following ended: %v", f.err)
	}
	f.held[lastKey] = entry{}
	stored := contents(f.t, nc, "")
	stored[lastKey] = entry{} // it may have seen the first or the second
	sameState(f.t, f.held, stored)
}

// TestLogAtNewEpoch: a store in memory begins anew, and with it an epoch. Who
// keeps a copy loads again, and who was told not to ends.
func TestLogAtNewEpoch(t *testing.T) {
	b := startBroker(t)
	p := launch(t, "--engine", "memory", "--nats-url", b.url, "--data-dir", t.TempDir()).mustBeReady()
	nc := connect(t, b.url)
	c := feedClient(t, connect(t, b.url))
	set(t, nc, "a", "1")
	set(t, nc, "gone", "1")
	state := followLog(t, connect(t, b.url))
	ended := make(chan error, 2)
	for _, prefix := range []string{"", "some/"} {
		opened := make(chan struct{}, 9)
		set(t, nc, "some/thing", "1")
		go func() {
			for u, err := range c.FollowFrom(t.Context(), prefix, subjects.FollowOptions{NoReload: true}) {
				if err != nil {
					ended <- err
				} else if u.Kind == subjects.Put && string(u.Value) == "2" {
					opened <- struct{}{}
				}
			}
		}()
		set(t, nc, "some/thing", "2")
		within(t, patience, "change", opened)
		set(t, nc, "some/thing", "3")
	}
	p.stop()
	launch(t, p.args...).mustBeReady()
	set(t, nc, "b", "1")
	for range 2 {
		err := within(t, patience, "end of a follower that may not load again", ended)
		if !errors.Is(err, codec.ErrCompacted) {
			t.Errorf("it ended with %v", err)
		}
	}
	state.mustHold(nc)
	if len(state.resets) == 0 {
		t.Error("the follower was not told of the new epoch")
	}
}

// fillBeyond writes until a stream of 1 MiB has lost its first changes.
func fillBeyond(t testing.TB, nc *nats.Conn) {
	t.Helper()
	value := strings.Repeat("x", 100<<10)
	for i := range 30 {
		set(t, nc, fmt.Sprint("fill/", i%3), value)
	}
}

// TestTrimmedLog: what a follower was told to go on behind is gone, also where
// its filter leaves a hole anyway.
func TestTrimmedLog(t *testing.T) {
	p := serve(t, "--feed-max-bytes", "1MiB")
	nc := p.connect()
	set(t, nc, "config/a", "1")
	set(t, nc, "config/b", "1")
	c := feedClient(t, nc)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	fillBeyond(t, nc)
	set(t, nc, "config/c", "1")
	for _, prefix := range []string{"", "config/"} {
		var told []string
		o := subjects.FollowOptions{From: &codec.Position{StoreRevision: 1}, NoReload: true}
		for u, err := range c.FollowFrom(ctx, prefix, o) {
			if e, ok := errors.AsType[*codec.Error](err); !ok || e.Code != codec.Compacted || e.StoreRevision < 20 {
				t.Errorf("%q: %+v, %v", prefix, u, err)
				break
			}
		}
		o.NoReload = false
		for u, err := range c.FollowFrom(ctx, prefix, o) {
			if err != nil {
				t.Fatal(err)
			}
			if u.Kind == subjects.Reset {
				told = append(told, u.Reason)
			}
			if told = append(told, u.Key); u.Kind == subjects.Loaded {
				break
			}
		}
		if got := strings.Join(told, " "); !strings.HasPrefix(got, "compacted  config/a config/b config/c ") {
			t.Errorf("%q: told %q", prefix, got)
		}
	}
	for _, args := range []string{"watch --from 1", "watch config/ --from 1"} {
		if r := p.sett(strings.Fields(args)...); r.status != 1 || !strings.Contains(r.err, "compacted: the feed's history begins at revision") {
			t.Errorf("%s: status %d, %s", args, r.status, r.err)
		}
	}
}

const narrowUsers = `authorization { users: [
  {user: all, password: x}
  {user: me, password: x, permissions: {
    publish: ["kv.list.config", "$JS.API.CONSUMER.CREATE.SETT_CHANGES.me.kv.changed.config.>", "$JS.API.CONSUMER.MSG.NEXT.SETT_CHANGES.me",
      "$JS.API.CONSUMER.INFO.SETT_CHANGES.me", "$JS.API.CONSUMER.DELETE.SETT_CHANGES.me", "$JS.ACK.SETT_CHANGES.me.>"]
    subscribe: ["kv.changed.config.>", "store.changed.>", "_INBOX_me.>"]
  }}
] }`

// TestNarrowFollower: a user with the rights of a follower of config/ follows
// that, and nothing else.
func TestNarrowFollower(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(narrowUsers), 0o600); err != nil {
		t.Fatal(err)
	}
	p := serve(t, "--nats-config", file)
	nc := p.connect(nats.UserInfo("all", "x"))
	set(t, nc, "config/a", "1")
	set(t, nc, "other", "1")
	set(t, nc, "config/a", "2")
	me := []string{"--user", "me", "--password", "x", "--inbox-prefix", "_INBOX_me", "-q"}
	for _, try := range []struct {
		args   string
		status int
		lines  int
	}{
		{"watch config/ --from 0 --consumer me --count 2", 0, 2},
		{"watch config/ --from 1 --consumer me --count 1", 0, 1},
		{"watch config/a --durable me --from 0 --count 1", 0, 1},
		{"watch config/a --durable me --count 1", 0, 1},
		{"kv history config/a --consumer me -o json", 0, 2},
		{"watch config/ --from 0", 5, 0},
		{"watch config/ --from 0 --consumer other", 5, 0},
		{"watch other/ --from 0 --consumer me", 5, 0},
		{"watch --from 0 --consumer me", 5, 0},
		{"kv history other --consumer me", 5, 0},
	} {
		r := p.sett(append(strings.Fields(try.args), me...)...)
		if lines := strings.Count(r.out, "\n"); r.status != try.status || lines != try.lines {
			t.Errorf("%s: status %d, %d lines: %s%s", try.args, r.status, lines, r.out, r.err)
		}
	}
}

// TestDurableWatch: a watch that is killed while it prints goes on where it
// was: nothing is missed, and at most what it printed last comes again.
func TestDurableWatch(t *testing.T) {
	t.Parallel() // it waits for what was not acknowledged
	p := serve(t)
	nc := p.connect()
	const each = 500
	var told []uint64
	for round := range 3 {
		for range each {
			set(t, nc, "other", "1")
			set(t, nc, "k/a", "1")
		}
		args := []string{"-s", p.url, "watch", "k/", "--durable", "audit", "-o", "json"}
		if round == 0 {
			args = append(args, "--from", "0")
		}
		told = append(told, watchAndKill(t, args, 2*each*uint64(round)+each)...)
	}
	seen, repeated, before := 0, 0, uint64(0)
	for _, revision := range told {
		switch revision {
		case before:
			repeated++
		case before + 2:
			seen++
		default:
			t.Fatalf("revision %d follows %d", revision, before)
		}
		before = revision
	}
	if seen < 2*each || repeated > 2 {
		t.Errorf("%d changes, %d repeated", seen, repeated)
	}
	t.Logf("%d changes, %d repeated", seen, repeated)
}

// watchAndKill runs a watch with kill -9 as soon as it has told a revision, and
// returns all that it has printed.
func watchAndKill(t *testing.T, args []string, upTo uint64) (told []uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t), args...)
	dieWithUs(cmd)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var ch codec.Change
		if err := codec.Decode(lines.Bytes(), &ch); err != nil {
			break // cut off
		}
		if told = append(told, ch.Revision); ch.Revision >= upTo {
			cmd.Process.Kill() // what is in the pipe is read on
		}
	}
	if cmd.Wait(); ctx.Err() != nil {
		t.Fatalf("sett %v has told %d changes, not up to revision %d", args, len(told), upTo)
	}
	return told
}
