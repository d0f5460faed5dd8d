package codec

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestJSONRequests(t *testing.T) {
	for _, test := range []struct {
		in   string
		want sink
	}{
		{`{}`, sink{}},
		{"{ \t\r\n} \n", sink{}},
		{`{"text":"a","int":-5,"flag":true,"pflag":false,"ptext":null}`,
			sink{base: base{Text: "a"}, Int: -5, Flag: true, PFlag: ptr(false)}},
		{"{ \"text\"\t:\r\n\"a\" , \"int\" : 1 }", sink{base: base{Text: "a"}, Int: 1}},
		{`{"text":"\"\\\/\b\f\n\r\t\u00e9\u20AC\ud83d\ude00é"}`, sink{base: base{Text: "\"\\/\b\f\n\r\té€😀é"}}},
		{`{"te\u0078t":"\u0000"}`, sink{base: base{Text: "\x00"}}},
		{`{"blob":"héllo"}`, sink{Blob: []byte("héllo")}},
		{`{"blob":""}`, sink{Blob: []byte{}}},
		{`{"blob_base64":""}`, sink{Blob: []byte{}}},
		{`{"blob_base64":"AP8="}`, sink{Blob: []byte{0, 255}}},
		{`{"blob_base64":null}`, sink{}},
		{`{"inner":{"key":"k","blob_base64":"AP8="}}`, sink{Inner: inner{Key: "k", Blob: []byte{0, 255}}}},
		{`{"meta":{"value_base64":"AP8=","base64":"x","blob_base64":""}}`,
			sink{Meta: map[string]string{"value_base64": "AP8=", "base64": "x", "blob_base64": ""}}},
		{`{"base64":true,"ops":[{"key":"k","value_base64":"AP8=","op":"kv.set"}]}`,
			sink{Ops: []Command{&Set{Key: "k", Value: []byte{0, 255}}}}},
		{`{"int":9223372036854775807,"uint":18446744073709551615}`, sink{Int: 1<<63 - 1, Uint: 1<<64 - 1}},
		{`{"int":-9223372036854775808,"puint":9007199254740993}`, sink{Int: -1 << 63, PUint: ptr(uint64(9007199254740993))}},
		{`{"int":1e3,"uint":5.0,"pint":-1.5E+1}`, sink{Int: 1000, Uint: 5, PInt: ptr(int64(-15))}},
		{`{"pint":-0,"puint":0.0e-7}`, sink{PInt: ptr(int64(0)), PUint: ptr(uint64(0))}},
		{`{"int":127,"uint":128}`, sink{Int: 127, Uint: 128}},
		{`{"texts":[],"meta":{},"if":[ {"key":"a"} , {"key":"b"}]}`,
			sink{Texts: []string{}, Meta: map[string]string{}, If: []inner{{Key: "a"}, {Key: "b"}}}},
	} {
		var got sink
		if _, err := DecodeRequest([]byte(test.in), &got); err != nil {
			t.Errorf("%s: %v", test.in, err)
		} else if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, want %+v", test.in, got, test.want)
		}
	}
}

