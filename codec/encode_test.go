package codec

import (
	"bytes"
	"encoding/hex"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

func TestAppendMsgpack(t *testing.T) {
	for _, test := range []struct {
		name string
		m    any
		want any // as msgpack/v5 writes it, or its bytes
	}{
		{"value as bin", &Set{Key: "a", Value: []byte("b")}, raw("\x82\xa3key\xa1a\xa5value\xc4\x01b")},
		{"no value", &Set{Key: "a"}, raw("\x82\xa3key\xa1a\xa5value\xc4\x00")},
		{"empty is not nil", &Entry{Value: []byte{}}, raw("\x84\xa3key\xa0\xa5value\xc4\x00\xa8revision\x00\xb0created_revision\x00")},
		{"nil is left out", &Entry{}, raw("\x83\xa3key\xa0\xa8revision\x00\xb0created_revision\x00")},
		{"pointer to 0", &Delete{IfRevision: Revision(0)}, raw("\x82\xa3key\xa0\xabif_revision\x00")},
		{"nil pointer", &Condition{Key: "a"}, raw("\x82\xa3key\xa1a\xa8revision\xc0")},
		{"by value", Delete{Key: "a"}, raw("\x81\xa3key\xa1a")},
		{"by 0", &Increment{}, raw("\x81\xa3key\xa0")},
		{"position", &Written{Position: Position{1, 2}, Revision: 3}, raw("\x83\xaestore_revision\x01\xa5epoch\x02\xa8revision\x03")},
		{"position inside", &BatchReply{Results: []Reply{&TouchReply{Written: Written{Position: Position{4, 5}, Revision: 6}}}},
			raw("\x84\xaestore_revision\x00\xa5epoch\x00\xa8revision\x00\xa7results\x91\x81\xa8revision\x06")},
		{"ops", &Batch{Ops: []Command{&Delete{Key: "a"}}}, raw("\x81\xa3ops\x91\x82\xa2op\xa9kv.delete\xa3key\xa1a")},
		{"lists", &sink{Texts: []string{"a", ""}, Meta: map[string]string{"b": "2", "a": "1"}, Ptrs: []*inner{{Key: "x"}}},
			raw("\x85\xaestore_revision\x00\xa5epoch\x00\xa5texts\x92\xa1a\xa0\xa4meta\x82\xa1a\xa11\xa1b\xa12\xa4ptrs\x91\x81\xa3key\xa1x")},
		{"many", &BatchGet{Keys: make([]string, 70000)}, pairs{"keys", make([]string, 70000)}},
		{"long", &Set{Key: strings.Repeat("k", 300), Value: make([]byte, 70000)},
			pairs{"key", strings.Repeat("k", 300), "value", make([]byte, 70000)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := pack(t, test.want)
			got := Append([]byte("before"), Msgpack, test.m)
			if !bytes.HasPrefix(got, []byte("before")) || !bytes.Equal(got[6:], want) {
				t.Errorf("got\n%swant\n%s", hex.Dump(got), hex.Dump(want))
			}
		})
	}
}

// Integers are written in their shortest form: JavaScript reads the longer
// ones as BigInt. The lengths follow from the msgpack specification.
func TestIntegersAreShort(t *testing.T) {
	for n, size := range map[int64]int{
		0: 1, 127: 1, 128: 2, 255: 2, 256: 3, 65535: 3, 65536: 5, math.MaxUint32: 5, math.MaxUint32 + 1: 9, math.MaxInt64: 9,
		-1: 1, -32: 1, -33: 2, -128: 2, -129: 3, -32768: 3, -32769: 5, math.MinInt32: 5, math.MinInt32 - 1: 9, math.MinInt64: 9,
	} {
		type one struct {
			N int64 `wire:"n"`
		}
		b := Append(nil, Msgpack, &one{n})
		if got := len(b) - len("\x81\xa1n"); got != size {
			t.Errorf("%d takes %d bytes, want %d", n, got, size)
		}
		var back map[string]int64
		if err := msgpack.Unmarshal(b, &back); err != nil || back["n"] != n {
			t.Errorf("%d comes back as %d, %v", n, back["n"], err)
		}
	}
}

// A type that cannot go over the wire is found at its first use.
func TestPlanRefuses(t *testing.T) {
	for name, m := range map[string]any{
		"untagged": &struct{ A string }{},
		"unexported": &struct {
			a string `wire:"a"`
		}{},
		"unknown option": &struct {
			A string `wire:"a,omitzero"`
		}{},
		"max of a string": &struct {
			A string `wire:"a,max=5"`
		}{},
		"max of what": &struct {
			A []string `wire:"a,max=x"`
		}{},
		"int": &struct {
			A int `wire:"a"`
		}{},
		"interface": &struct {
			A any `wire:"a"`
		}{},
		"embedded pointer": &struct{ *Position }{},
		"one name twice": &struct {
			A string `wire:"a"`
			B string `wire:"a"`
		}{},
		"no name": &struct {
			A string `wire:",omitempty"`
		}{},
		"list of lists": &struct {
			A [][]string `wire:"a"`
		}{},
		"no struct": ptr(5),
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("planned")
				}
			}()
			planOf(reflect.TypeOf(m).Elem())
		})
	}
}
