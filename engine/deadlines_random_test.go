package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/settkv/sett/codec"
)

// TestRandomDeadlines drives a store with what moves deadlines, its clock and
// its expirer at random, and holds it to a plain model: nothing ends early,
// nothing that was told dead comes back, each end is announced exactly once,
// and a sweep leaves nothing behind.
func TestRandomDeadlines(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := &pair{rt: rt, tb: &rapidTB{TB: t, run: rt}}
		defer p.end()
		kind := rapid.SampledFrom([]string{Badger, Memory, Memory}).Draw(rt, "engine")
		l := &lifetimes{
			rt: rt, harness: open(p.tb, kind), told: map[string]uint64{},
			mortals: mortals{nowMs: startMs, records: map[string]mortal{}, buried: map[string]mortal{}},
		}
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			l.step()
		}
		l.sweepAll()
		l.look()
	})
}

// lifetimes is a store beside its model.
type lifetimes struct {
	rt *rapid.T
	*harness
	mortals
	told   map[string]uint64 // the largest revision of a path that was told dead
	lookMs int64             // when the expirer looks next
}

func (l *lifetimes) step() {
	switch rapid.IntRange(0, 19).Draw(l.rt, "step") {
	case 0, 1, 2, 3:
		ms := rapid.SampledFrom([]int64{1, 1, 9, 10, 11, 20, 100, 5000}).Draw(l.rt, "advance")
		l.time.advance(time.Duration(ms) * time.Millisecond)
		l.nowMs += ms
	case 4, 5:
		l.sweepAll()
	case 6:
		if l.options.Kind == Badger {
			l.restart()
		}
	case 7, 8, 9:
		l.look()
	default:
		l.command()
	}
	l.announced()
	l.wakes()
}

// sweepAll lets the expirer do what is due, after which nothing is left.
func (l *lifetimes) sweepAll() {
	select {
	case <-l.deadlines.sooner:
	default:
	}
	wait := l.sweep()
	for ; wait <= 0; wait = l.sweep() {
	}
	l.lookMs = l.nowMs + wait
	l.buryAll()
	l.visible().Scan(func(i item) bool {
		if i.rec.dead(l.nowMs) {
			l.rt.Fatalf("a sweep left %q, which ended %d ms ago", i.path, l.nowMs-i.rec.expires())
		}
		return true
	})
	l.announced()
}

// wakes checks that the expirer comes in time for the next deadline, or was
// told to come earlier.
func (l *lifetimes) wakes() {
	if len(l.deadlines.sooner) > 0 {
		l.lookMs = l.nowMs
	}
	for path, r := range l.records {
		if r.expires != 0 && r.expires < l.lookMs && l.lookMs > l.nowMs {
			l.rt.Fatalf("%q ends %d ms before the expirer looks again", path, l.lookMs-r.expires)
		}
	}
}

// restart closes the store and opens it again, with the wall clock anywhere.
// Time goes on from where it was, or from the wall clock if that is later.
func (l *lifetimes) restart() {
	jump := rapid.SampledFrom([]time.Duration{-1000 * time.Hour, -time.Second, -time.Millisecond, 0, 0, time.Millisecond, time.Second, 10 * time.Second}).Draw(l.rt, "jump")
	crash := rapid.Bool().Draw(l.rt, "crash")
	recorded := l.nowMs
	if crash {
		l.sweepAll() // what was told dead is on disk
		recorded = l.state.Load().counters.nowMs
	}
	l.check()
	dir := l.options.Dir
	if crash {
		dir = l.harness.t.TempDir()
		copyDir(l.harness.t, dir, l.options.Dir)
	}
	l.close()
	l.options.Dir = dir
	l.time.advance(jump)
	l.open()
	l.check()
	l.nowMs = max(l.time.Now().UnixMilli(), recorded)
	l.lookMs = l.nowMs
	for path, r := range l.records {
		if isKey(path) || r.ttl == 0 || r.dead(recorded) {
			continue
		}
		name, id := splitInstance(path)
		r.expires = max(r.expires, l.until(r.ttl))
		if at := l.expiresAt(name, id); crash && at >= l.until(r.ttl) {
			r.expires = at // what a crash loses of heartbeats the grace makes up for
		}
		l.records[path] = r
	}
}

