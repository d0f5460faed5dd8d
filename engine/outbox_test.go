package engine

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/settkv/sett/codec"
)

// wantDense fails unless events have each revision from first to last once.
func wantDense(t testing.TB, events []codec.Event, first, last uint64) {
	t.Helper()
	if n := uint64(len(events)); n != last-first+1 {
		t.Fatalf("%d events, want those of %d to %d", n, first, last)
	}
	for i, e := range events {
		if e.Revision != first+uint64(i) {
			t.Fatalf("event %d has revision %d, want %d", i, e.Revision, first+uint64(i))
		}
		if c := decodeChange(t, e); c.Revision != e.Revision {
			t.Fatalf("event %d says revision %d", e.Revision, c.Revision)
		}
	}
}

func TestEventsAreThereInBothEncodings(t *testing.T) {
	for name, enc := range map[string]codec.Encoding{"json": codec.JSON, "msgpack": codec.Msgpack} {
		t.Run(name, func(t *testing.T) {
			engines(t, func(t *testing.T, h *harness) {
				h.do(&codec.Set{Key: "a/b", Value: []byte{0xff, 0}, TTLMs: 100})
				h.do(&codec.Register{Name: "web", ID: "1", Tags: []string{"x"}})
				h.do(&codec.Delete{Key: "a/b"})
				events := h.outboxAfter(0)
				wantDense(t, events, 1, 3)
				for i, want := range []codec.Event{
					{Kind: codec.KeyEvent, Name: "a/b"}, {Kind: codec.ServiceEvent, Name: "web", ID: "1"}, {Kind: codec.KeyEvent, Name: "a/b"},
				} {
					e := events[i]
					if e.Kind != want.Kind || e.Name != want.Name || e.ID != want.ID || e.Payload[0] == '{' != (enc == codec.JSON) {
						t.Errorf("event %d is %+v", i, e)
					}
				}
				c := decodeChange(t, events[0])
				if c.Op != codec.OpSet || c.Key != "a/b" || !bytes.Equal(c.Value, []byte{0xff, 0}) || c.TTLMs != 100 ||
					c.ExpiresAtMs != startMs+100 || c.Epoch != startMs || c.TimeMs != startMs {
					t.Errorf("%+v", c)
				}
				if c := decodeChange(t, events[1]); c.Instance == nil || c.Instance.Revision != 2 || c.Instance.Tags[0] != "x" {
					t.Errorf("%+v", c)
				}
			}, func(o *Options) { o.FeedEncoding = enc })
		})
	}
}

func TestTheOutboxGivesAboutWhatIsAskedFor(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		for i := range 100 {
			h.set(fmt.Sprint("k", i), string(make([]byte, 1000)))
		}
		for _, most := range []int{-1, 0, 1, 5000, 1 << 20} {
			events, err := h.Outbox(10, most)
			if err != nil || len(events) == 0 {
				t.Fatalf("asked for %d bytes: %d events, %v", most, len(events), err)
			}
			wantDense(t, events, 11, 10+uint64(len(events)))
			size := 0
			for _, e := range events[:len(events)-1] {
				size += len(e.Payload)
			}
			if most > 0 && size > most {
				t.Errorf("asked for %d bytes, got %d more than one event", most, size)
			}
		}
		if events, err := h.Outbox(100, 1000); err != nil || len(events) != 0 {
			t.Errorf("after the last: %v %v", events, err)
		}
		if events, err := h.Outbox(1<<60, 1000); err != nil || len(events) != 0 {
			t.Errorf("beyond the last: %v %v", events, err)
		}
	})
}

func TestALargeBatchIsKeptInParts(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		h.set("before", "1")
		batch := &codec.Batch{}
		for i := range 300 {
			batch.Ops = append(batch.Ops, &codec.Set{Key: fmt.Sprint("k", i), Value: bytes.Repeat([]byte{0xff}, 2900)})
		}
		h.do(batch)
		h.set("after", "1")
		parts := len(h.outbox.parts)
		if parts < 4 {
			t.Fatalf("%d parts", parts)
		}
		for _, p := range h.outbox.parts {
			if p.size > maxPart+1024 {
				t.Errorf("a part of %d bytes", p.size)
			}
		}
		wantDense(t, h.outboxAfter(0), 1, 302)
		wantDense(t, h.outboxAfter(150), 151, 302)
		for _, c := range h.changes()[1:301] {
			if c.CommitRevision != 301 {
				t.Fatalf("change %d has commit revision %d, want the batch's last: 301", c.Revision, c.CommitRevision)
			}
		}
		// A part of which only the first change is announced stays whole.
		h.Announced(h.outbox.parts[2].first)
		kept := h.outbox.parts[2].first
		h.set("more", "1")
		wantDense(t, h.outboxAfter(0), kept, 303)
		h.check()
		if h.options.Kind == Badger {
			h.reopen()
			wantDense(t, h.outboxAfter(h.AnnouncedRevision()), h.AnnouncedRevision()+1, 303)
		}
	})
}

func TestWhatWasAnnouncedLeavesWithTheNextCommit(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		for i := range 10 {
			h.set(fmt.Sprint("k", i), "1")
		}
		h.Announced(4)
		h.Announced(2) // never goes back
		if got := h.AnnouncedRevision(); got != 4 {
			t.Errorf("announced is %d, want 4", got)
		}
		wantDense(t, h.outboxAfter(0), 1, 10)
		h.set("k", "1")
		wantDense(t, h.outboxAfter(0), 5, 11)
		if s := h.Status().Feed; s.AckedRevision != 4 || s.OutboxRevisions != 7 || s.OutboxBytes == 0 {
			t.Errorf("%+v", s)
		}
		h.Announced(11)
		if s := h.Status().Feed; s.OutboxRevisions != 0 || s.OutboxBytes != 0 {
			t.Errorf("%+v", s)
		}
		h.set("k", "2")
		wantDense(t, h.outboxAfter(0), 12, 12)
	})
}

