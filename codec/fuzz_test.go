package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"
)

// addMessages seeds a fuzz target with messages good and bad.
func addMessages(f *testing.F, encodings ...Encoding) {
	for _, enc := range encodings {
		for _, m := range []any{benchSet(), benchReply(), benchChange(), benchBatch(2), fullSink()} {
			f.Add(Append(nil, enc, m))
		}
	}
	for _, payload := range hostile() {
		if len(payload) < 2000 {
			f.Add(payload)
		}
	}
}

func fullSink() *sink {
	return &sink{
		Position: Position{1, 2}, base: base{"a", Conflict}, Blob: []byte{1, 255}, Flag: true, Int: -70000, Uint: 1 << 63,
		PInt: ptr(int64(0)), PUint: ptr(uint64(0)), PFlag: ptr(false), PText: ptr(""), Texts: []string{"x", "é"},
		Meta: map[string]string{"k": "v", "": ""}, Inner: inner{Key: "k", N: 1, Blob: []byte{}}, Ptr: &inner{Key: "p"},
		If: []inner{{Key: "i"}}, Ptrs: []*inner{{Key: "j"}},
		Ops: []Command{&Set{Key: "k", Value: []byte("v")}, &Register{Name: "n", Meta: map[string]string{"a": "b"}}},
	}
}

// targets are one of each type that comes in from outside.
func targets() []any {
	return []any{
		&sink{}, &Set{}, &Delete{}, &Touch{}, &Increment{}, &Clear{}, &Register{}, &Heartbeat{}, &Deregister{}, &Batch{},
		&Get{}, &List{}, &BatchGet{}, &GetService{}, &ListServices{}, &Status{}, &Change{}, &Error{}, &ListReply{}, &SetReply{},
	}
}

// checkDecode decodes a payload into everything, and checks what holds for any
// payload: what a request may be, a reply may be; refusals are *Error, short
// and fit for a header; what was taken can be written, and reads back as the
// same; memory is in proportion.
func checkDecode(t *testing.T, payload []byte) {
	messages := targets()
	errs := make([]error, len(messages))
	size := allocated(func() {
		for i, m := range messages {
			_, errs[i] = DecodeRequest(payload, m)
		}
	})
	if limit := uint64(len(messages) * (50*len(payload) + 16<<10)); size > limit {
		t.Fatalf("%d bytes allocated for a payload of %d", size, len(payload))
	}
	for i, m := range messages {
		err := errs[i]
		fresh := func() any { return reflect.New(reflect.TypeOf(m).Elem()).Interface() }
		lenient := Decode(payload, fresh())
		if err != nil {
			checkRefusal(t, err)
			if lenient != nil {
				checkRefusal(t, lenient)
			}
			continue
		}
		if lenient != nil {
			t.Fatalf("%T: a request, but refused otherwise: %v", m, lenient)
		}
		for _, enc := range []Encoding{Msgpack, JSON, JSONBase64} {
			again, back := Append(nil, enc, m), fresh()
			if err := Decode(again, back); err != nil {
				t.Fatalf("%T: %q is refused: %v", m, again, err)
			}
			if third := Append(nil, enc, back); !bytes.Equal(again, third) {
				t.Fatalf("%T: written as\n%q and then as\n%q", m, again, third)
			}
		}
	}
}

func checkRefusal(t *testing.T, err error) {
	var e *Error
	if !errors.As(err, &e) || e.Code != Invalid && e.Code != TooLarge || e.Message == "" {
		t.Fatalf("refused with %#v", err)
	}
	if len(e.Message) > 2500 || strings.ContainsFunc(e.Message+e.Field, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Fatalf("not fit for a header: %q of %q", e.Message, e.Field)
	}
}

func FuzzGuard(f *testing.F) {
	addMessages(f, Msgpack)
	f.Fuzz(func(t *testing.T, payload []byte) {
		err := Guard(payload)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		// What the guard lets through, an independent reader takes, to the last byte.
		clean := bytes.ReplaceAll(payload, undefined, []byte{0xc0})
		if len(clean) < len(payload) {
			return // msgpack/v5 knows no undefined, and bytes may hold the same three
		}
		r := bytes.NewReader(payload)
		if err := msgpack.NewDecoder(r).Skip(); err != nil || r.Len() != 0 {
			t.Fatalf("msgpack/v5: %v, %d bytes left", err, r.Len())
		}
		var m map[string]any
		if err := msgpack.Unmarshal(payload, &m); err != nil {
			t.Fatalf("msgpack/v5: %v", err)
		}
	})
}

func FuzzDecodeRequest(f *testing.F) {
	addMessages(f, Msgpack)
	f.Fuzz(checkDecode)
}

