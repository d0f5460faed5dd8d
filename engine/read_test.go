package engine

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/settkv/sett/codec"
)

// walkKeys reads every page of a list, checks what holds for each page, and
// returns the keys and the common prefixes.
func (h *harness) walkKeys(r codec.List, fit codec.Fit) (keys, prefixes []string, pages int) {
	h.t.Helper()
	if err := r.Validate(); err != nil {
		h.t.Fatal(err)
	}
	first := h.Position()
	for {
		page, err := h.ListKeys(&r, fit)
		if err != nil {
			h.t.Fatalf("page %d of %+v: %v", pages, r, err)
		}
		pages++
		if n := len(page.Entries) + len(page.Prefixes); int64(n) > r.Limit || n == 0 && page.Next != "" {
			h.t.Fatalf("page %d of %+v has %d entries and next %q", pages, r, n, page.Next)
		}
		if size := len(codec.Append(nil, fit.Encoding, page)); fit.MaxBytes > 0 && size > fit.MaxBytes {
			h.t.Fatalf("page %d of %+v takes %d bytes, the most are %d", pages, r, size, fit.MaxBytes)
		}
		if page.Position != first {
			h.t.Fatalf("page %d carries %+v, the first one %+v", pages, page.Position, first)
		}
		for _, e := range page.Entries {
			keys = append(keys, e.Key)
			if r.ReturnValues != (e.Value != nil) {
				h.t.Fatalf("%q has the value %q, asked for: %v", e.Key, e.Value, r.ReturnValues)
			}
		}
		prefixes = append(prefixes, page.Prefixes...)
		if page.Next == "" {
			return keys, prefixes, pages
		}
		r.Cursor, r.After = page.Next, ""
	}
}

// listed is what a list is, by the plainest means.
func listed(all []string, r codec.List) (keys, prefixes []string) {
	all = slices.Clone(all)
	slices.Sort(all)
	if r.Reverse {
		slices.Reverse(all)
	}
	for _, key := range all {
		rest, ok := strings.CutPrefix(key, r.Prefix)
		behind := r.After == "" || !r.Reverse && key > r.After || r.Reverse && key < r.After
		if !ok || !behind {
			continue
		}
		if i := strings.Index(rest, r.Delimiter); r.Delimiter != "" && i >= 0 {
			folded := r.Prefix + rest[:i+len(r.Delimiter)]
			if !slices.Contains(prefixes, folded) {
				prefixes = append(prefixes, folded)
			}
			continue
		}
		keys = append(keys, key)
	}
	return keys, prefixes
}

func TestPagesOfAnySizeMakeTheSameList(t *testing.T) {
	all := []string{"a", "a/", "a//", "a/b", "a/b/c", "a/b/d", "a/c", "a/é/1", "a/é/2", "a0", "ab", "b", "b/x", "b/y/z", "b/y", "c/", "/", "//a", "é", "é/1", "\U0010FFFF", "\U0010FFFF/a"}
	engines(t, func(t *testing.T, h *harness) {
		for _, key := range all {
			h.set(key, "value of "+key)
		}
		for _, prefix := range []string{"", "a", "a/", "a/b", "b/y", "é", "\U0010FFFF", "x", "/"} {
			for _, delimiter := range []string{"", "/", "b", "/b", "é/"} {
				for _, after := range []string{"", "a", "a/b", "a/b/cc", "b/", "\U0010FFFF", "0"} {
					for _, reverse := range []bool{false, true} {
						r := codec.List{Prefix: prefix, Delimiter: delimiter, After: after, Reverse: reverse}
						keys, prefixes := listed(all, r)
						for _, limit := range []int64{1, 2, 3, 1000} {
							r.Limit, r.ReturnValues = limit, limit == 2
							gotKeys, gotPrefixes, _ := h.walkKeys(r, codec.Fit{})
							if !slices.Equal(gotKeys, keys) || !slices.Equal(gotPrefixes, prefixes) {
								t.Fatalf("%+v\n got %q %q\nwant %q %q", r, gotKeys, gotPrefixes, keys, prefixes)
							}
						}
					}
				}
			}
		}
	})
}

func TestAPageEndsBeforeItOutgrowsThePayload(t *testing.T) {
	values := map[string][]byte{
		"text":    bytes.Repeat([]byte("x"), 3000),
		"binary":  bytes.Repeat([]byte{0xff, 0}, 1500),
		"quotes":  bytes.Repeat([]byte(`"`), 3000),
		"escapes": bytes.Repeat([]byte{1}, 3000),
		"empty":   {},
	}
	engines(t, func(t *testing.T, h *harness) {
		var all []string
		for name, value := range values {
			for i := range 40 {
				key := fmt.Sprintf("%s/%s%d", name, strings.Repeat(`"`, 900), i)
				all = append(all, key)
				h.do(&codec.Set{Key: key, Value: value, TTLMs: codec.MaxTTL.Milliseconds()})
			}
		}
		slices.Sort(all)
		for _, enc := range []codec.Encoding{codec.Msgpack, codec.JSON, codec.JSONBase64} {
			for _, r := range []codec.List{{ReturnValues: true}, {}, {Reverse: true, ReturnValues: true}, {Delimiter: "1"}} {
				for _, most := range []int{16 << 10, 50_000, 1 << 20} {
					keys, prefixes, pages := h.walkKeys(r, codec.Fit{Encoding: enc, MaxBytes: most})
					if len(keys)+len(prefixes) < len(values) || most == 16<<10 && pages == 1 {
						t.Errorf("%+v in %d bytes: %d entries on %d pages", r, most, len(keys)+len(prefixes), pages)
					}
					if r.Reverse {
						slices.Reverse(keys)
					}
					if r.Delimiter == "" && !slices.Equal(keys, all) {
						t.Errorf("%+v in %d bytes lost keys", r, most)
					}
				}
			}
		}
	})
}