// command gives the store a command, or a batch of some.
func (l *lifetimes) command() {
	cmd := drawMortal(l.rt, false)
	if rapid.IntRange(0, 4).Draw(l.rt, "batch") == 0 {
		batch := &codec.Batch{}
		for range rapid.IntRange(1, 4).Draw(l.rt, "ops") {
			batch.Ops = append(batch.Ops, drawMortal(l.rt, true))
		}
		if rapid.Bool().Draw(l.rt, "if") {
			path := rapid.SampledFrom(mortalPaths).Draw(l.rt, "if path")
			batch.If = []codec.Condition{{Revision: codec.Revision(l.alive(path).revision)}}
			if batch.If[0].Name, batch.If[0].ID = path, ""; isKey(path) {
				batch.If[0].Name, batch.If[0].Key = "", path[len(kvPrefix):]
			} else {
				batch.If[0].Name, batch.If[0].ID = splitInstance(path)
			}
		}
		cmd = batch
	}
	reply, err := l.Apply(context.Background(), cmd)
	if refused, ok := errors.AsType[*codec.Error](err); err != nil && (!ok || refused.Code == codec.Internal) {
		l.rt.Fatalf("%s: %v", text(cmd), err)
	}
	ok, deadlines := l.apply(cmd)
	if ok != (err == nil) {
		l.rt.Fatalf("%s: %v; the model takes it: %v", text(cmd), err, ok)
	}
	if !ok {
		return
	}
	l.took(cmd, reply)
	replies := []codec.Reply{reply}
	if batch, is := reply.(*codec.BatchReply); is {
		replies = batch.Results
	}
	for i, r := range replies {
		if at := expiryOf(r); at != nil && *at != deadlines[i] {
			l.rt.Fatalf("%s: it ends at %d, want %d: %s", text(cmd), *at, deadlines[i], text(reply))
		}
	}
}

// expiryOf is the deadline that a reply tells, if it tells any.
func expiryOf(reply codec.Reply) *int64 {
	switch r := reply.(type) {
	case *codec.SetReply:
		return &r.ExpiresAtMs
	case *codec.TouchReply:
		return &r.ExpiresAtMs
	case *codec.RegisterReply:
		return &r.ExpiresAtMs
	case *codec.HeartbeatReply:
		return &r.ExpiresAtMs
	}
	return nil
}

// alive is the record that must be seen of a path; the zero value if there is
// none.
func (l *lifetimes) alive(path string) mortal {
	if r := l.records[path]; !r.dead(l.nowMs) {
		return r
	}
	return mortal{}
}

// announced compares the ends that were announced with those that there were.
func (l *lifetimes) announced() {
	for _, c := range l.changes() {
		path := keyPath(c.Key)
		if c.Name != "" {
			path = instancePath(c.Name, c.ID)
		}
		if c.Op != codec.OpExpire {
			continue
		}
		r, ok := l.buried[path]
		if delete(l.buried, path); !ok || c.PreviousRevision != r.revision || c.TimeMs < r.expires || c.TimeMs != l.nowMs {
			l.rt.Fatalf("announced at %d: %s, the model has %+v (%v)", l.nowMs, text(&c), r, ok)
		}
		if in := c.Instance; in != nil && (in.Status != r.status || in.Note != r.note || in.ExpiresAtMs != r.expires || in.Revision != r.revision) {
			l.rt.Fatalf("the last instance is %s, want %+v", text(in), r)
		}
		l.told[path] = max(l.told[path], r.revision)
	}
	for path := range l.buried {
		l.rt.Fatalf("the end of %q was not announced", path)
	}
}

