package codec

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"strings"
	"testing"
)

// nest puts levels of one-element maps around a nil.
func nest(levels int) []byte {
	return append(bytes.Repeat([]byte{0x81, 0xa1, 'a'}, levels), 0xc0)
}

// lists is {"a": [[[...]]]} with that many levels, the map included.
func lists(levels int) []byte {
	b := append([]byte{0x81, 0xa1, 'a'}, bytes.Repeat([]byte{0x91}, levels-1)...)
	return append(b, 0xc0)
}

// many is {"a": [nil, nil, ...]} with that many items in all.
func many(items int) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0x81, 0xa1, 'a', 0xdd}, uint32(items-3))
	return append(b, bytes.Repeat([]byte{0xc0}, items-3)...)
}

func TestGuard(t *testing.T) {
	for _, test := range []struct {
		name  string
		in    []byte
		ok    bool
		field string
	}{
		{"empty map", []byte{0x80}, true, ""},
		{"wide heads", []byte("\xde\x00\x01\xd9\x01a\xdd\x00\x00\x00\x01\xdf\x00\x00\x00\x00"), true, ""},
		{"every type", []byte("\x89\xa1a\xc0\xa1b\xc2\xa1c\xc3\xa1d\xca\x00\x00\x00\x00\xa1e\xcb\x00\x00\x00\x00\x00\x00\x00\x00" +
			"\xa1f\xd3\xff\xff\xff\xff\xff\xff\xff\xff\xa1g\xc4\x01\xff\xa1h\xda\x00\x01x\xa1i\xd4\x00\x00"), true, ""},
		{"8 levels", nest(8), true, ""},
		{"8 levels of lists", lists(8), true, ""},
		{"as many items as may be", many(maxItems), true, ""},

		{"nothing", nil, false, ""},
		{"no map", []byte{0x90}, false, ""},
		{"a number", []byte{0x05}, false, ""},
		{"a string", []byte("\xa1a"), false, ""},
		{"undefined", []byte{0xd4, 0, 0}, false, ""},
		{"the byte that is no msgpack", []byte("\x81\xa1a\xc1"), false, "a"},
		{"9 levels", nest(9), false, "a.a.a.a.a.a.a.a"},
		{"9 levels of lists", lists(9), false, "a[0].[0].[0].[0].[0].[0].[0]"},
		{"an item too many", many(maxItems + 1), false, ""},
		{"trailing byte", []byte("\x80\xc0"), false, ""},
		{"two maps", []byte("\x80\x80"), false, ""},
		{"integer key", []byte("\x81\x01\x01"), false, ""},
		{"bin key", []byte("\x81\xc4\x01a\x01"), false, ""},
		{"nil key", []byte("\x81\xc0\x01"), false, ""},
		{"nested integer key", []byte("\x81\xa1a\x81\x01\x01"), false, "a"},
		{"text that is not UTF-8", []byte("\x82\xa1a\x01\xa1b\xa2\xc3\x28"), false, "b"},
		{"surrogate in UTF-8", []byte("\x81\xa1a\xa3\xed\xa0\x80"), false, "a"},
		{"key that is not UTF-8", []byte("\x81\xa1\xff\x01"), false, ""},
		{"in a list", []byte("\x81\xa3ops\x92\x80\x81\xa3key\xa1\xff"), false, "ops[1].key"},
		{"extension", []byte("\x81\xa1a\xd4\x01\x00"), false, "a"},
		{"undefined that is none", []byte("\x81\xa1a\xd4\x00\x01"), false, "a"},
		{"time", []byte("\x81\xa1a\xd6\xff\x00\x00\x00\x00"), false, "a"},
		{"long extension", []byte("\x81\xa1a\xc7\x01\x00\x00"), false, "a"},
		{"map without its value", []byte("\x81\xa1a"), false, "a"},
		{"map without its key", []byte("\x81"), false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := Guard(test.in)
			if test.ok {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantError(t, err, Invalid, test.field)
		})
	}
}

// Whatever is cut short or longer is refused, wherever that happens.
func TestGuardWantsEveryByte(t *testing.T) {
	whole := Append(nil, Msgpack, &sink{
		base: base{Text: strings.Repeat("x", 40)}, Blob: make([]byte, 300), Int: -70000, PUint: ptr(uint64(1 << 40)),
		Texts: []string{"a", "b"}, Meta: map[string]string{"k": "v"}, If: []inner{{Key: "k"}},
	})
	if err := Guard(whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if Guard(whole[:n]) == nil {
			t.Errorf("takes the first %d of %d bytes", n, len(whole))
		}
	}
	for c := range 256 {
		if Guard(append(bytes.Clone(whole), byte(c))) == nil {
			t.Errorf("takes %#x behind the message", c)
		}
	}
}