func TestTheLargestValueFitsThePayloadOfTheContract(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		key := strings.Repeat(`"`, 999)
		h.do(&codec.Set{Key: key, Value: bytes.Repeat([]byte{0xff}, codec.MaxValue), TTLMs: 1000})
		h.set("z", "")
		for _, enc := range []codec.Encoding{codec.Msgpack, codec.JSON, codec.JSONBase64} {
			keys, _, _ := h.walkKeys(codec.List{ReturnValues: true}, codec.Fit{Encoding: enc, MaxBytes: codec.MinPayload})
			if !slices.Equal(keys, []string{key, "z"}) {
				t.Errorf("encoding %d: %d keys", enc, len(keys))
			}
		}
		r := &codec.BatchGet{Keys: []string{key, "z", key}}
		_, err := h.ReadKeys(r, codec.Fit{Encoding: codec.JSON, MaxBytes: codec.MinPayload})
		if e := wantCode(t, err, codec.TooLarge, "batch.get"); e.Limit != codec.MinPayload || e.Epoch == 0 {
			t.Errorf("%+v", e)
		}
		r.Keys = r.Keys[:2]
		if reply, err := h.ReadKeys(r, codec.Fit{Encoding: codec.JSON, MaxBytes: codec.MinPayload}); err != nil || len(reply.Entries) != 2 {
			t.Errorf("batch.get of what fits: %v", err)
		}
	})
}

// TestRoomCountsTheLargestEntry: what a page counts for an entry is not less
// than what it takes, whatever its numbers are.
func TestRoomCountsTheLargestEntry(t *testing.T) {
	for _, enc := range []codec.Encoding{codec.Msgpack, codec.JSON, codec.JSONBase64} {
		for _, value := range [][]byte{nil, {}, []byte("x"), bytes.Repeat([]byte{0xff}, 70_000), bytes.Repeat([]byte("é"), 300)} {
			e := codec.Entry{
				Key: strings.Repeat(`"`, 1024), Value: value, Revision: math.MaxUint64, CreatedRevision: math.MaxUint64,
				TTLMs: codec.MaxTTL.Milliseconds(), ExpiresAtMs: math.MaxInt64,
			}
			r := newRoom(codec.Fit{Encoding: enc, MaxBytes: 1 << 30})
			size := len(value)
			if value == nil {
				size = -1
			}
			before := r.left
			r.take(&e, size)
			one := len(codec.Append(nil, enc, &codec.ListReply{Entries: []codec.Entry{e}}))
			two := len(codec.Append(nil, enc, &codec.ListReply{Entries: []codec.Entry{e, e}}))
			if counted := before - r.left; counted < two-one {
				t.Errorf("encoding %d, value of %d: %d bytes counted, %d taken", enc, len(value), counted, two-one)
			}
		}
	}
}

