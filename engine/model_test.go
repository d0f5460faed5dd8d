package engine

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/settkv/sett/codec"
)

// A few runs for each change; more with -rapid.checks 5000. A failure prints
// its seed and what it came down to.
func init() {
	_ = flag.Set("rapid.checks", "25")
	_ = flag.Set("rapid.nofailfile", "true")
}

// TestRandomCommandsDoWhatTheModelSays drives both engines and a model of each
// with the same commands, and compares all that can be seen of them.
func TestRandomCommandsDoWhatTheModelSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newPair(t, rt)
		defer p.end()
		steps := rapid.IntRange(1, 60).Draw(rt, "steps")
		for range steps {
			switch rapid.IntRange(0, 19).Draw(rt, "step") {
			case 0, 1, 2:
				d := rapid.SampledFrom([]time.Duration{1, 9, 10, 11, 50, 100, 1000, 60_000, 120_000}).Draw(rt, "advance") * time.Millisecond
				p.each(func(h *harness, m *model) { h.time.advance(d); m.nowMs += d.Milliseconds() })
			case 3:
				p.each(func(h *harness, m *model) {
					for h.sweep() <= 0 {
					}
					m.sweep()
				})
			case 4:
				h, m := p.stores[0], p.models[0]
				if p.restarted = true; rapid.IntRange(0, 2).Draw(rt, "crash") == 0 {
					h.flushBeats() // a crash may lose them: the model does not
					h.crash()
					m.crash()
				} else {
					h.reopen()
					m.reopen()
				}
			case 5:
				n := rapid.Uint64Range(0, p.models[0].revision).Draw(rt, "announced")
				p.each(func(h *harness, m *model) { h.changes(); p.compare(h, m); h.Announced(min(n, m.revision)) })
			default:
				p.command(rt)
			}
			p.each(p.compare)
			p.compareBytes()
		}
	})
}

// pair is both engines, each with its own model: they differ once the one on
// disk was restarted.
type pair struct {
	rt        *rapid.T
	tb        *rapidTB
	stores    []*harness
	models    []*model
	restarted bool
	compared  uint64 // up to here events are equal byte for byte
}

// rapidTB fails a run instead of the test, so that rapid can make it smaller.
type rapidTB struct {
	testing.TB
	run      *rapid.T
	cleanups []func()
	dirs     []string
}

func (t *rapidTB) Error(args ...any)            { t.run.Error(args...) }
func (t *rapidTB) Errorf(f string, args ...any) { t.run.Errorf(f, args...) }
func (t *rapidTB) Fatal(args ...any)            { t.run.Fatal(args...) }
func (t *rapidTB) Fatalf(f string, args ...any) { t.run.Fatalf(f, args...) }
func (t *rapidTB) Failed() bool                 { return t.run.Failed() }
func (t *rapidTB) Helper()                      {}
func (t *rapidTB) Cleanup(f func())             { t.cleanups = append(t.cleanups, f) }

// TempDir is gone at the end of the run, of which there are many.
func (t *rapidTB) TempDir() string {
	dir, err := os.MkdirTemp("", "sett-model-")
	if err != nil {
		t.Fatal(err)
	}
	t.dirs = append(t.dirs, dir)
	return dir
}

func newPair(t *testing.T, rt *rapid.T) *pair {
	p := &pair{rt: rt, tb: &rapidTB{TB: t, run: rt}}
	// A small cache, so that values come from the backend too.
	change := func(o *Options) { o.CacheBytes = rapid.SampledFrom([]int64{-1, 200, 0}).Draw(rt, "cache") }
	for _, kind := range []string{Badger, Memory} {
		p.stores = append(p.stores, open(p.tb, kind, change))
		p.models = append(p.models, newModel())
	}
	return p
}

// end closes the stores, checks included, however the run ends.
func (p *pair) end() {
	defer func() {
		for _, dir := range p.tb.dirs {
			_ = os.RemoveAll(dir)
		}
	}()
	for _, cleanup := range p.tb.cleanups {
		defer cleanup() // the last one first
	}
}

func (p *pair) each(do func(h *harness, m *model)) {
	for i, h := range p.stores {
		do(h, p.models[i])
	}
}

