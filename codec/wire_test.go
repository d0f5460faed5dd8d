package codec

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// inner and sink have a field of every kind and option.
type inner struct {
	Key  string `wire:"key,required"`
	N    int64  `wire:"n,omitempty,nonzero"`
	Blob []byte `wire:"blob,omitempty"`
}

type base struct {
	Text string `wire:"text,omitempty"`
	Code Code   `wire:"code,omitempty"`
}

type sink struct {
	Position
	base
	Blob    []byte            `wire:"blob,omitempty"`
	Flag    bool              `wire:"flag,omitempty"`
	Int     int64             `wire:"int,omitempty"`
	Uint    uint64            `wire:"uint,omitempty"`
	PInt    *int64            `wire:"pint,omitempty"`
	PUint   *uint64           `wire:"puint,omitempty"`
	PFlag   *bool             `wire:"pflag,omitempty"`
	PText   *string           `wire:"ptext,omitempty"`
	Texts   []string          `wire:"texts,omitempty,max=3"`
	Meta    map[string]string `wire:"meta,omitempty,max=3"`
	Inner   inner             `wire:"inner,omitempty"`
	Ptr     *inner            `wire:"ptr,omitempty"`
	If      []inner           `wire:"if,omitempty,max=3"`
	Ptrs    []*inner          `wire:"ptrs,omitempty"`
	Ops     []Command         `wire:"ops,omitempty,max=3"`
	Results []Reply           `wire:"results,omitempty"`
	Hidden  int               `wire:"-"`
}

// pairs is a msgpack map in this order; raw is msgpack as it stands.
type (
	pairs []any
	raw   []byte
)

// pack writes a value with msgpack/v5, the independent witness.
func pack(t testing.TB, v any) []byte {
	t.Helper()
	var buf bytes.Buffer
	enc := msgpack.NewEncoder(&buf)
	var put func(v any) error
	put = func(v any) error {
		switch v := v.(type) {
		case raw:
			buf.Write(v)
			return nil
		case pairs:
			if err := enc.EncodeMapLen(len(v) / 2); err != nil {
				return err
			}
			for _, x := range v {
				if err := put(x); err != nil {
					return err
				}
			}
			return nil
		case []any:
			if err := enc.EncodeArrayLen(len(v)); err != nil {
				return err
			}
			for _, x := range v {
				if err := put(x); err != nil {
					return err
				}
			}
			return nil
		}
		return enc.Encode(v)
	}
	if err := put(v); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

var undefined = raw{0xd4, 0, 0}

func ptr[T any](v T) *T { return &v }

// wantError checks an error's code and field, and that its sentence names it.
func wantError(t *testing.T, err error, code Code, field string) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want %s of %q", err, code, field)
	}
	if e.Code != code || e.Field != field {
		t.Fatalf("got %s of %q (%v), want %s of %q", e.Code, e.Field, e, code, field)
	}
	if name, _, _ := strings.Cut(field, "."); !strings.Contains(e.Message, name) {
		t.Fatalf("%q does not name %q", e.Message, field)
	}
	return e
}