// hostile are messages that kill or choke a process that decodes unguarded.
func hostile() map[string][]byte {
	head := func(code byte) []byte { return []byte{0x81, 0xa1, 'a', code, 0xff, 0xff, 0xff, 0xff} }
	empties := binary.BigEndian.AppendUint32([]byte{0x81, 0xa2, 'i', 'f', 0xdd}, 1<<20)
	return map[string][]byte{
		"list of 4 billion":       append(head(0xdd), 0xc0, 0xc0),
		"map of 4 billion":        append(head(0xdf), 0xc0, 0xc0),
		"top map of 4 billion":    {0xdf, 0xff, 0xff, 0xff, 0xff},
		"string of 4 GB":          append(head(0xdb), 'x', 'y'),
		"bytes of 4 GB":           append(head(0xc6), 'x', 'y'),
		"extension of 4 GB":       append(head(0xc9), 'x', 'y'),
		"300 nested maps":         bytes.Repeat([]byte{0xdf, 0, 0, 0, 1}, 300),
		"300 nested maps, keys":   nest(300),
		"8 MB of nested lists":    append([]byte{0x81, 0xa1, 'a'}, bytes.Repeat([]byte{0x91}, 8<<20)...),
		"8 MB of nested maps":     bytes.Repeat([]byte{0x81, 0xa1, 'a'}, 8<<20/3),
		"a million empty maps":    append(empties, bytes.Repeat([]byte{0x80}, 1<<20)...),
		"a million of nothing":    many(1 << 20),
		"list that eats the rest": {0x81, 0xa2, 'i', 'f', 0xdc, 0x00, 0x04, 0x80, 0x80},
		"JSON: 8 MB of lists":     append([]byte(`{"a":`), bytes.Repeat([]byte{'['}, 8<<20)...),
		"JSON: 8 MB of maps":      bytes.Repeat([]byte(`{"a":`), 8<<20/5),
		"JSON: a million of 0":    []byte(`{"a":[` + strings.Repeat("0,", 1<<20) + `0]}`),
	}
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestHostileMessagesAllocateNothing(t *testing.T) {
	for name, payload := range hostile() {
		t.Run(name, func(t *testing.T) {
			for kind, decode := range map[string]func() error{
				"request": func() error { _, err := DecodeRequest(payload, &sink{}); return err },
				"reply":   func() error { return Decode(payload, &sink{}) },
			} {
				var err error
				size := allocated(func() { err = decode() })
				if err == nil {
					t.Errorf("%s: taken", kind)
				}
				limit := uint64(16 << 10)
				if strings.HasSuffix(name, "million of 0") {
					limit += 8 * uint64(len(payload)) // rewritten in a buffer that grows
				}
				if size > limit {
					t.Errorf("%s: %d bytes allocated for %d, limit %d", kind, size, len(payload), limit)
				}
			}
		})
	}
}

// The elements of a list are not allocated before there are bytes for them.
func TestListsGrowAsTheyAreRead(t *testing.T) {
	payload := binary.BigEndian.AppendUint32([]byte{0x81, 0xa4, 'p', 't', 'r', 's', 0xdd}, 200_000)
	payload = append(payload, bytes.Repeat([]byte{0xc0}, 200_000)...)
	var err error
	size := allocated(func() { err = Decode(payload, &sink{}) })
	wantError(t, err, Invalid, "ptrs[0]")
	if size > 64<<10 {
		t.Errorf("%d bytes allocated", size)
	}
	// A long list that is in order is read all the same.
	long := sink{Ptrs: make([]*inner, 5000)}
	for i := range long.Ptrs {
		long.Ptrs[i] = &inner{Key: "k", N: int64(i)}
	}
	var got sink
	if err := Decode(Append(nil, Msgpack, &long), &got); err != nil || len(got.Ptrs) != 5000 || got.Ptrs[4999].N != 4999 {
		t.Error(len(got.Ptrs), err)
	}
}

func TestAllocations(t *testing.T) {
	request := Append(nil, Msgpack, benchSet())
	reply := benchReply()
	dst := make([]byte, 0, 256)
	var m Set
	for _, test := range []struct {
		name string
		most float64
		f    func()
	}{
		{"Guard", 0, func() { _ = Guard(request) }},
		{"DecodeRequest: the key and the value", 2, func() { m = Set{}; _, _ = DecodeRequest(request, &m) }},
		{"Append", 0, func() { Append(dst, Msgpack, reply) }},
		{"Append JSON", 0, func() { Append(dst, JSON, reply) }},
	} {
		// The least of many runs: a pool may have nothing to give back, at random
		// under the race detector.
		least := testing.AllocsPerRun(1, test.f)
		for range 100 {
			least = min(least, testing.AllocsPerRun(1, test.f))
		}
		if least > test.most {
			t.Errorf("%s: %v allocations, want %v", test.name, least, test.most)
		}
	}
}