// command gives the same command to all, and compares the replies.
func (p *pair) command(rt *rapid.T) {
	cmd := drawCommand(rt, p.models[0])
	if cmd.Validate() != nil {
		return
	}
	id := rapid.SampledFrom([]string{"", "", "", "x", "y"}).Draw(rt, "id")
	payload := text(cmd)
	for i, h := range p.stores {
		own := codec.NewCommand(cmd.Op()) // a command belongs to the store it was given to
		if _, err := codec.DecodeRequest([]byte(payload), own); err != nil {
			rt.Fatalf("%s: %v", payload, err)
		}
		if err := own.Validate(); err != nil {
			rt.Fatalf("%s: %v", payload, err)
		}
		wantReply, wantErr := p.models[i].apply(id, own, payload)
		want := answer2(wantReply, wantErr)
		if _, err := codec.DecodeRequest([]byte(payload), own); err != nil {
			rt.Fatal(err)
		}
		reply, err := h.submit(id, own.Op(), own, []byte(payload))
		if got := answer2(reply, err); got != want {
			rt.Fatalf("%s: %s %s %s\n got %s\nwant %s", h.options.Kind, id, own.Op(), payload, got, want)
		}
	}
}

// answer2 is a reply or a refusal as text; messages are not compared.
func answer2[E error](reply codec.Reply, err E) string {
	if e, ok := errors.AsType[*codec.Error](err); ok && e != nil {
		bare := *e
		bare.Message = ""
		return text(&bare)
	}
	return text(reply)
}

// compare compares a store's events since the last time, and all of its
// contents, with its model.
func (p *pair) compare(h *harness, m *model) {
	from := h.seen
	got := h.changes()
	var want []codec.Change
	for _, c := range m.events {
		if c.Revision > from {
			want = append(want, c)
		}
	}
	if len(got) != len(want) {
		p.rt.Fatalf("%s: %d events after %d, want %d", h.options.Kind, len(got), from, len(want))
	}
	for i := range got {
		if g, w := text(&got[i]), text(&want[i]); g != w {
			p.rt.Fatalf("%s: event\n got %s\nwant %s", h.options.Kind, g, w)
		}
	}
	if got, want := h.dump(), m.dump(); got != want {
		p.rt.Fatalf("%s holds\n got %s\nwant %s", h.options.Kind, got, want)
	}
	if h.Position() != m.position() {
		p.rt.Fatalf("%s is at %+v, want %+v", h.options.Kind, h.Position(), m.position())
	}
}

// compareBytes compares the engines' events as they are stored, until one of
// them was restarted.
func (p *pair) compareBytes() {
	if p.restarted {
		return
	}
	after := max(p.compared, p.stores[0].AnnouncedRevision())
	a, b := p.stores[0].outboxAfter(after), p.stores[1].outboxAfter(after)
	if len(a) != len(b) {
		p.rt.Fatalf("%d and %d events after %d", len(a), len(b), after)
	}
	for i := range a {
		if a[i].Revision != b[i].Revision || !bytes.Equal(a[i].Payload, b[i].Payload) {
			p.rt.Fatalf("events differ:\n%s\n%s", a[i].Payload, b[i].Payload)
		}
		p.compared = a[i].Revision
	}
}

// flushBeats writes what heartbeats renewed.
func (h *harness) flushBeats() { h.writeBeats() }

func drawCommand(rt *rapid.T, m *model) codec.Command {
	if rapid.IntRange(0, 4).Draw(rt, "batch") > 0 {
		return drawOp(rt, m, false)
	}
	b := &codec.Batch{}
	for range rapid.IntRange(1, 5).Draw(rt, "ops") {
		b.Ops = append(b.Ops, drawOp(rt, m, true))
	}
	for range rapid.IntRange(0, 2).Draw(rt, "if") {
		c := codec.Condition{Key: drawKey(rt)}
		if rapid.Bool().Draw(rt, "if instance") {
			c = codec.Condition{Name: drawName(rt), ID: drawID(rt)}
		}
		if c.Revision = drawRevision(rt, m, modelConditionPath(c)); c.Revision == nil {
			c.Revision = codec.Revision(0)
		}
		b.If = append(b.If, c)
	}
	return b
}

