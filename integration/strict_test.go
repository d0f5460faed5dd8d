package integration

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/vmihailenco/msgpack/v5"
)

// raw is msgpack that stands in a message as it is.
type raw []byte

// undefined is JavaScript's, as msgpackr writes it.
var undefined = raw{0xd4, 0x00, 0x00}

// pack writes a msgpack map of alternating names and values, in this order and
// with duplicates, as no map of Go could.
func pack(t testing.TB, pairs ...any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := msgpack.NewEncoder(&b)
	if err := enc.EncodeMapLen(len(pairs) / 2); err != nil {
		t.Fatal(err)
	}
	for _, item := range pairs {
		if bytes, ok := item.(raw); ok {
			b.Write(bytes)
		} else if err := enc.Encode(item); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// TestStrict sends what a request must not be; the error names the field.
func TestStrict(t *testing.T) {
	nc := serve(t).connect()
	for _, c := range []struct{ subject, payload, field string }{
		{"kv.get", `{"key":"a","nope":1}`, "nope"},
		{"kv.get", `{"key":"a","key":"a"}`, "key"},
		{"kv.get", `{"Key":"a"}`, "Key"},
		{"kv.get", `{"key":7}`, "key"},
		{"kv.get", `{"key":["a"]}`, "key"},
		{"kv.get", `{"key":null}`, "key"},
		{"kv.get", `{"key":"a"} ` + "x", ""},
		{"kv.get", `{"key":"a"}{"key":"b"}`, ""},
		{"kv.get", `{"key":"a"`, ""},
		{"kv.get", `{"key":"a",}`, ""},
		{"kv.get", `{'key':'a'}`, ""},
		{"kv.get", `{"key":"\ud800"}`, "key"},
		{"kv.get", "{\"key\":\"a\nb\"}", ""},
		{"kv.get", "{\"key\":\"\xff\"}", "key"},
		{"kv.get", `{"key":"\u0000"}`, "key"},
		{"kv.get", `{"key":"a","base64":1}`, "base64"},
		{"kv.set", `{"key":"a"}`, "value"},
		{"kv.set", `{"key":"a","value":null}`, "value"},
		{"kv.set", `{"key":"a","value":1}`, "value"},
		{"kv.set", `{"key":"a","value":"1","value_base64":"MQ=="}`, "value"},
		{"kv.set", `{"key":"a","value_base64":"MQ"}`, "value"},
		{"kv.set", `{"key":"a","value_base64":"M\nQ=="}`, "value"},
		{"kv.set", `{"key":"a","value":"1","ttl_ms":1000.5}`, "ttl_ms"},
		{"kv.set", `{"key":"a","value":"1","ttl_ms":"1000"}`, "ttl_ms"},
		{"kv.set", `{"key":"a","value":"1","ttl_ms":true}`, "ttl_ms"},
		{"kv.set", `{"key":"a","value":"1","ttl_ms":1e400}`, "ttl_ms"},
		{"kv.set", `{"key":"a","value":"1","ttl_ms":9223372036854775808}`, "ttl_ms"},
		{"kv.set", `{"key":"a","value":"1","if_revision":-1}`, "if_revision"},
		{"kv.set", `{"key":"a","value":"1","if_revision":18446744073709551616}`, "if_revision"},
		{"kv.set", `{"key":"a","value":"1","if_revision":9007199254740992.0}`, "if_revision"},
		{"kv.set", `{"key":"a","value":"1","if_revision":01}`, ""},
		{"kv.set", `{"key":"a","value":"1","keep_ttl":"yes"}`, "keep_ttl"},
		{"kv.set", `{"key":"a","value":"1","keep_ttl":1}`, "keep_ttl"},
		{"kv.list", `{"limit":-1}`, "limit"},
		{"kv.list", `{"limit":1.5}`, "limit"},
		{"kv.increment", `{"key":"n","by":0}`, "by"},
		{"kv.increment", `{"key":"n","by":0.5}`, "by"},
		{"svc.register", `{"name":"a","id":"1","tags":"x"}`, "tags"},
		{"svc.register", `{"name":"a","id":"1","tags":[null]}`, "tags"},
		{"svc.register", `{"name":"a","id":"1","meta":{"k":1}}`, "meta"},
		{"svc.register", `{"name":"a","id":"1","meta":{"k":"1","k":"2"}}`, "meta"},
		{"svc.register", `{"name":"a","id":"1","port":-1}`, "port"},
		{"batch.apply", `{"ops":[{"op":"kv.set","key":"a","value":"1","x":1}]}`, "ops[0].x"},
		{"batch.apply", `{"ops":[{"op":"kv.nope"}]}`, "ops[0].op"},
		{"batch.apply", `{"ops":[null]}`, "ops[0]"},
		{"batch.apply", `{"ops":{}}`, "ops"},
		{"batch.apply", `{"ops":[{"op":"kv.delete","key":"a"}],"if":[{"key":"a","revision":null}]}`, "if[0].revision"},
		{"batch.get", `{"keys":["a",7]}`, "keys[1]"},
		{"store.status", `{"a":1}`, "a"},
	} {
		a := mustRefuse(t, nc, c.subject, []byte(c.payload), "invalid", c.field)
		if encodingOf(a.raw).name != "json" {
			t.Errorf("%s %q: the reply is not JSON", c.subject, c.payload)
		}
	}
}

// TestStrictMsgpack is TestStrict for what only msgpack can say.
func TestStrictMsgpack(t *testing.T) {
	nc := serve(t).connect()
	const notUTF8 = "\xff\xfe"
	for _, c := range []struct {
		name, subject string
		payload       []byte
		field         string
	}{
		{"unknown field", "kv.get", pack(t, "key", "a", "nope", 1), "nope"},
		{"unknown field with undefined", "kv.get", pack(t, "key", "a", "nope", undefined), "nope"},
		{"duplicate", "kv.get", pack(t, "key", "a", "key", "a"), "key"},
		{"duplicate, first nil", "kv.set", pack(t, "key", "a", "value", nil, "value", "1"), "value"},
		{"base64", "kv.get", pack(t, "key", "a", "base64", true), "base64"},
		{"value_base64", "kv.set", pack(t, "key", "a", "value_base64", "MQ=="), "value_base64"},
		{"-1 as int8", "kv.set", pack(t, "key", "a", "value", "1", "if_revision", raw{0xff}), "if_revision"},
		{"-1 as int64", "kv.set", pack(t, "key", "a", "value", "1", "if_revision", raw{0xd3, 255, 255, 255, 255, 255, 255, 255, 255}), "if_revision"},
		{"2^64-1 as ttl", "kv.set", pack(t, "key", "a", "value", "1", "ttl_ms", uint64(math.MaxUint64)), "ttl_ms"},
		{"half", "kv.set", pack(t, "key", "a", "value", "1", "ttl_ms", 1000.5), "ttl_ms"},
		{"2^53 as float", "kv.set", pack(t, "key", "a", "value", "1", "if_revision", float64(1<<53)), "if_revision"},
		{"NaN", "kv.set", pack(t, "key", "a", "value", "1", "ttl_ms", math.NaN()), "ttl_ms"},
		{"infinite", "kv.set", pack(t, "key", "a", "value", "1", "ttl_ms", math.Inf(1)), "ttl_ms"},
		{"value nil", "kv.set", pack(t, "key", "a", "value", nil), "value"},
		{"value undefined", "kv.set", pack(t, "key", "a", "value", undefined), "value"},
		{"value list", "kv.set", pack(t, "key", "a", "value", list{}), "value"},
		{"value number", "kv.set", pack(t, "key", "a", "value", 1), "value"},
		{"value not UTF-8", "kv.set", pack(t, "key", "a", "value", notUTF8), "value"},
		{"key not UTF-8", "kv.get", pack(t, "key", notUTF8), "key"},
		{"key as bytes", "kv.get", pack(t, "key", []byte("a")), "key"},
		{"key overlong UTF-8", "kv.get", pack(t, "key", "\xc0\xaf"), "key"},
		{"field name as bytes", "kv.get", pack(t, []byte("key"), "a"), ""},
		{"field name as number", "kv.get", pack(t, 1, "a"), ""},
		{"other extension", "kv.get", pack(t, "key", raw{0xd4, 0x01, 0x00}), "key"},
		{"undefined of another byte", "kv.set", pack(t, "key", "a", "value", "1", "ttl_ms", raw{0xd4, 0x00, 0x01}), "ttl_ms"},
		{"time", "kv.set", pack(t, "key", "a", "value", raw{0xd6, 0xff, 0, 0, 0, 0}), "value"},
		{"trailing byte", "kv.get", append(pack(t, "key", "a"), 0), ""},
		{"two maps", "kv.get", append(pack(t, "key", "a"), pack(t, "key", "a")...), ""},
		{"cut short", "kv.get", pack(t, "key", "abc")[:6], "key"},
	} {
		a := mustRefuse(t, nc, c.subject, c.payload, "invalid", c.field)
		if a.fields["code"] != "invalid" {
			t.Errorf("above: %s", c.name)
		}
	}
}

// TestLenient sends what a request may be beside its plain form.
func TestLenient(t *testing.T) {
	nc := serve(t).connect()
	for i, payload := range [][]byte{
		pack(t, "key", "k", "value", []byte("\x00\xff")),
		pack(t, "key", "k", "value", "text"),
		pack(t, "value", "text", "key", "k"),
		pack(t, "key", "k", "value", "1", "if_revision", nil, "ttl_ms", nil, "keep_ttl", nil),
		pack(t, "key", "k", "value", "1", "if_revision", undefined, "ttl_ms", undefined, "return_previous", undefined),
		pack(t, "key", "k", "value", "1", "ttl_ms", float64(60000)),
		pack(t, "key", "k", "value", "1", "ttl_ms", float32(60000)),
		pack(t, "key", "k", "value", "1", "ttl_ms", raw{0xd3, 0, 0, 0, 0, 0, 0, 0xea, 0x60}),
		pack(t, raw{0xd9, 3, 'k', 'e', 'y'}, raw{0xdb, 0, 0, 0, 1, 'k'}, "value", raw{0xc6, 0, 0, 0, 0}),
		append(raw{0xde, 0, 2}, pack(t, "key", "k", "value", "1")[1:]...),
		[]byte(`{"key":"k","value":"1","ttl_ms":6e4,"if_revision":null}`),
		[]byte("{\n\t\"key\" : \"\\u006b\", \"value_base64\" : \"AP8=\", \"ttl_ms\": 60000.0 }\n"),
		[]byte(`{"key":"k","value":"\ud83d\ude00","return_previous":false}`),
	} {
		if a := ask(t, nc, "kv.set", payload); a.refused() {
			t.Errorf("%d: %q is refused: %s", i, payload, a.raw)
		}
	}
	if value, _, _ := get(t, nc, "k"); value != "😀" {
		t.Errorf("the last value is %q", value)
	}
	mustRefuse(t, nc, "kv.set", pack(t, "key", "k", "value", "1", "if_revision", float64(1<<53-1)), "conflict", "")
	mustRefuse(t, nc, "kv.set", pack(t, "key", "k", "value", "1", "if_revision", uint64(math.MaxUint64)), "conflict", "")
}

// TestUnreadable gets its answer in JSON: nobody knows what the sender speaks.
func TestUnreadable(t *testing.T) {
	nc := serve(t).connect()
	set(t, nc, "a", "1")
	for _, payload := range []string{"\xc1", "hello", "[1]", " {}", "\x91\x01", "\xc0", "\x00", "\xff", "{", "\xef\xbb\xbf{}", "\x81"} {
		a := mustRefuse(t, nc, "kv.get", []byte(payload), "invalid", "")
		if encodingOf(a.raw).name != "json" {
			t.Errorf("the reply to %q is not JSON", payload)
		}
	}
	for _, c := range []struct{ subject, code string }{
		{"kv.get.a", ""}, {"kv.get", "invalid"}, {"store.status", ""}, {"kv.list", ""}, {"kv.set.a", "invalid"}, {"kv.delete.b", ""},
	} {
		a := ask(t, nc, c.subject, nil)
		if code, _ := a.fields["code"].(string); code != c.code || encodingOf(a.raw).name != "json" {
			t.Errorf("%s with an empty payload: %s", c.subject, a.raw)
		}
	}
	a := mustRefuse(t, nc, "kv.get", pack(t, "key", 7), "invalid", "key")
	if encodingOf(a.raw).name != "msgpack" {
		t.Errorf("a readable request in msgpack is refused in JSON: %s", a.raw)
	}
}

// TestBytes reads values back as each side asks for them.
func TestBytes(t *testing.T) {
	nc := serve(t).connect()
	const binary = "\x00\x01\xfe\xff"
	for key, value := range map[string]string{"text": "grüße", "binary": binary, "empty": "", "control": "\x01\x02\x03\x04"} {
		if a := ask(t, nc, "kv.set", pack(t, "key", key, "value", []byte(value))); a.refused() {
			t.Fatalf("%s", a.raw)
		}
	}
	for _, c := range []struct {
		send         obj
		field, value string
	}{
		{obj{"key": "text"}, "value", "grüße"},
		{obj{"key": "empty"}, "value", ""},
		{obj{"key": "binary"}, "value_base64", "AAH+/w=="},
		{obj{"key": "control"}, "value_base64", "AQIDBA=="}, // shorter than with escapes
		{obj{"key": "text", "base64": true}, "value_base64", "Z3LDvMOfZQ=="},
		{obj{"key": "empty", "base64": true}, "value_base64", ""},
		{obj{"key": "binary", "base64": false}, "value_base64", "AAH+/w=="},
	} {
		reply := must(t, nc, "kv.get", c.send)
		_, text := reply["value"]
		_, coded := reply["value_base64"]
		if reply[c.field] != c.value || text == coded {
			t.Errorf("%v: %v", c.send, reply)
		}
	}
	a := ask(t, nc, "kv.get", pack(t, "key", "binary"))
	var inBytes map[string]any
	if err := msgpack.Unmarshal(a.raw, &inBytes); err != nil {
		t.Fatal(err)
	}
	if value, ok := inBytes["value"].([]byte); !ok || string(value) != binary {
		t.Errorf("in msgpack the value is %T %v, not bytes", inBytes["value"], inBytes["value"])
	}
	for name, value := range inBytes {
		if !shortest(value) {
			t.Errorf("%s is %T %v, not in its shortest form", name, value, value)
		}
	}
}

// shortest says whether a decoded integer came in its shortest form: the
// library decodes each width into a type of its own.
func shortest(v any) bool {
	switch v := v.(type) {
	case uint8:
		return v > math.MaxInt8
	case uint16:
		return v > math.MaxUint8
	case uint32:
		return v > math.MaxUint16
	case uint64:
		return v > math.MaxUint32
	case int16, int32, int64:
		return false // all that this reply has is positive
	}
	return true
}

// TestEventsLimit: what a batch would announce must stay below 2 MiB, and a
// batch beyond it changes nothing.
func TestEventsLimit(t *testing.T) {
	nc := serve(t).connect()
	meta := obj{}
	for i := range 64 {
		meta[string(rune('0'+i))] = string(bytes.Repeat([]byte(`"`), 512)) // twice as long in JSON
	}
	var ops list
	for i := range 20 {
		id := string(rune('a' + i))
		ops = append(ops, obj{"op": "svc.register", "name": "web", "id": id, "meta": meta}, obj{"op": "svc.deregister", "name": "web", "id": id})
	}
	a := ask(t, nc, "batch.apply", inMsgpack.payload(t, obj{"ops": ops}))
	if err := checkError(a, "too_large"); err != nil || a.int("limit") != 2<<20 {
		t.Errorf("%v: %v", err, a.fields)
	}
	if a.int("store_revision") != 0 {
		t.Errorf("the batch was refused, but the store is at revision %d", a.int("store_revision"))
	}
	if a := ask(t, nc, "batch.apply", inMsgpack.payload(t, obj{"ops": ops[:20]})); a.refused() {
		t.Errorf("half of it is refused: %v", a.fields)
	}
}

// TestClearsWhatFits: a page of a clear ends before its events outgrow what a
// command may announce, so that nothing is too large to be cleared.
func TestClearsWhatFits(t *testing.T) {
	nc := serve(t).connect()
	const keys = 1000
	long := strings.Repeat(`"`, 980) // twice as long in JSON
	for i := 0; i < keys; i += 500 {
		var ops list
		for n := i; n < i+500; n++ {
			ops = append(ops, obj{"op": "kv.set", "key": fmt.Sprintf("q/%04d%s", n, long), "value": ""})
		}
		if a := ask(t, nc, "batch.apply", inMsgpack.payload(t, obj{"ops": ops})); a.refused() {
			t.Fatalf("%v", a.fields)
		}
	}
	deleted := int64(0)
	for range keys {
		reply := must(t, nc, "kv.clear", `{"prefix":"q/"}`)
		if deleted += reply["deleted"].(int64); reply["more"] == false {
			break
		}
	}
	if deleted != keys {
		t.Errorf("%d of %d keys were cleared", deleted, keys)
	}
}

// header makes the header of a message id.
func header(id string) nats.Header { return nats.Header{"Nats-Msg-Id": {id}} }