func TestJSONRefuses(t *testing.T) {
	deep := strings.Repeat(`{"inner":`, 8) + "[]" + strings.Repeat("}", 8)
	for _, test := range []struct{ in, field string }{
		{`{"Text":"a"}`, "Text"},
		{`{"text":"a","text":"b"}`, "text"},
		{`{"text":"a","te\u0078t":"b"}`, "text"},
		{`{"blob":"a","blob_base64":"YQ=="}`, "blob_base64"},
		{`{"blob_base64":"YQ==","blob":null}`, "blob"},
		{`{"blob_base64":"YQ==","blob_base64":"YQ=="}`, "blob_base64"},
		{`{"blob_base64":"YQ"}`, "blob_base64"},
		{`{"blob_base64":"YR=="}`, "blob_base64"},
		{`{"blob_base64":"Y Q="}`, "blob_base64"},
		{`{"blob_base64":"YWFh\nYQ=="}`, "blob_base64"},
		{`{"blob_base64":"_-8="}`, "blob_base64"},
		{`{"blob_base64":5}`, "blob_base64"},
		{`{"text_base64":"YQ=="}`, "text_base64"},
		{`{"_base64":"YQ=="}`, "_base64"},
		{`{"blob":1}`, "blob"},
		{`{"base64":"true"}`, "base64"},
		{`{"base64":false,"base64":false}`, "base64"},
		{`{"inner":{"key":"","base64":true}}`, "inner.base64"},
		{`{"int":1.5}`, "int"},
		{`{"int":9223372036854775808}`, "int"},
		{`{"uint":18446744073709551616}`, "uint"},
		{`{"uint":-1}`, "uint"},
		{`{"int":9007199254740992.0}`, "int"},
		{`{"int":1e400}`, "int"},
		{`{"inner":{"key":"","n":0.0}}`, "inner.n"},
		{`{"texts":["a",null]}`, "texts[1]"},
		{`{"if":[{"key":"a"},{"key":null}]}`, "if[1].key"},
		{deep, "inner.inner.inner.inner.inner.inner.inner.inner"},
		// What is no JSON.
		{`{`, ""}, {`{"`, ""}, {`{"text`, ""}, {`{"text"`, ""}, {`{"text":`, "text"}, {`{"text":"`, "text"}, {`{"text":"a"`, ""},
		{`{"text":"\`, "text"}, {`{"text":"\u12`, "text"}, {`{}x`, ""}, {`{}{}`, ""}, {"{}\x00", ""}, {`{,}`, ""},
		{`{"text":"a",}`, ""}, {`{"text" "a"}`, ""}, {`{text:"a"}`, ""}, {`{'text':"a"}`, ""}, {`{"text":'a'}`, "text"},
		{`{"texts":["a",]}`, "texts[1]"}, {`{"texts":[,]}`, "texts[0]"}, {`{"texts":["a" "b"]}`, "texts"}, {`{"texts":["a"}`, "texts"},
		{`{"int":}`, "int"}, {`{"int":-}`, "int"}, {`{"int":+1}`, "int"}, {`{"int":01}`, "int"}, {`{"int":-01}`, "int"}, {`{"int":1.}`, "int"},
		{`{"int":.5}`, "int"}, {`{"int":1e}`, "int"}, {`{"int":1e+}`, "int"}, {`{"int":0x1}`, ""}, {`{"int":NaN}`, "int"},
		{`{"int":1_000}`, ""}, {`{"int":Infinity}`, "int"},
		{`{"flag":True}`, "flag"}, {`{"flag":tru}`, "flag"}, {`{"flag":truee}`, ""}, {`{"flag":nul`, "flag"},
		{`{"text":"\x41"}`, "text"}, {`{"text":"\u12g4"}`, "text"}, {`{"text":"\U0041"}`, "text"}, {`{"text":"\u+123"}`, "text"},
		{"{\"text\":\"a\nb\"}", "text"}, {"{\"text\":\"\x1f\"}", "text"}, {"{\"te\x00xt\":\"\"}", ""},
		{"{\"text\":\"\xff\"}", "text"}, {"{\"text\":\"\xed\xa0\x80\"}", "text"}, {"{\"te\xffxt\":\"\"}", ""},
		{`{"text":"\ud800"}`, "text"}, {`{"text":"\udc00"}`, "text"}, {`{"text":"\ud800x"}`, "text"}, {`{"text":"\ud800\n"}`, "text"},
		{`{"text":"\ud800\u0041"}`, "text"}, {`{"text":"\ud800\ud800"}`, "text"}, {`{"text":"\udc00\ud800"}`, "text"},
		{"{\u00a0}", ""}, {"{}\v", ""}, {`{"text":"a"}//`, ""},
	} {
		_, err := DecodeRequest([]byte(test.in), &sink{})
		t.Run(test.in, func(t *testing.T) { wantError(t, err, Invalid, test.field) })
	}
}

func TestAppendJSON(t *testing.T) {
	for _, test := range []struct {
		name string
		enc  Encoding
		m    any
		want string
	}{
		{"in the declared order", JSON, &Set{Key: "a", Value: []byte("b"), TTLMs: 5}, `{"key":"a","value":"b","ttl_ms":5}`},
		{"base64 asked for", JSONBase64, &Set{Key: "a", Value: []byte("b")}, `{"key":"a","value_base64":"Yg=="}`},
		{"not UTF-8", JSON, &Set{Key: "a", Value: []byte{0xff}}, `{"key":"a","value_base64":"/w=="}`},
		{"empty", JSON, &Set{}, `{"key":"","value":""}`},
		{"empty base64", JSONBase64, &Set{}, `{"key":"","value_base64":""}`},
		{"as long as base64", JSON, &Set{Value: []byte("\"\n\\ab")}, `{"key":"","value":"\"\n\\ab"}`},
		{"longer than base64", JSON, &Set{Value: []byte("\x01abc")}, `{"key":"","value_base64":"AWFiYw=="}`},
		{"not longer thanks to its text", JSON, &Set{Value: []byte("\x01" + strings.Repeat("é", 8))}, `{"key":"","value":"\u0001éééééééé"}`},
		{"by value", JSON, Set{Key: "a"}, `{"key":"a","value":""}`},
		{"nothing", JSON, &Status{}, `{}`},
		{"no HTML", JSON, &Get{Key: "<&>\u2028\x7f"}, "{\"key\":\"<&>\u2028\x7f\"}"},
		{"escapes", JSON, &Get{Key: "\"\\/\b\f\n\r\t\x00\x1f"}, `{"key":"\"\\/\b\f\n\r\t\u0000\u001f"}`},
		{"not UTF-8 in a text", JSON, &Get{Key: "a\xffb\xc3"}, `{"key":"a` + "\uFFFD" + `b` + "\uFFFD" + `"}`},
		{"64 bits", JSON, &Error{Code: Conflict, Revision: Revision(1<<64 - 1), Limit: -1 << 63},
			`{"store_revision":0,"epoch":0,"code":"conflict","message":"","temporary":false,"limit":-9223372036854775808,"revision":18446744073709551615}`},
		{"maps by key", JSON, &Register{Name: "n", Tags: []string{"b", "a"}, Meta: map[string]string{"y": "", "x": "é", "z": "\n"}},
			`{"name":"n","tags":["b","a"],"meta":{"x":"é","y":"","z":"\n"}}`},
		{"lists", JSON, &ListReply{Entries: []Entry{{Key: "a", Revision: 1}, {Key: "b", Value: []byte{}}}},
			`{"store_revision":0,"epoch":0,"entries":[{"key":"a","revision":1,"created_revision":0},{"key":"b","value":"","revision":0,"created_revision":0}]}`},
		{"empty list", JSON, &ListReply{}, `{"store_revision":0,"epoch":0,"entries":[]}`},
		{"ops", JSON, &Batch{Ops: []Command{&Delete{Key: "a"}, &Touch{Key: "b", TTLMs: ptr(int64(0))}}, If: []Condition{{Key: "c"}}},
			`{"ops":[{"op":"kv.delete","key":"a"},{"op":"kv.touch","key":"b","ttl_ms":0}],"if":[{"key":"c","revision":null}]}`},
		{"no position inside", JSON, &BatchReply{Results: []Reply{&TouchReply{}}},
			`{"store_revision":0,"epoch":0,"revision":0,"results":[{"revision":0}]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Append([]byte("before"), test.enc, test.m)
			if string(got) != "before"+test.want {
				t.Errorf("got  %s\nwant %s", got[6:], test.want)
			}
			if !json.Valid(got[6:]) {
				t.Error("not JSON")
			}
		})
	}
}

// The form of bytes in JSON follows from one rule; encoding/json and base64
// say the same for every single byte and for mixtures.
func TestJSONBytesTakeTheShorterForm(t *testing.T) {
	for n := range 2000 {
		b := bytes.Repeat([]byte("ab\xc3\xa9"), n%5)
		b = append(b, byte(n), byte(n/256*31))
		want := false
		if utf8.Valid(b) {
			var text bytes.Buffer
			enc := json.NewEncoder(&text)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(string(b)); err != nil {
				t.Fatal(err)
			}
			want = text.Len()-len("\"\"\n") <= len(base64.StdEncoding.EncodeToString(b))
		}
		if got := fitsJSONText(b); got != want {
			t.Errorf("%q as a text: %v, want %v", b, got, want)
		}
	}
}

// Wherever the special byte stands, the fast path must see it.
func TestJSONTextAtEveryOffset(t *testing.T) {
	for size := range 20 {
		for at := range size {
			for c := range 256 {
				s := []byte(strings.Repeat("x", size))
				s[at] = byte(c)
				got := appendJSONText(nil, s)
				var back string
				if err := json.Unmarshal(got, &back); err != nil || back != strings.ToValidUTF8(string(s), "\uFFFD") {
					t.Fatalf("%q: %s, %v", s, got, err)
				}
				if string(got) != string(appendJSONText(nil, string(s))) {
					t.Fatalf("%q: bytes and string differ", s)
				}
			}
		}
	}
}