func drawKey(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "a/1", "a/2", "b", "n"}).Draw(rt, "key")
}
func drawName(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"web", "web-2"}).Draw(rt, "name")
}
func drawID(rt *rapid.T) string { return rapid.SampledFrom([]string{"1", "2"}).Draw(rt, "id") }
func drawTTL(rt *rapid.T) int64 {
	return rapid.SampledFrom([]int64{0, 0, 10, 20, 100, 5000}).Draw(rt, "ttl")
}

// drawRevision draws a condition: mostly none, else one that holds, or that of
// nothing, or any.
func drawRevision(rt *rapid.T, m *model, path string) *uint64 {
	switch rapid.IntRange(0, 7).Draw(rt, "condition") {
	case 0:
		return codec.Revision(0)
	case 1, 2:
		return codec.Revision(m.records[path].revision)
	case 3:
		return codec.Revision(rapid.Uint64Range(0, m.revision+1).Draw(rt, "revision"))
	}
	return nil
}

func drawOp(rt *rapid.T, m *model, inBatch bool) codec.Command {
	previous := !inBatch && rapid.Bool().Draw(rt, "previous")
	var cmd codec.Command
	var condition **uint64
	switch kind := rapid.IntRange(0, 12).Draw(rt, "command"); {
	case kind < 3:
		c := &codec.Set{Key: drawKey(rt), TTLMs: drawTTL(rt), ReturnPrevious: previous}
		c.Value = []byte(rapid.SampledFrom([]string{"", "1", "-7", "text", "\xff\x00", "9223372036854770000"}).Draw(rt, "value"))
		c.KeepTTL = c.TTLMs == 0 && rapid.Bool().Draw(rt, "keep")
		cmd, condition = c, &c.IfRevision
	case kind < 5:
		c := &codec.Delete{Key: drawKey(rt), ReturnPrevious: previous}
		cmd, condition = c, &c.IfRevision
	case kind < 6:
		c := &codec.Touch{Key: drawKey(rt)}
		if rapid.Bool().Draw(rt, "touch") {
			c.TTLMs = millis(drawTTL(rt))
		}
		cmd, condition = c, &c.IfRevision
	case kind < 8:
		c := &codec.Increment{Key: drawKey(rt), TTLMs: drawTTL(rt)}
		c.By = rapid.SampledFrom([]int64{1, 2, -1, 9223372036854770000, -9223372036854770000}).Draw(rt, "by")
		cmd, condition = c, &c.IfRevision
	case kind < 10:
		c := &codec.Register{Name: drawName(rt), ID: drawID(rt), TTLMs: drawTTL(rt)}
		c.Tags = rapid.SampledFrom([][]string{nil, {"a"}, {"b", "a"}, {"a", "b", "b"}}).Draw(rt, "tags")
		c.Meta = rapid.SampledFrom([]map[string]string{nil, {"k": "v"}, {"k": ""}}).Draw(rt, "meta")
		c.Note = rapid.SampledFrom([]string{"", "n"}).Draw(rt, "note")
		cmd, condition = c, &c.IfRevision
	case kind < 11:
		c := &codec.Deregister{Name: drawName(rt), ID: drawID(rt)}
		cmd, condition = c, &c.IfRevision
	case kind < 12 && !inBatch:
		c := &codec.Heartbeat{Name: drawName(rt), ID: drawID(rt), Status: rapid.SampledFrom([]string{"", "passing", "critical"}).Draw(rt, "status")}
		if rapid.Bool().Draw(rt, "note") {
			c.Note = new(string)
		}
		cmd, condition = c, &c.IfRevision
	case !inBatch:
		return &codec.Clear{Prefix: rapid.SampledFrom([]string{"a", "a/", "n", "x"}).Draw(rt, "prefix"), Limit: rapid.Int64Range(1, 3).Draw(rt, "limit")}
	default:
		return &codec.Delete{Key: drawKey(rt)}
	}
	*condition = drawRevision(rt, m, modelPath(cmd))
	return cmd
}
