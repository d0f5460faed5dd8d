package integration

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/subjects"
)

// The big list: values that add up to 20 MB.
const (
	bigKeys  = 200
	bigValue = 100_000
)

func fillBig(t *testing.T, nc *nats.Conn) {
	t.Helper()
	for i := range bigKeys {
		set(t, nc, fmt.Sprintf("big/%03d", i), strings.Repeat(string(rune('a'+i%26)), bigValue))
	}
}

// TestBigListComesInPages: no page is too big to send, in either encoding and
// direction, and together they are all that there is, in order.
func TestBigListComesInPages(t *testing.T) {
	nc := serve(t).connect()
	fillBig(t, nc)
	for _, enc := range encodings {
		for _, reverse := range []bool{false, true} {
			send := obj{"prefix": "big/", "return_values": true, "reverse": reverse}
			var revision, pages int64
			var keys []string
			for {
				a := ask(t, nc, "kv.list", enc.payload(t, send))
				if a.refused() {
					t.Fatalf("page %d: %s", pages, a.raw)
				}
				if pages++; pages == 1 {
					revision = a.int("store_revision")
				}
				if a.int("store_revision") != revision {
					t.Errorf("page %d has store_revision %d, the first had %d", pages, a.int("store_revision"), revision)
				}
				for _, e := range a.fields["entries"].(list) {
					keys = append(keys, e.(obj)["key"].(string))
					if len(e.(obj)["value"].(string)) != bigValue {
						t.Fatalf("%s is cut short", keys[len(keys)-1])
					}
				}
				next, more := a.fields["next"]
				if !more {
					break
				}
				send["cursor"] = next
			}
			checkKeys(t, keys, reverse)
			if pages < bigKeys*bigValue>>20 || pages > 2*bigKeys*bigValue>>20 {
				t.Errorf("%s: 20 MB come in %d pages", enc.name, pages)
			}
		}
	}
}

// checkKeys checks that a walk has shown each key once, in order.
func checkKeys(t *testing.T, keys []string, reverse bool) {
	t.Helper()
	if len(keys) != bigKeys {
		t.Fatalf("%d keys of %d", len(keys), bigKeys)
	}
	for i, key := range keys {
		if reverse {
			i = bigKeys - 1 - i
		}
		if key != fmt.Sprintf("big/%03d", i) {
			t.Fatalf("%s is at the place of key %d", key, i)
		}
	}
}

// busy lets writers change, delete and create keys below big/ until stop is
// closed, and returns the last revision.
func busy(t *testing.T, url string, stop chan struct{}) (wait func() int64) {
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		last    int64
		wrong   []error
	)
	for writer := range 4 {
		nc := connect(t, url)
		running.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				subject, payload := "kv.set", fmt.Sprintf(`{"key":"big/%03d","value":"%d-%d"}`, (n*7+writer)%(bigKeys+40), writer, n)
				if n%3 == 0 {
					subject, payload = "kv.delete", fmt.Sprintf(`{"key":"big/%03d"}`, (n*5+writer)%(bigKeys+40))
				}
				a, err := request(nc, subject, []byte(payload), nil)
				mu.Lock()
				if err != nil || a.refused() {
					wrong = append(wrong, fmt.Errorf("%s: %v %s", payload, err, a.raw))
				}
				last = max(last, a.int("revision"))
				mu.Unlock()
			}
		})
	}
	return func() int64 {
		running.Wait()
		if len(wrong) > 0 {
			t.Errorf("%d writes went wrong: %v", len(wrong), joined(wrong))
		}
		return last
	}
}

// TestListThenFollow does by hand what DESIGN 3.3 says, over all pages of a
// big list and with writers at work: subscribe, list, start behind
// store_revision, skip what is not above the revision that one holds.
func TestListThenFollow(t *testing.T) {
	p := serve(t)
	nc := p.connect()
	fillBig(t, nc)
	stop := make(chan struct{})
	wait := busy(t, p.url, stop)
	w := watch(t, nc)
	held := make(map[string]entry)
	var revision, pages int64
	for cursor := ""; ; {
		reply := must(t, nc, "kv.list", obj{"prefix": "big/", "return_values": true, "cursor": cursor})
		if pages++; pages == 1 {
			revision = reply["store_revision"].(int64)
		}
		for _, e := range reply["entries"].(list) {
			e := e.(obj)
			held[e["key"].(string)] = entry{e["value"].(string), e["revision"].(int64)}
		}
		next, more := reply["next"].(string)
		if !more {
			break
		}
		cursor = next
	}
	pause(t, 100*time.Millisecond)
	close(stop)
	w.upTo(wait())
	applied := 0
	for _, e := range w.checkOrder(0) {
		if e.Revision <= revision || e.Revision <= held[e.Key].Revision {
			continue
		}
		applied++
		if e.Op == "set" {
			held[e.Key] = entry{e.Value, e.Revision}
		} else {
			delete(held, e.Key)
		}
	}
	sameState(t, held, contents(t, nc, "big/"))
	if pages < 2 || applied == 0 {
		t.Errorf("%d pages and %d events are no test", pages, applied)
	}
}

// TestClientFollows is the same with the Go client: once loaded, it holds what
// the store holds.
func TestClientFollows(t *testing.T) {
	p := serve(t)
	nc := p.connect()
	fillBig(t, nc)
	stop := make(chan struct{})
	wait := busy(t, p.url, stop)
	client, err := subjects.NewClient(p.connect(), subjects.Options{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	held := make(map[string]entry)
	var resets, updates int
	for u, err := range client.Follow(ctx, "big/") {
		if err != nil {
			t.Fatal(err)
		}
		updates++
		switch u.Kind {
		case subjects.Put:
			held[u.Key] = entry{string(u.Value), int64(u.Revision)}
		case subjects.Delete:
			delete(held, u.Key)
		case subjects.Reset:
			resets++
		case subjects.Loaded:
			pause(t, 100*time.Millisecond) // a slow consumer, too
			close(stop)
			must(t, nc, "kv.set", obj{"key": "big/end", "value": fmt.Sprint(wait())})
		}
		if u.Key == "big/end" {
			break
		}
	}
	sameState(t, held, contents(t, nc, "big/"))
	if resets > 0 || updates < bigKeys {
		t.Errorf("%d resets and %d updates", resets, updates)
	}
}
