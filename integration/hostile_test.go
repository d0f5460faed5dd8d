package integration

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// hostile are messages that kill or stall a process that decodes them without
// looking first (FACTS.md, msgpack), all of them within max_payload.
func hostile() map[string][]byte {
	const megabyte = 1<<20 - 200
	repeat := func(s string, n int) []byte { return bytes.Repeat([]byte(s), n) }
	field := func(name string, value []byte) []byte {
		return append(append([]byte{0x81, 0xa0 | byte(len(name))}, name...), value...)
	}
	all := map[string][]byte{
		"nested maps":         append(repeat("\x81\xa1k", 300), 0xc0),
		"nested maps, 1 MB":   append(repeat("\x81\xa1k", megabyte/3), 0xc0),
		"nested lists, bare":  repeat("\x91", megabyte),
		"empty maps, a lot":   field("key", append([]byte{0xdd, 0, 0x0f, 0x00, 0x00}, repeat("\x80", 0x0f0000)...)),
		"fields, a lot":       append([]byte{0xdf, 0, 5, 0, 0}, repeat("\xa0\xc0", 5<<16)...),
		"nested JSON lists":   append([]byte(`{"key":`), repeat("[", megabyte)...),
		"nested JSON maps":    repeat(`{"a":`, megabyte/5),
		"JSON fields, a lot":  append(append([]byte(`{`), repeat(`"":0,`, megabyte/5)...), `"":0}`...),
		"JSON escapes, a lot": append(append([]byte(`{"`), repeat(`\u0041`, megabyte/6)...), `":1}`...),
		"JSON number":         append(append([]byte(`{"key":1`), repeat("0", megabyte)...), '}'),
		"JSON exponent":       []byte(`{"ttl_ms":1e999999999}`),
	}
	for name, head := range map[string]string{
		"list32": "\xdd\xff\xff\xff\xff", "map32": "\xdf\xff\xff\xff\xff", "str32": "\xdb\xff\xff\xff\xff",
		"bin32": "\xc6\xff\xff\xff\xff", "ext32": "\xc9\xff\xff\xff\xff\x00", "list16": "\xdc\xff\xff", "map16": "\xde\xff\xff",
	} {
		all["huge "+name] = []byte(head)
		for _, f := range []string{"key", "value", "keys", "ops", "tags", "meta", "unknown"} {
			all["huge "+name+" in "+f] = field(f, []byte(head))
		}
	}
	for _, f := range []string{"key", "ops", "keys", "meta", "unknown"} {
		all["nested lists in "+f] = field(f, repeat("\x91", megabyte))
		all["nested maps in "+f] = field(f, append(repeat("\x81\xa0", megabyte/2), 0xc0))
	}
	return all
}

// TestHostile sends hostile messages to every kind of subject: each is invalid
// at once, and the process lives and stays as small as it was.
func TestHostile(t *testing.T) {
	t.Setenv("GOGC", "100") // collect as if memory were scarce, so that what is held shows
	p := serve(t)
	nc := p.connect()
	subjects := []string{"kv.set", "kv.get", "batch.apply", "batch.get", "svc.register", "store.status", "kv.set.a", "kv.list.a"}
	for _, subject := range subjects { // what any large message takes
		mustRefuse(t, nc, subject, []byte(`{"`+strings.Repeat("x", 1<<20-200)+`":1}`), "invalid", "")
	}
	before := p.memory("VmHWM")
	var slowest time.Duration
	for name, payload := range hostile() {
		for i, subject := range subjects {
			if i > 1 && len(payload) > 1<<16 && raceEnabled {
				continue // one write and one read will do
			}
			began := time.Now()
			a := ask(t, nc, subject, payload)
			slowest = max(slowest, time.Since(began))
			if err := checkError(a, "invalid"); err != nil {
				t.Errorf("%s: %s: %v", subject, name, err)
			}
			if len(a.raw) > 1000 {
				t.Errorf("%s: %s: the error has %d bytes", subject, name, len(a.raw))
			}
		}
	}
	after := p.memory("VmHWM")
	t.Logf("slowest answer %v; memory at most %d KiB before, %d KiB after", slowest, before, after)
	if limit := 3 * time.Second; slowest > limit {
		t.Errorf("the slowest answer took %v", slowest)
	}
	room := 96 << 10
	if raceEnabled {
		room *= 3 // the race detector keeps a shadow of what is used
	}
	if after-before > room {
		t.Errorf("the process grew from %d to %d KiB", before, after)
	}
	set(t, nc, "a", "1")
}

// TestLongLists are refused by their limit before they are built.
func TestLongLists(t *testing.T) {
	nc := serve(t).connect()
	nils := append([]byte{0xdd, 0, 3, 0, 0}, bytes.Repeat([]byte{0xc0}, 3<<16)...)
	for _, c := range []struct{ subject, field string }{{"batch.apply", "ops"}, {"batch.get", "keys"}, {"svc.register", "tags"}} {
		payload := append(append([]byte{0x81, 0xa0 | byte(len(c.field))}, c.field...), nils...)
		a := mustRefuse(t, nc, c.subject, payload, "too_large", c.field)
		if a.int("limit") <= 0 {
			t.Errorf("%s: no limit in %v", c.subject, a.fields)
		}
	}
}

// TestErrorsAreOneLine: what a request quotes does not break out of the header
// or fill a terminal.
func TestErrorsAreOneLine(t *testing.T) {
	nc := serve(t).connect()
	for _, name := range []string{"a\r\nX-Evil: 1", "\x1b[31m", strings.Repeat("x", 100_000)} {
		payload, err := json.Marshal(obj{name: 1})
		if err != nil {
			t.Fatal(err)
		}
		a := mustRefuse(t, nc, "kv.get", payload, "invalid", "")
		sentence := a.header.Get("Nats-Service-Error")
		if strings.ContainsAny(sentence, "\r\n\x1b") || len(sentence) > 500 || len(a.header) != 2 {
			t.Errorf("the header is %q", a.header)
		}
	}
}