func TestACursorIsGoodForItsOwnWalkOnly(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		for i := range 4 {
			h.set(fmt.Sprintf("a/%d", i), "1")
			h.do(&codec.Register{Name: fmt.Sprint("s", i), ID: "1", Tags: []string{"a", "b"}})
			h.do(&codec.Register{Name: "web", ID: fmt.Sprint(i), Tags: []string{"a", "b", "a b"}})
		}
		page, err := h.ListKeys(&codec.List{Prefix: "a/", Limit: 1}, codec.Fit{})
		if err != nil || page.Next == "" {
			t.Fatal(err)
		}
		instances, err := h.ReadService(validService(&codec.GetService{Name: "web", Limit: 1, Tags: []string{"a", "b"}}), codec.Fit{})
		if err != nil || instances.Next == "" {
			t.Fatal(err)
		}
		names, err := h.ReadServices(&codec.ListServices{Limit: 1}, codec.Fit{})
		if err != nil || names.Next == "" {
			t.Fatal(err)
		}
		list := func(r codec.List) error { _, err := h.ListKeys(&r, codec.Fit{}); return err }
		get := func(r codec.GetService) error { _, err := h.ReadService(validService(&r), codec.Fit{}); return err }
		services := func(r codec.ListServices) error { _, err := h.ReadServices(&r, codec.Fit{}); return err }
		for name, err := range map[string]error{
			"another limit":                  list(codec.List{Prefix: "a/", Limit: 2, Cursor: page.Next}),
			"another limit of instances":     get(codec.GetService{Name: "web", Limit: 5, Tags: []string{"a", "b"}, Cursor: instances.Next}),
			"another limit of service names": services(codec.ListServices{Limit: 5, Cursor: names.Next}),
		} {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, err := range map[string]error{
			"another prefix":         list(codec.List{Prefix: "a", Limit: 1, Cursor: page.Next}),
			"another direction":      list(codec.List{Prefix: "a/", Limit: 1, Cursor: page.Next, Reverse: true}),
			"values":                 list(codec.List{Prefix: "a/", Limit: 1, Cursor: page.Next, ReturnValues: true}),
			"a delimiter":            list(codec.List{Prefix: "a/", Limit: 1, Cursor: page.Next, Delimiter: "/"}),
			"a service's cursor":     list(codec.List{Prefix: "a/", Limit: 1, Cursor: instances.Next}),
			"a list of names'":       list(codec.List{Prefix: "a/", Limit: 1, Cursor: names.Next}),
			"garbage":                list(codec.List{Prefix: "a/", Limit: 1, Cursor: "garbage"}),
			"no base64":              list(codec.List{Prefix: "a/", Limit: 1, Cursor: "%%%"}),
			"an empty map":           list(codec.List{Prefix: "a/", Limit: 1, Cursor: "gA"}),
			"another name":           get(codec.GetService{Name: "s1", Limit: 1, Tags: []string{"a", "b"}, Cursor: instances.Next}),
			"another filter":         get(codec.GetService{Name: "web", Limit: 1, Tags: []string{"a b"}, Cursor: instances.Next}),
			"other statuses":         get(codec.GetService{Name: "web", Limit: 1, Tags: []string{"a", "b"}, Statuses: []string{"critical"}, Cursor: instances.Next}),
			"a list's cursor":        get(codec.GetService{Name: "web", Limit: 1, Tags: []string{"a", "b"}, Cursor: page.Next}),
			"another name's prefix":  services(codec.ListServices{Prefix: "s", Limit: 1, Cursor: names.Next}),
			"a list's cursor, names": services(codec.ListServices{Limit: 1, Cursor: page.Next}),
		} {
			if e := wantCode(t, err, codec.Invalid, name); e.Field != "cursor" || e.StoreRevision != 12 || e.Epoch != startMs {
				t.Errorf("%s: %+v", name, e)
			}
		}
		backup := t.TempDir() + "/backup"
		if err := h.Backup(backup); err != nil {
			t.Fatal(err)
		}
		if err := h.Restore(backup); err != nil {
			t.Fatal(err)
		}
		wantCode(t, list(codec.List{Prefix: "a/", Limit: 1, Cursor: page.Next}), codec.Invalid, "another epoch")
	})
}

func TestAWalkCarriesTheRevisionOfItsFirstPage(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		for i := range 3 {
			h.set(fmt.Sprint("k", i), "old")
		}
		page, err := h.ListKeys(&codec.List{Limit: 1, ReturnValues: true}, codec.Fit{})
		if err != nil {
			t.Fatal(err)
		}
		h.set("k1", "new")
		next, err := h.ListKeys(&codec.List{Limit: 1, ReturnValues: true, Cursor: page.Next}, codec.Fit{})
		if err != nil || next.StoreRevision != 3 || next.Entries[0].Revision != 4 || string(next.Entries[0].Value) != "new" {
			t.Errorf("%+v %v, want the newer record with the first page's revision", next, err)
		}
	})
}

// TestAReadThatFindsAKeyDeadWaitsForTheGroupInProgress: the group may have read
// the clock before the deadline, and renew the key.
func TestAReadThatFindsAKeyDeadWaitsForTheGroupInProgress(t *testing.T) {
	reads := map[string]func(h *harness) bool{
		"kv.get": func(h *harness) bool { _, err := h.ReadKey(&codec.Get{Key: "a"}); return err == nil },
		"kv.list": func(h *harness) bool {
			reply, err := h.ListKeys(&codec.List{Limit: 1}, codec.Fit{})
			return err == nil && len(reply.Entries) == 1
		},
		"batch.get": func(h *harness) bool {
			reply, err := h.ReadKeys(&codec.BatchGet{Keys: []string{"a"}}, codec.Fit{})
			return err == nil && len(reply.Entries) == 1
		},
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			h := open(t, Memory)
			h.do(&codec.Set{Key: "a", Value: []byte("1"), TTLMs: 100})
			h.time.advance(99 * time.Millisecond)
			slow := h.slowCommits()
			touched := make(chan error, 1)
			go func() {
				_, err := h.Apply(t.Context(), &codec.Touch{Key: "a"})
				touched <- err
			}()
			<-slow.committing // it has read the clock: 99 ms
			h.time.advance(time.Millisecond)
			h.time.mu.Lock()
			h.time.asked = make(chan struct{}, 1)
			h.time.mu.Unlock()
			seen := make(chan bool, 1)
			go func() { seen <- read(h) }()
			<-h.time.asked // the reader's time: 100 ms
			slow.proceed <- struct{}{}
			if !<-seen {
				t.Error("the read said that the key is gone, but it lives on")
			}
			if err := <-touched; err != nil {
				t.Fatal(err)
			}
		})
	}
}