func FuzzDecodeJSON(f *testing.F) {
	addMessages(f, JSON, JSONBase64)
	for _, s := range []string{
		`{"text":"\ud83d\ude00\u0000","int":1e3,"base64":true}`, `{"meta":{"a_base64":"x"},"blob_base64":"AA=="}`,
		`{"texts":[null,"\ud800"]}`, "{\"a\":[[[]]],\"b\" : -0.0e-1 ,\n\"c\":{}}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) == 0 || payload[0] != '{' {
			return
		}
		checkDecode(t, payload)
		var got struct {
			Text string            `wire:"text"`
			Blob []byte            `wire:"blob"`
			N    *int64            `wire:"int"`
			Meta map[string]string `wire:"meta"`
		}
		if Decode(payload, &got) != nil {
			return
		}
		// What we take, encoding/json takes, and it reads the same.
		dec := json.NewDecoder(bytes.NewReader(payload))
		dec.UseNumber()
		var want map[string]any
		if err := dec.Decode(&want); err != nil || !json.Valid(payload) || !utf8.Valid(payload) {
			t.Fatalf("encoding/json refuses %q: %v", payload, err)
		}
		if text, ok := want["text"].(string); ok && text != got.Text {
			t.Fatalf("text %q, encoding/json %q", got.Text, text)
		}
		if blob, ok := want["blob"].(string); ok && blob != string(got.Blob) {
			t.Fatalf("blob %q, encoding/json %q", got.Blob, blob)
		}
		if n, ok := want["int"].(json.Number); ok {
			whole, err := n.Int64()
			if float, ferr := n.Float64(); err != nil && ferr == nil {
				whole = int64(float)
			}
			if *got.N != whole {
				t.Fatalf("int %d, encoding/json %s", *got.N, n)
			}
		}
		if meta, ok := want["meta"].(map[string]any); ok {
			for key, value := range meta {
				if got.Meta[key] != value {
					t.Fatalf("meta %q: %q, encoding/json %q", key, got.Meta[key], value)
				}
			}
		}
	})
}

// FuzzRoundTrip writes a message and reads it back as the same, with this
// package and with an independent reader of each encoding.
func FuzzRoundTrip(f *testing.F) {
	f.Add("text", []byte("blob"), int64(-1), uint64(1), true, "k", "v")
	f.Add("\"\\\n\x00é\u2028<", []byte{0, 255}, int64(-1<<63), uint64(1<<64-1), false, "", "😀")
	f.Add("", []byte{}, int64(0), uint64(0), false, "\x7f", "\x1f")
	f.Fuzz(func(t *testing.T, text string, blob []byte, i int64, u uint64, flag bool, k, v string) {
		text, k, v = strings.ToValidUTF8(text, "?"), strings.ToValidUTF8(k, "?"), strings.ToValidUTF8(v, "?")
		if blob == nil {
			blob = []byte{}
		}
		want := &sink{
			Position: Position{u, u}, base: base{text, Code(k)}, Blob: blob, Flag: flag, Int: i, Uint: u,
			PInt: &i, PUint: &u, PFlag: &flag, PText: &v, Texts: []string{text, k, v}, Meta: map[string]string{k: v, v: k},
			Inner: inner{Key: k, N: i, Blob: blob}, Ptr: &inner{Key: v, Blob: blob}, If: []inner{{Key: text}, {Key: k}},
			Ptrs: []*inner{{Key: v, N: i}}, Ops: []Command{&Set{Key: k, Value: blob, IfRevision: &u}, &Increment{Key: v, By: i}},
		}
		for _, enc := range []Encoding{Msgpack, JSON, JSONBase64} {
			payload := Append(nil, enc, want)
			var got, strict sink
			if err := Decode(payload, &got); err != nil {
				t.Fatalf("%q: %v", payload, err)
			}
			if _, err := DecodeRequest(payload, &strict); err != nil {
				t.Fatalf("%q: %v", payload, err)
			}
			if !reflect.DeepEqual(&got, want) || !reflect.DeepEqual(&strict, want) {
				t.Fatalf("%q:\ngot  %+v\nwant %+v", payload, got, want)
			}
			if enc != Msgpack && bytes.ContainsAny(payload, "\n\r") {
				t.Fatalf("%q is not one line", payload)
			}
			checkWitness(t, enc, payload, want)
		}
	})
}

// checkWitness reads some fields with msgpack/v5 or encoding/json.
func checkWitness(t *testing.T, enc Encoding, payload []byte, want *sink) {
	var got struct {
		Text  string            `json:"text" msgpack:"text"`
		Blob  *string           `json:"blob" msgpack:"-"`
		Bytes []byte            `json:"blob_base64" msgpack:"blob"`
		Int   int64             `json:"int" msgpack:"int"`
		PUint *uint64           `json:"puint" msgpack:"puint"`
		Texts []string          `json:"texts" msgpack:"texts"`
		Meta  map[string]string `json:"meta" msgpack:"meta"`
		Ops   []struct {
			Op  string `json:"op" msgpack:"op"`
			Key string `json:"key" msgpack:"key"`
		} `json:"ops" msgpack:"ops"`
	}
	var err error
	if enc == Msgpack {
		err = msgpack.Unmarshal(payload, &got)
	} else {
		err = json.Unmarshal(payload, &got)
	}
	if err != nil {
		t.Fatalf("%q: the witness: %v", payload, err)
	}
	blob := got.Bytes
	if got.Blob != nil {
		blob = []byte(*got.Blob)
	}
	if got.Text != want.Text || !bytes.Equal(blob, want.Blob) || got.Int != want.Int || *got.PUint != *want.PUint ||
		!reflect.DeepEqual(got.Texts, want.Texts) || !reflect.DeepEqual(got.Meta, want.Meta) ||
		len(got.Ops) != 2 || got.Ops[0].Op != "kv.set" || got.Ops[0].Key != want.Inner.Key {
		t.Fatalf("%q: the witness reads %+v", payload, got)
	}
}