func TestTheOutboxIsThereAfterARestart(t *testing.T) {
	h := open(t, Badger)
	for i := range 10 {
		h.set(fmt.Sprint("k", i), "1")
	}
	before := h.outboxAfter(0)
	h.Announced(3)
	h.reopen()
	if h.AnnouncedRevision() != 3 {
		t.Errorf("announced is %d, want 3", h.AnnouncedRevision())
	}
	after := h.outboxAfter(0)
	wantDense(t, after, 4, 10)
	for i, e := range after {
		if !bytes.Equal(e.Payload, before[i+3].Payload) || e.Name != before[i+3].Name {
			t.Errorf("event %d is %q, was %q", e.Revision, e.Payload, before[i+3].Payload)
		}
	}
	h.crash()
	wantDense(t, h.outboxAfter(0), 4, 11)
}

func TestEventsBeyondMemoryAreReadBack(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		const n = 40
		for i := range n {
			h.do(&codec.Set{Key: fmt.Sprint("k", i%3), Value: bytes.Repeat([]byte{byte(i), 0xff}, codec.MaxValue/2)})
		}
		if o := h.outbox; o.resident > outboxInMemory || int64(o.resident) == o.bytes {
			t.Fatalf("%d of %d bytes are in memory", o.resident, o.bytes)
		}
		revision := uint64(0)
		for i := range n {
			events, err := h.Outbox(revision, 1)
			if err != nil || len(events) != 1 {
				t.Fatalf("after %d: %d events, %v", revision, len(events), err)
			}
			c := decodeChange(t, events[0])
			if revision++; c.Revision != revision || len(c.Value) != codec.MaxValue || c.Value[0] != byte(i) {
				t.Fatalf("event %d says %d, %d bytes", revision, c.Revision, len(c.Value))
			}
			if h.Announced(revision); i%7 == 0 {
				h.do(&codec.Touch{Key: "k1", TTLMs: millis(1_000_000)}) // which trims
			}
		}
	}, func(o *Options) { o.FeedEncoding = codec.Msgpack })
}

func millis(n int64) *int64 { return &n }

// TestAFeedThatComesBackTrimsInSteps: the deletions of a long outbox must not
// outgrow a commit.
func TestAFeedThatComesBackTrimsInSteps(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		const n = 3*maxTrim + 100
		for i := range n {
			h.set("k", fmt.Sprint(i))
		}
		h.Announced(n)
		for left := n; left > 0; left -= maxTrim {
			if got := len(h.outbox.parts); got != left {
				t.Fatalf("%d parts, want %d", got, left)
			}
			h.do(&codec.Touch{Key: "k", TTLMs: millis(1000)})
		}
		if got := len(h.outbox.parts); got != 0 {
			t.Errorf("%d parts are left", got)
		}
	})
}

func TestCommitsSaysWhenThereIsSomething(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		select {
		case <-h.Commits():
			t.Error("a fresh store has changes")
		default:
		}
		h.do(&codec.Delete{Key: "none"})
		h.do(&codec.Batch{Ops: []codec.Command{&codec.Set{Key: "a", Value: []byte{}}, &codec.Set{Key: "b", Value: []byte{}}}})
		h.set("c", "")
		<-h.Commits()
		wantDense(t, h.outboxAfter(0), 1, 3)
		select {
		case <-h.Commits():
			t.Error("a second value for commits that were seen")
		default:
		}
	})
}

// TestOverwrittenValuesAreStillToldOf after a crash, though the records that
// had them are gone: by later commits, or by the same one.
func TestOverwrittenValuesAreStillToldOf(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		const rounds = 50
		for i := range rounds {
			h.do(&codec.Batch{Ops: []codec.Command{
				&codec.Set{Key: "a", Value: fmt.Append(nil, "passing ", i)},
				&codec.Set{Key: "a", Value: fmt.Append(nil, "last ", i)},
				&codec.Set{Key: "b", Value: fmt.Append(nil, "deleted ", i)},
				&codec.Delete{Key: "b"},
				&codec.Set{Key: "c", Value: fmt.Append(nil, "touched ", i)},
				&codec.Set{Key: "d", Value: []byte{}},
			}})
			h.do(&codec.Touch{Key: "c", TTLMs: millis(1_000_000)})
		}
		before := h.outboxAfter(0)
		wantDense(t, before, 1, 6*rounds)
		if b, ok := h.state.Load().backend.(*badgerBackend); ok {
			if err := b.db.Flatten(1); err != nil {
				t.Fatal(err)
			}
			h.crash()
			if err := h.state.Load().backend.(*badgerBackend).db.Flatten(1); err != nil {
				t.Fatal(err)
			}
		} else {
			for i := range h.outbox.parts {
				h.outbox.drop(&h.outbox.parts[i])
			}
		}
		after := h.outboxAfter(0)
		for i := range before {
			if !bytes.Equal(after[i].Payload, before[i].Payload) || after[i].Name != before[i].Name {
				t.Errorf("event %d is %q, was %q", before[i].Revision, after[i].Payload, before[i].Payload)
			}
		}
	})
}
