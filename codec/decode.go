package codec

import (
	"bytes"
	"encoding/base64"
	"math/bits"
	"reflect"
)

// DecodeRequest reads a request into the zero struct that m points to, and
// takes nothing that it does not understand: unknown and duplicate fields,
// other types, numbers out of range, text that is not UTF-8 and trailing bytes
// are [Invalid], a list over its limit is [TooLarge], and the [Error] names
// the field. An empty payload is an empty map.
//
// It returns the encoding in which to reply, beside an error too: that of the
// request, and JSON if the payload is empty or unreadable. A request in JSON
// asks for JSONBase64 with "base64": true.
//
// Nothing in m aliases payload; after an error m holds anything. Safe for
// concurrent use.
func DecodeRequest(payload []byte, m any) (Encoding, error) {
	d := decoder{strict: true}
	err := d.message(payload, m)
	return d.enc, refusal(err)
}

// Decode reads what sett itself wrote, in either encoding: a reply, an event,
// a stored value. It is as careful as [DecodeRequest], but ignores fields that
// it does not know, so that an old reader understands a new store, and takes
// messages without the required ones. The elements of a []Reply must be there
// already.
func Decode(payload []byte, m any) error {
	d := decoder{}
	return refusal(d.message(payload, m))
}

// decoder reads msgpack that passed the guard: it is well-formed, so what is
// left to check is that the message is what the struct wants.
type decoder struct {
	b      []byte
	at     int
	strict bool     // a request
	enc    Encoding // of the payload; JSON stands in b as msgpack
}

// place is where a map stands, which decides over fields of its own kind.
type place uint8

const (
	nested    place = iota
	outermost       // has the top fields and, in JSON, "base64"
	inOps           // has "op"
)

// emptyMap is what an empty payload means.
var emptyMap = []byte{0x80}

// preallocated bounds what a list's declared length alone can allocate.
const preallocated = 1024

func (d *decoder) message(payload []byte, m any) *Error {
	d.b, d.enc = payload, JSON
	encoding := Msgpack
	switch {
	case len(payload) == 0:
		d.b, encoding = emptyMap, JSON
	case payload[0] == '{':
		encoding = JSON
		buf := scratch.Get().(*[]byte)
		defer release(buf)
		var err *Error
		if *buf, err = transcode((*buf)[:0], payload); err != nil {
			return err
		}
		d.b = *buf
	}
	var g guard
	if err := g.scan(d.b); err != nil {
		return err
	}
	d.enc = encoding
	v := reflect.ValueOf(m).Elem()
	return d.fields(v, planOf(v.Type()), d.next(), outermost)
}

// next reads the head of the next item.
func (d *decoder) next() item {
	it := readItem(d.b, d.at)
	d.at = it.end()
	return it
}

// skip passes over one whole value.
func (d *decoder) skip() {
	for left := uint64(1); left > 0; left-- {
		switch it := d.next(); it.form {
		case listForm:
			left += it.n
		case mapForm:
			left += 2 * it.n
		}
	}
}

// fields reads the map it into the struct v.
func (d *decoder) fields(v reflect.Value, p *plan, it item, where place) *Error {
	if it.form != mapForm {
		return mustBe("a map", it)
	}
	var seen, given uint64 // as bits; what is nil was seen, but not given
	i := -1
	for range it.n {
		key := d.next().bytes(d.b)
		var inBase64 bool
		i, inBase64 = d.find(p, key, i+1, where)
		if i < 0 {
			if d.strict {
				return Invalidf(fieldName(key), "is not a field of this message")
			}
			d.skip()
			continue
		}
		if seen&(1<<i) != 0 {
			return Invalidf(fieldName(key), "is given twice")
		}
		seen |= 1 << i
		value := d.next()
		if value.form == nilForm {
			continue
		}
		given |= 1 << i
		var err *Error
		switch {
		case i == opBit: // opName has read it
		case i == base64Bit:
			err = d.setBase64(value)
		case inBase64:
			err = d.unBase64(p.fields[i].at(v), value)
		default:
			err = d.value(&p.fields[i], p.fields[i].at(v), value)
		}
		if err != nil {
			return under(err, fieldName(key))
		}
	}
	if missing := p.required &^ given; d.strict && missing != 0 {
		return Invalidf(p.fields[bits.TrailingZeros64(missing)].name, "is required")
	}
	return nil
}

// find returns the field that a key names, as its bit, or -1; and whether it
// has the field's bytes in base64.
func (d *decoder) find(p *plan, key []byte, from int, where place) (i int, inBase64 bool) {
	if i := p.find(key, from); i >= 0 && (where == outermost || !p.fields[i].top) {
		return i, false
	}
	if where == inOps && string(key) == "op" {
		return opBit, false
	}
	if d.enc == Msgpack {
		return -1, false
	}
	if where == outermost && d.strict && string(key) == "base64" {
		return base64Bit, false
	}
	if name, ok := bytes.CutSuffix(key, []byte(base64Suffix)); ok {
		if i := p.find(name, from); i >= 0 && p.fields[i].shape == aBlob {
			return i, true
		}
	}
	return -1, false
}

func (d *decoder) setBase64(it item) *Error {
	if it.form != boolForm {
		return mustBe("a boolean", it)
	}
	if it.n == 1 {
		d.enc = JSONBase64
	}
	return nil
}