// look reads everything in every way and compares it with the model.
func (l *lifetimes) look() {
	all := codec.BatchGet{}
	for _, path := range mortalPaths {
		if !isKey(path) {
			name, id := splitInstance(path)
			l.sees(path, l.instances(name, id), true)
			continue
		}
		key := path[len(kvPrefix):]
		all.Keys = append(all.Keys, key)
		reply, err := l.ReadKey(&codec.Get{Key: key})
		switch {
		case err == nil:
			l.sees(path, []seen{{path, reply.Revision, reply.ExpiresAtMs}}, true)
		case errors.Is(err, codec.ErrNotFound):
			l.sees(path, nil, true)
		default:
			l.rt.Fatal(err)
		}
	}
	listed, err := l.ListKeys(&codec.List{Limit: 100}, codec.Fit{})
	if err != nil {
		l.rt.Fatal(err)
	}
	got, err := l.ReadKeys(&all, codec.Fit{})
	if err != nil {
		l.rt.Fatal(err)
	}
	for _, entries := range [][]codec.Entry{listed.Entries, got.Entries} {
		var found []seen
		for _, e := range entries {
			found = append(found, seen{keyPath(e.Key), e.Revision, e.ExpiresAtMs})
		}
		l.sees(kvPrefix, found, false)
	}
	l.sees(instancesPath("web"), l.instances("web", ""), false)
	services, err := l.ReadServices(&codec.ListServices{Limit: 10}, codec.Fit{})
	if err != nil {
		l.rt.Fatal(err)
	}
	want := 0
	for _, path := range mortalPaths {
		if !isKey(path) && l.alive(path).revision != 0 {
			want++
		}
	}
	if count := len(services.Services); count > 1 || (count == 1) != (want > 0) || count == 1 && services.Services[0].Count != int64(want) {
		l.rt.Fatalf("svc.list shows %s, want %d instances", text(services), want)
	}
}

// seen is a record as a read shows it.
type seen struct {
	path     string
	revision uint64
	expires  int64
}

func (l *lifetimes) instances(name, id string) (found []seen) {
	reply, err := l.ReadService(&codec.GetService{
		Name: name, ID: id, Statuses: []string{codec.Passing, codec.Warning, codec.Critical}, Limit: 100,
	}, codec.Fit{})
	if err != nil {
		l.rt.Fatal(err)
	}
	for _, in := range reply.Instances {
		found = append(found, seen{instancePath(in.Name, in.ID), in.Revision, in.ExpiresAtMs})
	}
	return found
}

// sees compares what a read shows of a path, or of all that begin with it, and
// notes what it thereby tells dead.
func (l *lifetimes) sees(prefix string, found []seen, exactly bool) {
	var want []seen
	for _, path := range mortalPaths {
		if exactly && path != prefix || !strings.HasPrefix(path, prefix) {
			continue
		}
		if r := l.alive(path); r.revision != 0 {
			want = append(want, seen{path, r.revision, r.expires})
		} else {
			l.told[path] = max(l.told[path], l.records[path].revision)
		}
	}
	if !slices.Equal(found, want) {
		l.rt.Fatalf("at %d a read of %q shows %v, want %v", l.nowMs, prefix, found, want)
	}
	for _, f := range found {
		if f.revision <= l.told[f.path] {
			l.rt.Fatalf("%q of revision %d was told dead and is back", f.path, f.revision)
		}
	}
}

// mortalPaths are all that the commands are about, in order.
var mortalPaths = []string{keyPath("a"), keyPath("b"), keyPath("n"), instancePath("web", "1"), instancePath("web", "2")}

func drawMortal(rt *rapid.T, inBatch bool) codec.Command {
	path := rapid.SampledFrom(mortalPaths).Draw(rt, "path")
	ttl := rapid.SampledFrom([]int64{0, 10, 10, 11, 20, 100, 5000}).Draw(rt, "ttl")
	draw := rapid.IntRange(0, 9).Draw(rt, "command")
	if !isKey(path) {
		name, id := splitInstance(path)
		switch {
		case draw < 4:
			return &codec.Register{Name: name, ID: id, TTLMs: ttl, Note: rapid.SampledFrom([]string{"", "", "n"}).Draw(rt, "note"), Status: codec.Passing}
		case draw < 9 && !inBatch:
			return &codec.Heartbeat{Name: name, ID: id, Status: rapid.SampledFrom([]string{"", "", codec.Passing, codec.Warning}).Draw(rt, "status")}
		}
		return &codec.Deregister{Name: name, ID: id}
	}
	key := path[len(kvPrefix):]
	switch {
	case draw < 4:
		c := &codec.Set{Key: key, TTLMs: ttl, Value: []byte(rapid.SampledFrom([]string{"1", "1", "text"}).Draw(rt, "value"))}
		c.KeepTTL = ttl == 0 && rapid.Bool().Draw(rt, "keep")
		return c
	case draw < 7:
		c := &codec.Touch{Key: key}
		if rapid.Bool().Draw(rt, "touch") {
			c.TTLMs = &ttl
		}
		return c
	case draw < 9:
		return &codec.Increment{Key: key, By: 1, TTLMs: ttl}
	}
	return &codec.Delete{Key: key}
}