func TestDecodeRequestValues(t *testing.T) {
	for _, test := range []struct {
		name string
		in   any
		want sink
	}{
		{"empty", pairs{}, sink{}},
		{"text", pairs{"text", "héllo"}, sink{base: base{Text: "héllo"}}},
		{"named text", pairs{"code", "conflict"}, sink{base: base{Code: Conflict}}},
		{"bytes from bin", pairs{"blob", []byte{0, 255}}, sink{Blob: []byte{0, 255}}},
		{"bytes from str", pairs{"blob", "abc"}, sink{Blob: []byte("abc")}},
		{"empty bytes", pairs{"blob", []byte{}}, sink{Blob: []byte{}}},
		{"empty bytes from str", pairs{"blob", ""}, sink{Blob: []byte{}}},
		{"booleans", pairs{"flag", true, "pflag", false}, sink{Flag: true, PFlag: ptr(false)}},
		{"nil everywhere", pairs{
			"text", nil, "blob", nil, "flag", nil, "int", nil, "uint", nil, "pint", nil, "texts", nil,
			"meta", nil, "inner", nil, "ptr", nil, "if", nil, "ops", nil,
		}, sink{}},
		{"undefined everywhere", pairs{
			"text", undefined, "blob", undefined, "flag", undefined, "int", undefined, "pint", undefined,
			"texts", undefined, "meta", undefined, "inner", undefined, "ptr", undefined, "if", undefined,
		}, sink{}},
		{"pointers to zero", pairs{"pint", 0, "puint", 0, "ptext", ""}, sink{PInt: ptr(int64(0)), PUint: ptr(uint64(0)), PText: ptr("")}},
		{"any order", pairs{"uint", 7, "int", -7, "text", "x"}, sink{base: base{Text: "x"}, Int: -7, Uint: 7}},
		{"embedded", pairs{"store_revision", 5, "epoch", 6}, sink{Position: Position{5, 6}}},
		{"lists", pairs{"texts", []string{"a", ""}, "meta", map[string]string{"k": "v"}},
			sink{Texts: []string{"a", ""}, Meta: map[string]string{"k": "v"}}},
		{"empty lists", pairs{"texts", []string{}, "meta", pairs{}, "if", []any{}},
			sink{Texts: []string{}, Meta: map[string]string{}, If: []inner{}}},
		{"structs", pairs{
			"inner", pairs{"key", "a"}, "ptr", pairs{"key", "b", "n", 2},
			"if", []any{pairs{"key", "c"}}, "ptrs", []any{pairs{"key", "d"}, pairs{"key", "e"}},
		}, sink{
			Inner: inner{Key: "a"}, Ptr: &inner{Key: "b", N: 2}, If: []inner{{Key: "c"}},
			Ptrs: []*inner{{Key: "d"}, {Key: "e"}},
		}},
		{"ops", pairs{"ops", []any{
			pairs{"op", "kv.set", "key", "a", "value", "x"},
			pairs{"if_revision", 0, "key", "b", "op", "kv.delete"},
		}}, sink{Ops: []Command{
			&Set{Key: "a", Value: []byte("x")}, &Delete{Key: "b", IfRevision: ptr(uint64(0))},
		}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			payload := pack(t, test.in)
			var got sink
			enc, err := DecodeRequest(payload, &got)
			if err != nil || enc != Msgpack {
				t.Fatal(enc, err)
			}
			clear(payload) // nothing may alias it
			if !reflect.DeepEqual(got, test.want) {
				t.Fatalf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestDecodeRequestIntegers(t *testing.T) {
	const two53 = 1 << 53
	for _, test := range []struct {
		in   any
		want int64 // of an int64 field
		neg  bool  // not for a uint64 field
	}{
		{raw{0x00}, 0, false}, {raw{0x7f}, 127, false}, {raw{0xff}, -1, true}, {raw{0xe0}, -32, true},
		{uint8(200), 200, false}, {uint16(1), 1, false}, {uint32(1 << 31), 1 << 31, false}, {uint64(5), 5, false},
		{int8(-128), -128, true}, {int16(-300), -300, true}, {int32(-1 << 31), -1 << 31, true},
		{int8(5), 5, false}, {int64(-1 << 63), -1 << 63, true}, {int64(1<<63 - 1), 1<<63 - 1, false},
		{float32(3), 3, false}, {float64(-3), -3, true}, {float64(two53 - 1), two53 - 1, false}, {float64(1 - two53), 1 - two53, true},
	} {
		payload := pack(t, pairs{"int", test.in})
		var got sink
		if _, err := DecodeRequest(payload, &got); err != nil || got.Int != test.want {
			t.Errorf("%x as int64: %d, %v", payload, got.Int, err)
		}
		got = sink{}
		_, err := DecodeRequest(pack(t, pairs{"puint", test.in}), &got)
		if test.neg {
			wantError(t, err, Invalid, "puint")
		} else if err != nil || *got.PUint != uint64(test.want) {
			t.Errorf("%x as uint64: %v, %v", payload, got.PUint, err)
		}
	}
	var got sink
	if _, err := DecodeRequest(pack(t, pairs{"uint", uint64(1<<64 - 1)}), &got); err != nil || got.Uint != 1<<64-1 {
		t.Error(got.Uint, err)
	}
}

func TestDecodeRequestRefuses(t *testing.T) {
	nan, inf := raw{0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0}, raw{0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0}
	for _, test := range []struct {
		name  string
		in    any
		field string
	}{
		{"unknown field", pairs{"text", "a", "nope", 1}, "nope"},
		{"case", pairs{"Text", "a"}, "Text"},
		{"field of another encoding", pairs{"blob_base64", "YQ=="}, "blob_base64"},
		{"base64 in msgpack", pairs{"base64", true}, "base64"},
		{"unknown, strange name", pairs{"a\r\nb", 1}, `"a\r\nb"`},
		{"unknown, long name", pairs{strings.Repeat("x", 1000), 1}, strings.Repeat("x", 64) + "..."},
		{"no name", pairs{"", 1}, `""`},
		{"twice", pairs{"text", "a", "text", "a"}, "text"},
		{"twice, once nil", pairs{"text", nil, "text", "a"}, "text"},
		{"twice in a map", pairs{"meta", pairs{"k", "a", "k", "b"}}, "meta.k"},
		{"string from bin", pairs{"text", []byte("a")}, "text"},
		{"string from integer", pairs{"text", 1}, "text"},
		{"bytes from integer", pairs{"blob", 1}, "blob"},
		{"boolean from integer", pairs{"flag", 1}, "flag"},
		{"boolean from string", pairs{"pflag", "true"}, "pflag"},
		{"integer from string", pairs{"int", "1"}, "int"},
		{"integer from boolean", pairs{"uint", true}, "uint"},
		{"integer from list", pairs{"int", []any{1}}, "int"},
		{"-1 unsigned", pairs{"uint", -1}, "uint"},
		{"-1 unsigned pointer", pairs{"puint", int64(-1)}, "puint"},
		{"2^63", pairs{"int", uint64(1 << 63)}, "int"},
		{"1.5", pairs{"int", 1.5}, "int"},
		{"1.5 in 32 bits", pairs{"uint", float32(1.5)}, "uint"},
		{"-1.0 unsigned", pairs{"uint", -1.0}, "uint"},
		{"2^53 as float", pairs{"int", float64(1 << 53)}, "int"},
		{"-2^53 as float", pairs{"int", -float64(1 << 53)}, "int"},
		{"not a number", pairs{"int", nan}, "int"},
		{"infinite", pairs{"uint", inf}, "uint"},
		{"list from map", pairs{"texts", pairs{}}, "texts"},
		{"list of integers", pairs{"texts", []any{"a", 1}}, "texts[1]"},
		{"nil in a list", pairs{"texts", []any{nil}}, "texts[0]"},
		{"undefined in a list", pairs{"texts", []any{"a", undefined}}, "texts[1]"},
		{"map from list", pairs{"meta", []any{}}, "meta"},
		{"nil in a map", pairs{"meta", pairs{"a", nil}}, "meta.a"},
		{"integer in a map", pairs{"meta", pairs{"a", 1}}, "meta.a"},
		{"struct from list", pairs{"inner", []any{}}, "inner"},
		{"required", pairs{"inner", pairs{}}, "inner.key"},
		{"required, nil", pairs{"ptr", pairs{"key", nil}}, "ptr.key"},
		{"required, nil before another", pairs{"ptr", pairs{"key", nil, "n", 2}}, "ptr.key"},
		{"required, undefined", pairs{"ptr", pairs{"key", undefined}}, "ptr.key"},
		{"0", pairs{"inner", pairs{"key", "", "n", 0}}, "inner.n"},
		{"0.0", pairs{"inner", pairs{"key", "", "n", 0.0}}, "inner.n"},
		{"unknown, nested", pairs{"inner", pairs{"key", "", "x", 0}}, "inner.x"},
		{"top, nested", pairs{"inner", pairs{"key", "", "epoch", 0}}, "inner.epoch"},
		{"in a list of structs", pairs{"if", []any{pairs{"key", "a"}, pairs{"key", 1}}}, "if[1].key"},
		{"nil in a list of structs", pairs{"if", []any{nil}}, "if[0]"},
		{"nil in a list of pointers", pairs{"ptrs", []any{nil}}, "ptrs[0]"},
		{"nil op", pairs{"ops", []any{nil}}, "ops[0]"},
		{"op that is no map", pairs{"ops", []any{"kv.set"}}, "ops[0]"},
		{"op without op", pairs{"ops", []any{pairs{"key", "a"}}}, "ops[0].op"},
		{"nil for op", pairs{"ops", []any{pairs{"op", nil}}}, "ops[0].op"},
		{"op of another type", pairs{"ops", []any{pairs{"op", 1}}}, "ops[0].op"},
		{"unknown op", pairs{"ops", []any{pairs{"op", "kv.get", "key", "a"}}}, "ops[0].op"},
		{"op of no batch", pairs{"ops", []any{pairs{"op", "kv.clear"}}}, "ops[0].op"},
		{"op twice", pairs{"ops", []any{pairs{"op", "kv.delete", "op", "kv.delete"}}}, "ops[0].op"},
		{"required in an op", pairs{"ops", []any{pairs{"op", "kv.delete"}, pairs{"op", "kv.set", "key", "a"}}}, "ops[1].value"},
		{"deep in an op", pairs{"ops", []any{pairs{"op", "svc.register", "tags", []any{"a", 1}}}}, "ops[0].tags[1]"},
		{"op in an op", pairs{"op", "kv.set"}, "op"},
		{"results in a request", pairs{"results", []any{pairs{}}}, "results"},
	} {
		t.Run(test.name, func(t *testing.T) {
			enc, err := DecodeRequest(pack(t, test.in), &sink{})
			if enc != Msgpack {
				t.Errorf("would answer in %d", enc)
			}
			wantError(t, err, Invalid, test.field)
		})
	}
}

func TestIndexOfErrors(t *testing.T) {
	set := pairs{"op", "svc.register", "tags", []any{"a", "b", 1}}
	_, err := DecodeRequest(pack(t, pairs{"ops", []any{set}}), &sink{})
	if e := wantError(t, err, Invalid, "ops[0].tags[2]"); e.Index == nil || *e.Index != 0 {
		t.Errorf("index %v, want that of the op", e.Index)
	}
	_, err = DecodeRequest(pack(t, pairs{"if", []any{pairs{"key", ""}, pairs{"key", raw{0xa1, 0xff}}}}), &sink{})
	if e := wantError(t, err, Invalid, "if[1].key"); e.Index == nil || *e.Index != 1 {
		t.Errorf("index %v, want that of the condition", e.Index)
	}
	_, err = DecodeRequest(pack(t, pairs{"inner", pairs{"key", 1}}), &sink{})
	if e := wantError(t, err, Invalid, "inner.key"); e.Index != nil {
		t.Errorf("index %v outside of a list", *e.Index)
	}
}

func TestMax(t *testing.T) {
	for _, test := range []struct {
		field string
		in    any
	}{
		{"texts", []any{"", "", "", ""}},
		{"meta", pairs{"a", "", "b", "", "c", "", "d", ""}},
		{"if", []any{1, 2, 3, 4}}, // not even looked at
		{"ops", []any{1, 2, 3, 4}},
	} {
		_, err := DecodeRequest(pack(t, pairs{test.field, test.in}), &sink{})
		if e := wantError(t, err, TooLarge, test.field); e.Limit != 3 {
			t.Errorf("limit %d", e.Limit)
		}
		wantError(t, Decode(pack(t, pairs{test.field, test.in}), &sink{}), TooLarge, test.field)
	}
}

func TestDecodeIgnoresUnknownFields(t *testing.T) {
	in := pairs{
		"new", pairs{"a", []any{1, nil, undefined, 1.5, pairs{"b", []byte("x")}}}, "text", "a",
		"new", -1, "inner", pairs{"x", "y", "epoch", 5, "n", 0}, "base64", 1, "blob_base64", 1,
	}
	var got sink
	if err := Decode(pack(t, in), &got); err != nil {
		t.Fatal(err)
	}
	if want := (sink{base: base{Text: "a"}}); !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	if err := Decode([]byte(`{"base64":1,"new":{"new":[{}]},"text":"a"}`), &got); err != nil {
		t.Fatal(err)
	}
	results := &BatchReply{Results: []Reply{&SetReply{}}}
	err := Decode(pack(t, pairs{"epoch", 1, "results", []any{pairs{"epoch", 2, "revision", 3}}}), results)
	if err != nil || results.Epoch != 1 || results.Results[0].At().Epoch != 0 || results.Results[0].Changed() != 3 {
		t.Fatalf("a position inside of a message: %+v, %v", results.Results[0], err)
	}
	// Everything else is as strict as in a request.
	wantError(t, Decode(pack(t, pairs{"text", 1}), &sink{}), Invalid, "text")
	wantError(t, Decode(pack(t, pairs{"text", "", "text", ""}), &sink{}), Invalid, "text")
	wantError(t, Decode(pack(t, pairs{"uint", -1}), &sink{}), Invalid, "uint")
	wantError(t, Decode(pack(t, pairs{"new", raw{0xa1, 0xff}}), &sink{}), Invalid, "new")
}

func TestReplies(t *testing.T) {
	batch := &Batch{Ops: []Command{&Set{}, &Delete{}}}
	want := batch.NewReply().(*BatchReply)
	want.StoreRevision, want.Epoch, want.Revision = 9, 8, 7
	want.Results[0].(*SetReply).Revision = 6
	want.Results[0].(*SetReply).StoreRevision = 99 // not written inside of another message
	want.Results[1].(*DeleteReply).Deleted = true
	for _, enc := range []Encoding{Msgpack, JSON} {
		payload := Append(nil, enc, want)
		got := batch.NewReply()
		if err := Decode(payload, got); err != nil {
			t.Fatal(err)
		}
		want.Results[0].(*SetReply).StoreRevision = 0
		if !reflect.DeepEqual(got, Reply(want)) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		want.Results[0].(*SetReply).StoreRevision = 99
		wantError(t, Decode(payload, (&Batch{Ops: batch.Ops[:1]}).NewReply()), Invalid, "results")
	}
	wantError(t, Decode(pack(t, pairs{"results", []any{pairs{}, nil}}), batch.NewReply()), Invalid, "results[1]")
}

func TestEncodingOfTheReply(t *testing.T) {
	for _, test := range []struct {
		in   string
		want Encoding
		ok   bool
	}{
		{"", JSON, true},
		{"\x80", Msgpack, true},
		{"\x81\xa1x\x00", Msgpack, false},     // unknown field
		{"\x81\xa4text\xa1\xff", JSON, false}, // unreadable
		{"\xc1", JSON, false},
		{"hello", JSON, false},
		{"{}", JSON, true},
		{"{", JSON, false},
		{`{"x":1}`, JSON, false},
		{`{"base64":false}`, JSON, true},
		{`{"base64":null}`, JSON, true},
		{`{"base64":true}`, JSONBase64, true},
		{`{"base64":true,"x":1}`, JSONBase64, false},
		{`{"base64":1}`, JSON, false},
		{`{"base64":true,"base64":true}`, JSONBase64, false},
		{`{"inner":{"key":"","base64":true}}`, JSON, false},
	} {
		enc, err := DecodeRequest([]byte(test.in), &sink{})
		if enc != test.want || (err == nil) != test.ok {
			t.Errorf("%q: %d, %v", test.in, enc, err)
		}
	}
	_, err := DecodeRequest(nil, &Set{})
	wantError(t, err, Invalid, "value") // an empty payload is an empty map
}
