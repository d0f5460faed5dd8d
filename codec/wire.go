package codec

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// Encoding is the form of a payload. A payload that begins with "{" is JSON,
// any other msgpack; a reply speaks as its request did.
type Encoding uint8

// Encodings. They carry the same maps with the same field names and differ in
// how bytes are written: msgpack has a type for them; JSON has them as a text
// where they are UTF-8 and not longer that way, and in base64 under
// "<name>_base64" otherwise, which JSONBase64 does always.
const (
	Msgpack Encoding = iota
	JSON
	JSONBase64
)

// base64Suffix ends the name of a field whose bytes stand there in base64.
const base64Suffix = "_base64"

// shape is how the value of a field is read and written.
type shape uint8

const (
	aText      shape = iota // string
	aBlob                   // []byte
	aFlag                   // bool
	anInt                   // int64
	aUint                   // uint64
	aMap                    // a struct
	aTextMap                // map[string]string
	aTextList               // []string; what follows are lists too
	aMapList                // a slice of structs or of pointers to them
	anOpList                // []Command
	aReplyList              // []Reply
)

// plan is how a type goes over the wire: its fields, those of embedded structs
// among them, in the order in which they are written.
type plan struct {
	fields   []field
	required uint64 // the fields, as bits, that a request must have
}

// Bits beside those of the fields: of names that are no field of the struct.
const (
	opBit     = 63 // "op", of a command in a list
	base64Bit = 62 // "base64", of a request in JSON
	maxFields = 62
)

// field is one field of a plan, as its tag declares it:
//
//	`wire:"name,option,..."`
//
// The options are
//
//	omitempty  not written while it is zero or empty; bytes: while they are nil
//	required   a request must have it, and not as nil
//	nonzero    a request must not say 0; leaving it out means the default
//	top        on the wire in the outermost map of a message only
//	max=N      a list or map of more elements is too_large
//
// A name of "-" keeps a field off the wire. A pointer is for a field where
// zero and absent differ.
type field struct {
	name    string
	msgKey  []byte // the name in msgpack
	jsonKey []byte // the name in JSON, with the colon
	b64Key  []byte // likewise, of the base64 form
	index   []int
	shape   shape
	pointer bool  // the field is, or the elements of its list are, pointers
	fields  *plan // of a struct, or of the structs in a list
	max     int   // 0: no limit of its own

	omitempty, nonzero, top bool
}

func newField(name string) field {
	msgKey, _ := msgpack.Marshal(name) // a string always goes
	return field{
		name:    name,
		msgKey:  msgKey,
		jsonKey: []byte(`"` + name + `":`),
		b64Key:  []byte(`"` + name + base64Suffix + `":`),
	}
}

// at returns the field in the struct v.
func (f *field) at(v reflect.Value) reflect.Value {
	for _, i := range f.index {
		v = v.Field(i)
	}
	return v
}

// find returns the field of a name, or -1. Senders mostly keep the declared
// order, so the search begins where the last one ended.
func (p *plan) find(name []byte, from int) int {
	for range p.fields {
		if from >= len(p.fields) {
			from = 0
		}
		if p.fields[from].name == string(name) {
			return from
		}
		from++
	}
	return -1
}

var plans sync.Map // of reflect.Type to *plan

// planOf returns the plan of a struct type. It panics where a type cannot be
// planned: that is a mistake in this program, which the first use shows.
func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := &plan{}
	p.add(t, nil)
	if len(p.fields) > maxFields {
		panic(fmt.Sprintf("codec: %v has more than %d fields", t, maxFields))
	}
	stored, _ := plans.LoadOrStore(t, p)
	return stored.(*plan)
}

// add plans the fields of the struct type t, which is embedded at path.
func (p *plan) add(t reflect.Type, path []int) {
	for i := range t.NumField() {
		sf := t.Field(i)
		index := append(slices.Clone(path), i)
		tag, tagged := sf.Tag.Lookup("wire")
		switch {
		case tag == "-":
		case sf.Anonymous && !tagged && sf.Type.Kind() == reflect.Struct:
			p.add(sf.Type, index)
		case !tagged || !sf.IsExported():
			panic(fmt.Sprintf("codec: %v.%s has no wire tag, or is not exported", t, sf.Name))
		default:
			p.addField(t, sf, index, tag)
		}
	}
}

func (p *plan) addField(t reflect.Type, sf reflect.StructField, index []int, tag string) {
	name, options, _ := strings.Cut(tag, ",")
	f := newField(name)
	f.index = index
	ok := f.setType(sf.Type) && name != "" && p.find([]byte(name), 0) < 0
	for option := range strings.SplitSeq(options, ",") {
		limit, isMax := strings.CutPrefix(option, "max=")
		switch {
		case option == "":
		case option == "omitempty":
			f.omitempty = true
		case option == "required":
			p.required |= 1 << len(p.fields)
		case option == "nonzero":
			f.nonzero = true
		case option == "top":
			f.top = true
		case isMax && f.shape >= aTextMap:
			n, err := strconv.Atoi(limit)
			f.max, ok = n, ok && err == nil
		default:
			ok = false
		}
	}
	if !ok {
		panic(fmt.Sprintf("codec: %v.%s cannot go over the wire as %q", t, sf.Name, tag))
	}
	p.fields = append(p.fields, f)
}

// setType plans the field's type. Types must not contain themselves.
func (f *field) setType(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[[]string]():
		f.shape = aTextList
		return true
	case reflect.TypeFor[map[string]string]():
		f.shape = aTextMap
		return true
	case reflect.TypeFor[[]Command]():
		f.shape = anOpList
		return true
	case reflect.TypeFor[[]Reply]():
		f.shape = aReplyList
		return true
	}
	list := t.Kind() == reflect.Slice
	if list && t.Elem().Kind() == reflect.Uint8 {
		f.shape = aBlob
		return true
	}
	if list {
		t = t.Elem()
	}
	if t.Kind() == reflect.Pointer {
		f.pointer, t = true, t.Elem()
	}
	if list {
		f.shape = aMapList
		if t.Kind() != reflect.Struct {
			return false
		}
		f.fields = planOf(t)
		return true
	}
	switch t.Kind() {
	case reflect.String:
		f.shape = aText
	case reflect.Bool:
		f.shape = aFlag
	case reflect.Int64:
		f.shape = anInt
	case reflect.Uint64:
		f.shape = aUint
	case reflect.Struct:
		f.shape, f.fields = aMap, planOf(t)
	default:
		return false
	}
	return true
}
