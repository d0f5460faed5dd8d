package engine

import (
	"errors"
	"testing"
	"time"

	"github.com/settkv/sett/codec"
)

// slowBackend stops in each commit until it may proceed.
type slowBackend struct {
	backend
	committing, proceed chan struct{}
}

func (b *slowBackend) Commit(ts uint64, writes []write) error {
	b.committing <- struct{}{}
	<-b.proceed
	return b.backend.Commit(ts, writes)
}

// slowCommits makes every commit of the test from now on wait for it.
func (h *harness) slowCommits() *slowBackend {
	slow := &slowBackend{committing: make(chan struct{}), proceed: make(chan struct{})}
	h.wrapBackend(func(b backend) backend { slow.backend = b; return slow })
	return slow
}

// wrapBackend puts a wrapper around the backend for the rest of the test.
func (h *harness) wrapBackend(wrap func(backend) backend) {
	s := h.store
	before := s.state.Load().backend
	set := func(b backend) {
		st := *s.state.Load()
		st.backend = b
		s.state.Store(&st)
	}
	if err := h.inTurn(func() { set(wrap(before)) }); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { set(before) }) // before the store is checked and closed
}

var errDisk = errors.New("the disk is broken")

// failingBackend fails every commit.
type failingBackend struct{ backend }

func (b failingBackend) Commit(uint64, []write) error { return errDisk }

// A read waits for the end of what it finds dead; where that cannot be
// committed it is told so, and does not wait for ever.
func TestAReadDoesNotWaitForAnEndThatFails(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		h.do(&codec.Set{Key: "k", Value: []byte("1"), TTLMs: 100})
		h.wrapBackend(func(b backend) backend { return failingBackend{b} })
		h.time.advance(100 * time.Millisecond)
		_, err := h.Get("k")
		wantCode(t, err, codec.Unavailable, "reading a dead key")
		if err := h.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		h.closed = true
	}, withExpirer)
}

func TestAFailedCommitStopsTheStore(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		h.set("a", "1")
		h.do(&codec.Set{Key: "dead", Value: []byte("1"), TTLMs: 10})
		h.wrapBackend(func(b backend) backend { return failingBackend{b} })
		h.refused(&codec.Set{Key: "a", Value: []byte("2")}, codec.Internal)
		<-h.Failed()
		if !errors.Is(h.Err(), errDisk) {
			t.Errorf("Err is %v", h.Err())
		}
		h.refused(&codec.Set{Key: "a", Value: []byte("3")}, codec.Unavailable)
		h.wantUnavailable()
		if err := h.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if h.options.Kind == Memory {
			return
		}
		h.open()
		if got := h.get("a"); got != "1" {
			t.Errorf("a is %q after the failed commit", got)
		}
		if c := h.changes(); len(c) == 0 || c[len(c)-1].Reason != codec.ReasonGap {
			t.Errorf("reopened without a gap: %+v", c)
		}
	}, func(o *Options) { o.noExpirer = false })
}

// wantUnavailable calls every method of a store that takes no more calls.
func (h *harness) wantUnavailable() {
	h.t.Helper()
	calls := map[string]func() error{
		"Submit":       func() error { return h.Submit(&Request{Command: &codec.Set{Key: "a"}}) },
		"Apply":        func() error { _, err := h.Apply(h.t.Context(), &codec.Set{Key: "a", Value: []byte("x")}); return err },
		"ReadKey":      func() error { _, err := h.ReadKey(&codec.Get{Key: "a"}); return err },
		"ReadKeys":     func() error { _, err := h.ReadKeys(&codec.BatchGet{Keys: []string{"a"}}, codec.Fit{}); return err },
		"ListKeys":     func() error { _, err := h.ListKeys(&codec.List{Limit: 1}, codec.Fit{}); return err },
		"ReadService":  func() error { _, err := h.ReadService(&codec.GetService{Name: "a", Limit: 1}, codec.Fit{}); return err },
		"ReadServices": func() error { _, err := h.ReadServices(&codec.ListServices{Limit: 1}, codec.Fit{}); return err },
		"Outbox":       func() error { _, err := h.Outbox(0, 1); return err },
		"Get":          func() error { _, err := h.Get("a"); return err },
		"Set":          func() error { return h.Set("a", []byte("x")) },
		"Delete":       func() error { return h.Delete("a") },
		"List":         func() error { _, err := h.List(""); return err },
		"GetService":   func() error { _, err := h.GetService("a"); return err },
		"SetService":   func() error { return h.SetService("a", nil, time.Second) },
		"DeleteService": func() error {
			return h.DeleteService("a")
		},
		"ListServices": func() error { _, err := h.ListServices(); return err },
		"BatchSet":     func() error { return h.BatchSet(map[string][]byte{"a": nil}) },
		"BatchDelete":  func() error { return h.BatchDelete([]string{"a"}) },
		"BeginTx":      func() error { _, err := h.BeginTx(); return err },
		"Backup":       func() error { return h.Backup(h.t.TempDir() + "/backup") },
		"StreamBackup": func() error { return h.StreamBackup(discard{}) },
		"Restore":      func() error { return h.Restore(h.t.TempDir() + "/none") },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, codec.ErrUnavailable) {
			h.t.Errorf("%s: %v, want unavailable", name, err)
		}
	}
	h.Position()
	h.Status()
	h.Announced(0)
	h.AnnouncedRevision()
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
