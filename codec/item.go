package codec

import (
	"math"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// form is what a msgpack item is, whatever its width.
type form uint8

const (
	badForm   form = iota // not msgpack, or cut short
	nilForm               // nil, or msgpackr's undefined
	boolForm              // n is 0 or 1
	uintForm              // n is the number, never negative
	intForm               // n has the bits of a negative int64
	floatForm             // n has the bits of a float64
	strForm               // n bytes follow
	binForm               // n bytes follow
	listForm              // n items follow
	mapForm               // n pairs of items follow
	extForm               // an extension type that we do not take
)

// String names the form in an error.
func (f form) String() string {
	return [...]string{
		"unreadable", "nil", "a boolean", "an integer", "an integer", "a float",
		"a string", "bytes", "a list", "a map", "an extension type",
	}[f]
}

// item is the head of one msgpack item.
type item struct {
	form form
	at   int // behind the head, where the content begins
	n    uint64
}

// end is where the next item begins. Maps and lists end at their first item.
func (it item) end() int {
	if it.form == strForm || it.form == binForm {
		return it.at + int(it.n)
	}
	return it.at
}

// bytes is the content of a string or of bytes. It aliases b.
func (it item) bytes(b []byte) []byte { return b[it.at:it.end()] }

// int64 is the number as a signed integer, if it is one.
func (it item) int64() (int64, bool) {
	switch it.form {
	case uintForm:
		return int64(it.n), it.n <= math.MaxInt64
	case intForm:
		return int64(it.n), true
	case floatForm:
		return wholeFloat(it.n)
	}
	return 0, false
}

// uint64 is the number as an unsigned integer, if it is one.
func (it item) uint64() (uint64, bool) {
	if it.form == uintForm {
		return it.n, true
	}
	n, ok := it.int64()
	return uint64(n), ok && n >= 0
}

// wholeFloat takes a float for an integer where it surely is the one that was
// meant: beyond 2^53 neighbours can no longer be told apart.
func wholeFloat(bits uint64) (int64, bool) {
	f := math.Float64frombits(bits)
	return int64(f), f == math.Trunc(f) && math.Abs(f) < 1<<53
}

// readItem reads the head of the item at b[at]. An item that does not fit into
// b is bad, so that no length needs to be checked twice.
func readItem(b []byte, at int) item {
	if at >= len(b) {
		return item{}
	}
	h := heads[b[at]]
	at++
	if len(b)-at < int(h.width) {
		return item{}
	}
	it := item{h.form, at + int(h.width), uint64(int64(h.n))}
	for _, c := range b[at:it.at] {
		it.n = it.n<<8 | uint64(c)
	}
	left := uint64(len(b) - it.at)
	switch it.form {
	case strForm, binForm, listForm:
		if it.n > left {
			return item{}
		}
	case mapForm:
		if it.n > left/2 {
			return item{}
		}
	case intForm:
		if h.width == 0 {
			break // the first byte has it all, sign included
		}
		unused := 64 - 8*h.width
		if it.n = uint64(int64(it.n<<unused) >> unused); int64(it.n) >= 0 {
			it.form = uintForm
		}
	case floatForm:
		if h.width == 4 {
			it.n = math.Float64bits(float64(math.Float32frombits(uint32(it.n))))
		}
	case extForm:
		if b[at-1] == msgpcode.FixExt1 && left >= 2 && b[at] == 0 && b[at+1] == 0 {
			return item{nilForm, at + 2, 0}
		}
	}
	return it
}

// head is what the first byte of an item tells: its form, and its number or
// the width of the big-endian number that follows.
type head struct {
	form  form
	width uint8
	n     int8
}

var heads = func() (t [256]head) {
	for c := range 256 {
		b := byte(c)
		switch {
		case b <= msgpcode.PosFixedNumHigh:
			t[c] = head{uintForm, 0, int8(b)}
		case msgpcode.IsFixedMap(b):
			t[c] = head{mapForm, 0, int8(b & msgpcode.FixedMapMask)}
		case msgpcode.IsFixedArray(b):
			t[c] = head{listForm, 0, int8(b & msgpcode.FixedArrayMask)}
		case msgpcode.IsFixedString(b):
			t[c] = head{strForm, 0, int8(b & msgpcode.FixedStrMask)}
		case b >= msgpcode.NegFixedNumLow:
			t[c] = head{intForm, 0, int8(b)}
		case msgpcode.IsExt(b):
			t[c] = head{form: extForm}
		}
	}
	t[msgpcode.Nil] = head{form: nilForm}
	t[msgpcode.False] = head{boolForm, 0, 0}
	t[msgpcode.True] = head{boolForm, 0, 1}
	for i := range byte(4) { // widths 1, 2, 4 and 8
		t[msgpcode.Uint8+i] = head{form: uintForm, width: 1 << i}
		t[msgpcode.Int8+i] = head{form: intForm, width: 1 << i}
	}
	for i := range byte(3) { // widths 1, 2 and 4
		t[msgpcode.Bin8+i] = head{form: binForm, width: 1 << i}
		t[msgpcode.Str8+i] = head{form: strForm, width: 1 << i}
	}
	for i := range byte(2) {
		t[msgpcode.Array16+i] = head{form: listForm, width: 2 << i}
		t[msgpcode.Map16+i] = head{form: mapForm, width: 2 << i}
		t[msgpcode.Float+i] = head{form: floatForm, width: 4 << i}
	}
	return t
}()