func (d *decoder) unBase64(v reflect.Value, it item) *Error {
	if it.form != strForm {
		return mustBe("a string", it)
	}
	text := it.bytes(d.b)
	data := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(data, text)
	if err != nil || bytes.ContainsAny(text, "\r\n") { // which Decode skips
		return Invalidf("", "is not base64 with padding")
	}
	v.SetBytes(data[:n])
	return nil
}

// value reads the item it into the field f of a struct, which is v. Its errors
// leave the field's name to the caller.
func (d *decoder) value(f *field, v reflect.Value, it item) *Error {
	if f.max > 0 && (it.form == listForm || it.form == mapForm) && it.n > uint64(f.max) {
		e := Errorf(TooLarge, "over the limit of %d elements", f.max)
		e.Limit = int64(f.max)
		return e
	}
	if f.shape >= aTextList {
		return d.list(f, v, it)
	}
	if f.pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch f.shape {
	case aText:
		if it.form != strForm {
			return mustBe("a string", it)
		}
		v.SetString(string(it.bytes(d.b)))
	case aBlob:
		if it.form != binForm && it.form != strForm {
			return mustBe("bytes or a string", it)
		}
		v.SetBytes(bytes.Clone(it.bytes(d.b)))
	case aFlag:
		if it.form != boolForm {
			return mustBe("a boolean", it)
		}
		v.SetBool(it.n == 1)
	case anInt, aUint:
		return d.number(f, v, it)
	case aMap:
		return d.fields(v, f.fields, it, nested)
	case aTextMap:
		return d.textMap(v, it)
	}
	return nil
}

func (d *decoder) number(f *field, v reflect.Value, it item) *Error {
	var zero, ok bool
	if f.shape == anInt {
		var n int64
		n, ok = it.int64()
		v.SetInt(n)
		zero = n == 0
	} else {
		var n uint64
		n, ok = it.uint64()
		v.SetUint(n)
		zero = n == 0
	}
	switch {
	case !ok && it.form == floatForm:
		return Invalidf("", "must be a whole number, and below 2^53 where it is a float")
	case !ok && (it.form == uintForm || it.form == intForm):
		return Invalidf("", "is out of range")
	case !ok:
		return mustBe("an integer", it)
	case zero && f.nonzero && d.strict:
		return Invalidf("", "must not be 0")
	}
	return nil
}

// textMap reads a map[string]string.
func (d *decoder) textMap(v reflect.Value, it item) *Error {
	if it.form != mapForm {
		return mustBe("a map", it)
	}
	m := make(map[string]string, min(it.n, preallocated))
	for range it.n {
		key := string(d.next().bytes(d.b))
		value := d.next()
		if value.form != strForm {
			return under(mustBe("a string", value), fieldName([]byte(key)))
		}
		if _, twice := m[key]; twice {
			return Invalidf(fieldName([]byte(key)), "is given twice")
		}
		m[key] = string(value.bytes(d.b))
	}
	v.Set(reflect.ValueOf(m))
	return nil
}

// list reads a list, whose elements must not be nil.
func (d *decoder) list(f *field, v reflect.Value, it item) *Error {
	if it.form != listForm {
		return mustBe("a list", it)
	}
	if f.shape != aReplyList {
		v.Set(reflect.MakeSlice(v.Type(), 0, int(min(it.n, preallocated))))
	} else if it.n > uint64(v.Len()) {
		return Invalidf("", "has %d elements, but %d are expected", it.n, v.Len())
	}
	for i := range int(it.n) {
		if i == v.Cap() {
			v.Grow(1)
		}
		if i == v.Len() {
			v.SetLen(i + 1)
		}
		if err := d.element(f, v.Index(i), d.next()); err != nil {
			return err.Within("", i)
		}
	}
	return nil
}

func (d *decoder) element(f *field, v reflect.Value, it item) *Error {
	switch f.shape {
	case aTextList:
		if it.form != strForm {
			return mustBe("a string", it)
		}
		v.SetString(string(it.bytes(d.b)))
		return nil
	case anOpList:
		return d.op(v, it)
	case aReplyList:
		v = v.Elem().Elem()
		return d.fields(v, planOf(v.Type()), it, nested)
	}
	if f.pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	return d.fields(v, f.fields, it, nested)
}

// op reads a command: a map that says with "op" which one it is.
func (d *decoder) op(v reflect.Value, it item) *Error {
	if it.form != mapForm {
		return mustBe("a map", it)
	}
	name, err := d.opName(it)
	if err != nil {
		return err
	}
	c := newOp(string(name))
	if c == nil {
		return Invalidf("op", "is %s, which no list of ops takes", fieldName(name))
	}
	*v.Addr().Interface().(*Command) = c
	v = reflect.ValueOf(c).Elem()
	return d.fields(v, planOf(v.Type()), it, inOps)
}

// opName looks ahead in the map it for the value of "op".
func (d *decoder) opName(it item) ([]byte, *Error) {
	defer func(at int) { d.at = at }(d.at)
	for range it.n {
		if key := d.next(); string(key.bytes(d.b)) != "op" {
			d.skip()
			continue
		}
		op := d.next()
		if op.form != strForm {
			return nil, under(mustBe("a string", op), "op")
		}
		return op.bytes(d.b), nil
	}
	return nil, Invalidf("op", "is required")
}

// mustBe says that an item is of another form than the field wants.
func mustBe(what string, it item) *Error {
	return Invalidf("", "must be %s, not %s", what, it.form)
}
