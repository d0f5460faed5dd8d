package codec

import (
	"encoding/base64"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// Append writes m, a struct or a pointer to one, after dst and returns the
// longer slice. Equal messages give equal bytes: fields come in the declared
// order and maps in the order of their keys. Integers take their shortest
// form, JSON is one line without spaces. It panics if m is no message. Safe
// for concurrent use.
func Append(dst []byte, enc Encoding, m any) []byte {
	v := reflect.ValueOf(m)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	e := encoders.Get().(*encoder)
	e.buf, e.enc = dst, enc
	e.fields(v, planOf(v.Type()), outermost, "")
	dst, e.buf = e.buf, nil
	encoders.Put(e)
	return dst
}

// encoder writes a message in either encoding: its small methods differ in the
// encoding, what walks over the message does not.
type encoder struct {
	buf []byte
	enc Encoding
	msg *msgpack.Encoder // writes to buf
}

var encoders = sync.Pool{New: func() any {
	e := &encoder{}
	e.msg = msgpack.NewEncoder(e)
	return e
}}

// opField is the field that a command has in a list of ops.
var opField = newField("op")

// Write appends what the msgpack encoder writes.
func (e *encoder) Write(b []byte) (int, error) {
	e.buf = append(e.buf, b...)
	return len(b), nil
}

// WriteByte appends what the msgpack encoder writes.
func (e *encoder) WriteByte(b byte) error {
	e.buf = append(e.buf, b)
	return nil
}

// fields writes the struct v as a map, with the field "op" before its own if
// it is an op of a list.
func (e *encoder) fields(v reflect.Value, p *plan, where place, op string) {
	n := len(p.fields)
	var out uint64 // the fields that are left out, as bits
	for i := range p.fields {
		f := &p.fields[i]
		if f.top && where != outermost || f.omitempty && f.isEmpty(f.at(v)) {
			out |= 1 << i
			n--
		}
	}
	if where == inOps {
		e.beginMap(n + 1)
		e.key(&opField)
		e.text(op)
	} else {
		e.beginMap(n)
	}
	for i := range p.fields {
		if out&(1<<i) == 0 {
			f := &p.fields[i]
			e.field(f, f.at(v))
		}
	}
	e.endMap()
}

// isEmpty says that omitempty leaves the value out. Bytes that are empty but
// not nil stay: they are a value.
func (f *field) isEmpty(v reflect.Value) bool {
	if f.shape >= aTextMap {
		return v.Len() == 0
	}
	return v.IsZero()
}

func (e *encoder) field(f *field, v reflect.Value) {
	if f.shape == aBlob {
		e.blob(f, v.Bytes())
		return
	}
	e.key(f)
	if f.shape >= aTextList {
		e.beginList(v.Len())
		for i := range v.Len() {
			e.comma()
			e.element(f, v.Index(i))
		}
		e.endList()
		return
	}
	if f.pointer {
		if v.IsNil() {
			e.null()
			return
		}
		v = v.Elem()
	}
	switch f.shape {
	case aText:
		e.text(v.String())
	case aFlag:
		e.flag(v.Bool())
	case anInt:
		e.int(v.Int())
	case aUint:
		e.uint(v.Uint())
	case aMap:
		e.fields(v, f.fields, nested, "")
	case aTextMap:
		e.textMap(v.Interface().(map[string]string))
	}
}

func (e *encoder) element(f *field, v reflect.Value) {
	switch f.shape {
	case aTextList:
		e.text(v.String())
	case anOpList:
		op := v.Interface().(Command).Op()
		v = v.Elem().Elem()
		e.fields(v, planOf(v.Type()), inOps, op)
	case aReplyList:
		v = v.Elem().Elem()
		e.fields(v, planOf(v.Type()), nested, "")
	case aMapList:
		if f.pointer {
			v = v.Elem()
		}
		e.fields(v, f.fields, nested, "")
	}
}

func (e *encoder) textMap(m map[string]string) {
	e.beginMap(len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		e.comma()
		e.text(key)
		if e.enc != Msgpack {
			e.buf = append(e.buf, ':')
		}
		e.text(m[key])
	}
	e.endMap()
}

// The methods below are where the encodings differ. The msgpack encoder's
// errors are those of its writer, which has none.

func (e *encoder) beginMap(n int) {
	if e.enc == Msgpack {
		_ = e.msg.EncodeMapLen(n)
	} else {
		e.buf = append(e.buf, '{')
	}
}

func (e *encoder) endMap() {
	if e.enc != Msgpack {
		e.buf = append(e.buf, '}')
	}
}

func (e *encoder) beginList(n int) {
	if e.enc == Msgpack {
		_ = e.msg.EncodeArrayLen(n)
	} else {
		e.buf = append(e.buf, '[')
	}
}

func (e *encoder) endList() {
	if e.enc != Msgpack {
		e.buf = append(e.buf, ']')
	}
}

// comma comes before every element and key; JSON has none before the first.
func (e *encoder) comma() {
	if e.enc == Msgpack {
		return
	}
	if last := e.buf[len(e.buf)-1]; last != '{' && last != '[' {
		e.buf = append(e.buf, ',')
	}
}

func (e *encoder) key(f *field) {
	if e.enc == Msgpack {
		e.buf = append(e.buf, f.msgKey...)
		return
	}
	e.comma()
	e.buf = append(e.buf, f.jsonKey...)
}

func (e *encoder) text(s string) {
	if e.enc == Msgpack {
		_ = e.msg.EncodeString(s)
	} else {
		e.buf = appendJSONText(e.buf, s)
	}
}

// blob writes a field of bytes with its key, since JSON has two of them.
func (e *encoder) blob(f *field, b []byte) {
	switch {
	case e.enc == Msgpack:
		e.key(f)
		_ = e.msg.EncodeBytesLen(len(b))
		e.buf = append(e.buf, b...)
	case e.enc == JSON && fitsJSONText(b):
		e.key(f)
		e.buf = appendJSONText(e.buf, b)
	default:
		e.comma()
		e.buf = append(e.buf, f.b64Key...)
		e.buf = append(e.buf, '"')
		e.buf = base64.StdEncoding.AppendEncode(e.buf, b)
		e.buf = append(e.buf, '"')
	}
}

func (e *encoder) int(n int64) {
	if e.enc == Msgpack {
		_ = e.msg.EncodeInt(n)
	} else {
		e.buf = strconv.AppendInt(e.buf, n, 10)
	}
}

func (e *encoder) uint(n uint64) {
	if e.enc == Msgpack {
		_ = e.msg.EncodeUint(n)
	} else {
		e.buf = strconv.AppendUint(e.buf, n, 10)
	}
}

func (e *encoder) flag(yes bool) {
	if e.enc == Msgpack {
		_ = e.msg.EncodeBool(yes)
	} else {
		e.buf = strconv.AppendBool(e.buf, yes)
	}
}

func (e *encoder) null() {
	if e.enc == Msgpack {
		_ = e.msg.EncodeNil()
	} else {
		e.buf = append(e.buf, "null"...)
	}
}
