package consumer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/consumer"
	"github.com/settkv/sett/engine"
	"github.com/settkv/sett/subjects"
)

// fill gives a store what takes more chunks than a window has, also packed.
func fill(t *testing.T, store engine.Engine) {
	t.Helper()
	random := rand.NewChaCha8([32]byte{})
	for i := range 8 {
		value := make([]byte, 400_000)
		random.Read(value)
		if err := store.Set(fmt.Sprint("k", i), value); err != nil {
			t.Fatal(err)
		}
	}
}

func backupClient(t *testing.T, nc *nats.Conn) *subjects.Client {
	t.Helper()
	c, err := subjects.NewClient(nc, subjects.Options{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// requester takes a backup by hand.
type requester struct {
	t    *testing.T
	sub  *nats.Subscription
	seen uint64
}

func askBackup(t *testing.T, nc *nats.Conn, payload string) *requester {
	t.Helper()
	r := &requester{t: t, sub: subscribe(t, nc, nc.NewInbox())}
	if err := nc.PublishRequest("store.backup", r.sub.Subject, []byte(payload)); err != nil {
		t.Fatal(err)
	}
	return r
}

// chunk takes the next chunk, and does not acknowledge it.
func (r *requester) chunk() (*nats.Msg, *codec.BackupChunk) {
	r.t.Helper()
	m := next(r.t, r.sub)
	c := decode[codec.BackupChunk](r.t, m.Data)
	if r.seen++; subjects.ReplyError(m) != nil || c.Seq != r.seen || len(c.Data) == 0 || m.Reply == "" {
		r.t.Fatalf("instead of chunk %d: %v, %+v", r.seen, subjects.ReplyError(m), m.Header)
	}
	return m, c
}

// code takes the next message, which must be an error.
func (r *requester) code() codec.Code {
	r.t.Helper()
	err := subjects.ReplyError(next(r.t, r.sub))
	refused, ok := errors.AsType[*codec.Error](err)
	if !ok {
		r.t.Fatalf("no error: %v", err)
	}
	return refused.Code
}

// TestBackup sends what the engine writes, in both encodings.
func TestBackup(t *testing.T) {
	store, _, nc := serveMemory(t)
	fill(t, store)
	var got bytes.Buffer
	reply, err := backupClient(t, nc).Backup(t.Context(), &got)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(got.Len())
	info, err := engine.VerifyBackup(&got)
	if err != nil || info.SHA256 != reply.SHA256 || size != reply.Bytes || info.Keys != 8 || reply.Keys != 8 ||
		info.Revision != reply.StoreRevision || info.Epoch != reply.Epoch {
		t.Errorf("%+v, %+v: %v", info, reply, err)
	}
	for _, payload := range []string{"", "{}", "\x80"} {
		r, sum := askBackup(t, nc, payload), sha256.New()
		for range reply.Chunks {
			m, c := r.chunk()
			if wantJSON := payload != "\x80"; (m.Data[0] == '{') != wantJSON {
				t.Fatalf("asked with %q, answered with %.20q", payload, m.Data)
			}
			sum.Write(c.Data)
			if err := m.Respond(nil); err != nil {
				t.Fatal(err)
			}
		}
		last := decode[codec.BackupReply](t, next(t, r.sub).Data)
		if !last.Done || last.Chunks != reply.Chunks || last.SHA256 != hex.EncodeToString(sum.Sum(nil)) {
			t.Errorf("%q: %+v", payload, last)
		}
	}
	for _, c := range []struct{ subject, payload string }{{"store.backup", `{"to":"/tmp/x"}`}, {"store.backup.x", ``}} {
		if err := subjects.ReplyError(ask(t, nc, c.subject, c.payload)); !errors.Is(err, codec.ErrInvalid) {
			t.Errorf("%s %s: %v", c.subject, c.payload, err)
		}
	}
}

// TestBackupOfASlowRequester: the store sends a window and no more, answers
// others meanwhile, and refuses a third one.
func TestBackupOfASlowRequester(t *testing.T) {
	store, _, nc := serveMemory(t)
	fill(t, store)
	slow, other := askBackup(t, nc, ""), askBackup(t, nc, "")
	var first *nats.Msg
	for i := range codec.BackupWindow {
		m, _ := slow.chunk()
		if i == 0 {
			first = m
		}
		other.chunk()
	}
	if got := askBackup(t, nc, "").code(); got != codec.Overloaded {
		t.Errorf("a third one: %s", got)
	}
	for i := range 100 { // more than either writer or readers could hold back
		if err := subjects.ReplyError(ask(t, nc, "kv.set", fmt.Sprintf(`{"key":"k%d","value":"new"}`, i))); err != nil {
			t.Fatal(err)
		}
		ask(t, nc, "kv.get", fmt.Sprintf(`{"key":"k%d"}`, i))
	}
	if n, _, err := slow.sub.Pending(); n != 0 || err != nil {
		t.Errorf("%d chunks beyond the window", n)
	}
	// Nonsense acknowledges nothing, and the same chunk twice counts once.
	base := first.Reply[:len(first.Reply)-1]
	for _, subject := range []string{base + "x", base + "0", base + "99", first.Reply, first.Reply} {
		if err := nc.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
	}
	m, _ := slow.chunk()
	if n, _, err := slow.sub.Pending(); n != 0 || err != nil {
		t.Errorf("%d chunks for one acknowledgement", n)
	}
	if err := m.Respond(nil); err != nil {
		t.Fatal(err)
	}
	slow.chunk()
}

// TestBackupOfARequesterThatIsGone: its place is free again, at once where
// nobody listens, and after a while where nobody acknowledges.
func TestBackupOfARequesterThatIsGone(t *testing.T) {
	for _, leaves := range []bool{true, false} {
		t.Run(fmt.Sprintf("leaves %v", leaves), func(t *testing.T) {
			store, _, nc := serveMemory(t, func(o *consumer.Options) {
				if !leaves {
					o.BackupPatience = 100 * time.Millisecond
				}
			})
			fill(t, store)
			for range 2 {
				r := askBackup(t, nc, "")
				m, _ := r.chunk()
				if leaves {
					if err := errors.Join(r.sub.Unsubscribe(), m.Respond(nil)); err != nil {
						t.Fatal(err)
					}
				}
			}
			until(t, "a place is free", func() bool {
				_, err := backupClient(t, nc).Backup(t.Context(), io.Discard)
				slow := !leaves && errors.Is(err, codec.ErrUnavailable) // this one too, on a busy machine
				if err != nil && !errors.Is(err, codec.ErrOverloaded) && !slow {
					t.Fatal(err)
				}
				return err == nil
			})
		})
	}
}

// TestBackupOfAStoreThatStops ends with an error, and the stop does not wait.
func TestBackupOfAStoreThatStops(t *testing.T) {
	store, running, nc := serveMemory(t)
	fill(t, store)
	r := askBackup(t, nc, "")
	for range codec.BackupWindow {
		r.chunk()
	}
	if err := running.end(); err != nil {
		t.Error(err)
	}
	if got := r.code(); got != codec.Unavailable {
		t.Errorf("it ended with %s", got)
	}
}

// TestBackupThatIsReplaced meanwhile ends with an error that says to try again.
func TestBackupThatIsReplaced(t *testing.T) {
	store, _, nc := serveMemory(t)
	fill(t, store)
	path := t.TempDir() + "/backup"
	if err := store.Backup(path); err != nil {
		t.Fatal(err)
	}
	r := askBackup(t, nc, "")
	var chunks []*nats.Msg
	for range codec.BackupWindow {
		m, _ := r.chunk()
		chunks = append(chunks, m)
	}
	restored := make(chan error, 1)
	go func() { restored <- store.Restore(path) }()
	for done := false; !done; {
		for _, m := range chunks {
			if err := m.Respond(nil); err != nil {
				t.Fatal(err)
			}
		}
		chunks = chunks[:0]
		m := next(t, r.sub)
		err := subjects.ReplyError(m)
		done = err != nil || decode[codec.BackupReply](t, m.Data).Done // it may have been faster than the restore
		if chunks = append(chunks, m); err != nil && !errors.Is(err, codec.ErrUnavailable) {
			t.Error(err)
		}
	}
	if err := <-restored; err != nil {
		t.Error(err)
	}
}

// TestBackupClient: what it is told and what it writes to.
func TestBackupClient(t *testing.T) {
	store, running, nc := serveMemory(t)
	fill(t, store)
	c := backupClient(t, nc)
	full := errors.New("the disk is full")
	if _, err := c.Backup(t.Context(), writerFunc(func([]byte) (int, error) { return 0, full })); !errors.Is(err, full) {
		t.Errorf("a writer that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := c.Backup(ctx, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := running.end(); err != nil {
		t.Error(err)
	}
	if _, err := c.Backup(t.Context(), io.Discard); !errors.Is(err, codec.ErrUnavailable) {
		t.Errorf("no store: %v", err)
	}
	for name, answers := range map[string][]any{
		"a hole":      {&codec.BackupChunk{Seq: 1, Data: []byte("a")}, &codec.BackupChunk{Seq: 3, Data: []byte("b")}},
		"another sum": {&codec.BackupChunk{Seq: 1, Data: []byte("a")}, &codec.BackupReply{Done: true, Chunks: 1, Bytes: 1, SHA256: "00"}},
		"no end":      {&codec.BackupChunk{Seq: 1, Data: []byte("a")}, &codec.BackupChunk{}},
	} {
		sub, err := nc.Subscribe("store.backup", func(m *nats.Msg) {
			for _, a := range answers {
				if err := nc.PublishRequest(m.Reply, "ack", codec.Append(nil, codec.Msgpack, a)); err != nil {
					t.Error(err)
				}
			}
		})
		if err = errors.Join(err, nc.Flush()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Backup(t.Context(), io.Discard); !errors.Is(err, codec.ErrInternal) {
			t.Errorf("%s: %v", name, err)
		}
		if err := sub.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
