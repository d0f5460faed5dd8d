package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/settkv/sett/codec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startMs is when every test begins, and so its first epoch.
const startMs = 1_000_000

// testClock is a clock that stands still until it is moved.
type testClock struct {
	mu    sync.Mutex
	now   time.Time
	asked chan struct{} // receives a value when somebody looks, if it is not nil
}

func newTestClock() *testClock { return &testClock{now: time.UnixMilli(startMs)} }

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case c.asked <- struct{}{}:
	default:
	}
	return c.now
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// harness is a store under test. Whatever a test does with it, it must pass
// [harness.check] at the end.
type harness struct {
	*store
	t       testing.TB
	time    *testClock
	options Options
	feed    string // how changes are announced
	seen    uint64 // the last event that events returned
	closed  bool
}

// open opens a store on a clock of its own. change may alter its options.
func open(t testing.TB, kind string, change ...func(*Options)) *harness {
	t.Helper()
	h := &harness{t: t, time: newTestClock(), feed: codec.FeedLive}
	h.options = Options{
		Kind: kind, NoSync: true, FeedEncoding: codec.JSON, Now: h.time.Now, Log: slog.New(slog.DiscardHandler),
		noExpirer: true, // deadlines are met by commands, and where a test calls sweep
	}
	if kind == Badger {
		h.options.Dir = t.TempDir()
	}
	for _, f := range change {
		f(&h.options)
	}
	h.open()
	t.Cleanup(func() {
		if h.closed {
			return
		}
		h.check()
		h.close()
	})
	return h
}

func (h *harness) open() {
	h.t.Helper()
	e, err := Open(h.options)
	if err != nil {
		h.t.Fatal(err)
	}
	h.store, h.closed = e.(*store), false
	if err := h.BeginFeed(h.feed); err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) close() {
	h.t.Helper()
	h.closed = true
	if err := h.Close(); err != nil {
		h.t.Fatalf("Close: %v", err)
	}
}

// reopen closes the store and opens it again.
func (h *harness) reopen() {
	h.t.Helper()
	h.check()
	h.close()
	h.open()
	h.check()
}

// crash goes on with a copy of the directory as it is while the store is open,
// which is what a killed process leaves.
func (h *harness) crash() {
	h.t.Helper()
	h.check()
	dir := h.t.TempDir()
	copyDir(h.t, dir, h.options.Dir)
	h.close()
	h.options.Dir = dir
	h.open()
	h.check()
}

// copyDir copies a directory in an order in which Badger, which may be turning
// its log into a table just now, loses nothing: logs, then MANIFEST, then tables.
func copyDir(t testing.TB, to, from string) {
	t.Helper()
	rank := func(name string) int {
		switch filepath.Ext(name) {
		case ".mem":
			return 0
		case ".sst":
			return 2
		}
		return 1
	}
	for pass := range 3 {
		err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
			name, _ := filepath.Rel(from, path)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil || d.IsDir():
				return errors.Join(err, os.MkdirAll(filepath.Join(to, name), 0o700))
			case rank(name) != pass:
				return nil
			}
			if err := copyFile(filepath.Join(to, name), path); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// copyFile copies a file; what is zero stays a hole.
func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	buf, zero, size := make([]byte, 64<<10), make([]byte, 64<<10), int64(0)
	for {
		n, err := in.Read(buf)
		if n > 0 && !bytes.Equal(buf[:n], zero[:n]) {
			if _, err := out.WriteAt(buf[:n], size); err != nil {
				return err
			}
		}
		size += int64(n)
		if err == io.EOF {
			return out.Truncate(size)
		}
		if err != nil {
			return err
		}
	}
}

// engines runs a test on each engine.
func engines(t *testing.T, test func(t *testing.T, h *harness), change ...func(*Options)) {
	t.Helper()
	for _, kind := range []string{Badger, Memory} {
		t.Run(kind, func(t *testing.T) { test(t, open(t, kind, change...)) })
	}
}

// do applies a command that must succeed.
func (h *harness) do(cmd codec.Command) codec.Reply {
	h.t.Helper()
	reply, err := h.Apply(context.Background(), cmd)
	if err != nil {
		h.t.Fatalf("%s: %v", cmd.Op(), err)
	}
	return reply
}

func (h *harness) set(key, value string) uint64 {
	h.t.Helper()
	return h.do(&codec.Set{Key: key, Value: []byte(value)}).Changed()
}

func (h *harness) get(key string) string {
	h.t.Helper()
	value, err := h.Get(key)
	if err != nil {
		h.t.Fatalf("Get(%q): %v", key, err)
	}
	return string(value)
}

// refused applies a command that must be refused with a code.
func (h *harness) refused(cmd codec.Command, code codec.Code) *codec.Error {
	h.t.Helper()
	reply, err := h.Apply(context.Background(), cmd)
	what := cmd.Op()
	if err == nil {
		what += fmt.Sprintf(" gave %.300s", text(reply))
	}
	return wantCode(h.t, err, code, what)
}

// wantCode fails unless err is a refusal with a code.
func wantCode(t testing.TB, err error, code codec.Code, what string) *codec.Error {
	t.Helper()
	refused, ok := errors.AsType[*codec.Error](err)
	if !ok || refused.Code != code {
		t.Fatalf("%s: %v, want %s", what, err, code)
	}
	return refused
}

// submit sends a request with a message id and waits for its outcome.
func (h *harness) submit(id, subject string, cmd codec.Command, payload []byte) (reply codec.Reply, err error) {
	h.t.Helper()
	done := make(chan struct{})
	r := &Request{Command: cmd, ID: id, Subject: subject, Payload: payload, Done: func(rep codec.Reply, e error) {
		reply, err = rep, e
		close(done)
	}}
	if err := h.Submit(r); err != nil {
		return nil, err
	}
	<-done
	return reply, err
}

// outboxAfter returns every event after a revision.
func (h *harness) outboxAfter(revision uint64) []codec.Event {
	h.t.Helper()
	var all []codec.Event
	for {
		events, err := h.Outbox(revision, 64<<10)
		if err != nil {
			h.t.Fatalf("Outbox(%d): %v", revision, err)
		}
		if len(events) == 0 {
			return all
		}
		all = append(all, events...)
		revision = events[len(events)-1].Revision
	}
}

// changes returns what was announced since the last call.
func (h *harness) changes() []codec.Change {
	h.t.Helper()
	var changes []codec.Change
	for _, e := range h.outboxAfter(h.seen) {
		changes = append(changes, decodeChange(h.t, e))
		h.seen = e.Revision
	}
	return changes
}

func decodeChange(t testing.TB, e codec.Event) codec.Change {
	t.Helper()
	var c codec.Change
	if err := codec.Decode(e.Payload, &c); err != nil {
		t.Fatalf("event %d: %v: %q", e.Revision, err, e.Payload)
	}
	return c
}

// text is a message as text, to compare and to show.
func text(m any) string { return string(codec.Append(nil, codec.JSON, m)) }
