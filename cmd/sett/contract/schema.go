package contract

import (
	"encoding/base64"
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/settkv/sett/codec"
)

// schemas writes messages as JSON Schema. What it says holds for 2020-12 and
// for the draft that AsyncAPI is based on.
type schemas struct {
	refs     string // where the others are: "#/$defs/"
	siblings bool   // whether something may stand beside a $ref
}

const schemaAbout = `The messages of sett in JSON; in msgpack they are the same maps, with the bytes of a value as bin (or str) ` +
	`under its own name, and never under *_base64. Lengths count characters here and bytes (of UTF-8) in the store, ` +
	`whose limits the descriptions tell. null means the same as leaving a field out. ` +
	`In a request unknown fields are refused; readers of replies and events ignore fields that they do not know.`

// schema is the bundle in JSON Schema.
func (d *document) schema() ([]byte, error) {
	s := schemas{refs: "#/$defs/", siblings: true}
	return toJSON(newObject().
		set("$schema", "https://json-schema.org/draft/2020-12/schema").
		set("title", "The contract of sett, version "+Version).
		set("description", schemaAbout).
		set("$defs", s.all(d)), "  ")
}

// all writes every message. A request whose subject may carry a field has two:
// one for either form.
func (s schemas) all(d *document) *object {
	defs := newObject()
	for _, m := range d.messages {
		if m.bound == "" {
			defs.set(m.name, s.message(m))
			continue
		}
		short := m.behind()
		defs.set(m.name, newObject().set("description", plainText(m.doc)).
			set("allOf", list{s.ref(short), newObject().set("required", list{m.bound})}))
		defs.set(short.name, s.message(short))
	}
	return defs
}

// behind is the request as it is where its subject carries a field.
func (m *message) behind() *message {
	if m.bound == "" {
		return m
	}
	short := *m
	short.name += "Behind"
	short.doc = fmt.Sprintf("%s The %s stands behind the subject, and need not be said again.", m.doc, m.bound)
	short.bound = ""
	short.fields = slices.Clone(m.fields)
	for i := range short.fields {
		f := &short.fields[i]
		f.must = f.must && f.Name != m.bound
	}
	return &short
}

func (s schemas) message(m *message) *object {
	o := newObject().set("description", plainText(m.doc))
	if m.oneOf != nil {
		var all list
		for _, one := range m.oneOf {
			all = append(all, s.ref(one))
		}
		if m.strict() {
			return o.set("oneOf", all)
		}
		return o.set("anyOf", all) // of results, which differ in what an op gave
	}
	properties, required, rules := newObject(), list{}, list{}
	for i := range m.fields {
		f := &m.fields[i]
		if f.Type == bytesType {
			rules = append(rules, s.bytes(properties, m, f))
			continue
		}
		properties.set(f.Name, s.field(m, f))
		if f.must {
			required = append(required, f.Name)
		}
	}
	if m.role == asRequest {
		properties.set("base64", newObject().set("type", "boolean").set("description", plainText(base64Doc)))
	}
	if m.strict() {
		rules = append(rules, between[m.typ.Name()]...)
	}
	return o.set("type", "object").
		set("properties", properties).
		setIf(len(required) > 0, "required", required).
		set("additionalProperties", !m.strict()).
		setIf(len(rules) > 0, "allOf", rules)
}

const base64Doc = "In JSON: answer with `value_base64` instead of `value`, also where the bytes are text."

// bytes adds the two properties that a field of bytes has in JSON, and returns
// the rule about them.
func (s schemas) bytes(properties *object, m *message, f *field) *object {
	encoded := f.Name + "_base64"
	text := newObject().set("type", "string")
	coded := newObject().set("type", "string").set("contentEncoding", "base64")
	if m.strict() {
		text.set("maxLength", f.most)
		coded.set("maxLength", base64.StdEncoding.EncodedLen(int(f.most)))
	}
	properties.set(f.Name, text.set("description", plainText(describe(m, f)+" In JSON where the bytes are UTF-8.")))
	properties.set(encoded, coded.set("description", "The same in base64, with padding, instead."))
	if f.must {
		return newObject().set("oneOf", list{needs(f.Name), needs(encoded)})
	}
	return notBoth(f.Name, encoded)
}

// between are the rules between the fields of a message, by its Go name.
var between = map[string]list{
	"Set":        {keepsOrSets},
	"Condition":  {keyOrInstance},
	"Register":   {idOrAddress},
	"List":       {notBoth("after", "cursor")},
	"GetService": {notBoth("pick", "cursor"), together("pick_key", "pick", codec.PickRendezvous)},
}

// keyOrInstance says that a condition is about a key, or about a name and id.
// An empty text is as none.
var keyOrInstance = newObject().set("oneOf", list{
	needs("key").set("properties", newObject().set("key", someText).set("name", noText).set("id", noText)),
	needs("name", "id").set("properties", newObject().set("name", someText).set("id", someText).set("key", noText)),
})

// idOrAddress says that an id is given, or what it is made of.
var idOrAddress = newObject().set("anyOf", list{
	needs("id").set("properties", newObject().set("id", someText)),
	needs("address", "port").set("properties", newObject().
		set("address", newObject().set("minLength", 1).set("pattern", noSlashes)).
		set("port", newObject().set("minimum", 1))),
})

var (
	someText = newObject().set("minLength", 1)
	noText   = newObject().set("maxLength", 0)
)

func needs(fields ...string) *object { return newObject().set("required", fields) }

// keepsOrSets says that keep_ttl does not go with ttl_ms.
var keepsOrSets = newObject().set("not", needs("keep_ttl", "ttl_ms").set("properties", newObject().
	set("keep_ttl", newObject().set("const", true)).
	set("ttl_ms", newObject().set("exclusiveMinimum", 0))))

// together says that a field is there exactly if another has this value.
func together(field, other, value string) *object {
	has := needs(other).set("properties", newObject().set(other, newObject().set("const", value)))
	given := needs(field)
	return newObject().set("oneOf", list{
		newObject().set("allOf", list{given, has}),
		newObject().set("not", newObject().set("anyOf", list{given, has})),
	})
}

func notBoth(x, y string) *object {
	return newObject().set("not", needs(x, y))
}

// ref refers to a message.
func (s schemas) ref(m *message) *object { return newObject().set("$ref", s.refs+m.name) }

func (s schemas) field(m *message, f *field) *object {
	limited := m.strict()
	about := plainText(describe(m, f))
	if f.of != nil && f.Type.Kind() != reflect.Slice {
		return s.ref(f.of).setIf(s.siblings, "description", about)
	}
	o := newObject().set("type", typeName(f.Type)).set("description", about)
	switch f.Type {
	case textsType:
		item := newObject().set("type", "string")
		s.text(item, f, limited)
		o.set("items", item)
	case textMapType:
		o.setIf(limited, "propertyNames", s.text(newObject(), f, limited))
		value := newObject().set("type", "string")
		o.set("additionalProperties", value.setIf(limited, "maxLength", f.mostValue).setIf(limited, "pattern", noControls))
		return o.setIf(limited && f.Max > 0, "maxProperties", f.Max)
	}
	switch typeName(f.Type) {
	case "integer":
		s.number(o, f, limited)
	case "string":
		s.text(o, f, limited)
	case "array":
		if f.of != nil {
			o.set("items", s.ref(f.of))
		}
		o.setIf(limited && f.must, "minItems", 1).setIf(limited && f.Max > 0, "maxItems", f.Max)
	}
	return o
}

// typeName is JSON's for a type of Go.
func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int64, reflect.Uint64:
		return "integer"
	case reflect.Slice:
		return "array"
	}
	return "object"
}

// Patterns of texts in requests, as every dialect of expressions reads them.
const (
	noControls = `^[^\x00-\x1f\x7f-\x9f]*$`
	noSlashes  = `^[^/\x00-\x1f\x7f-\x9f]*$`
)

// text writes the limits of a text.
func (s schemas) text(o *object, f *field, limited bool) *object {
	switch {
	case !limited:
	case len(f.values) == 1:
		o.set("const", f.values[0])
	case f.values != nil:
		o.set("enum", f.values)
	default:
		o.setIf(f.least > 0, "minLength", f.least)
		o.set("maxLength", f.most)
		if f.noSlash {
			return o.set("pattern", noSlashes)
		}
		o.set("pattern", noControls)
	}
	return o
}

// number writes the limits of a number.
func (s schemas) number(o *object, f *field, limited bool) {
	unsigned := f.Type.Kind() == reflect.Uint64 || f.Type == reflect.TypeFor[*uint64]()
	switch {
	case unsigned && !limited:
		o.set("minimum", 0)
	case unsigned:
		o.set("minimum", 0).set("maximum", uint64(math.MaxUint64))
	case limited && f.most == 0:
		o.set("minimum", int64(math.MinInt64)).set("maximum", int64(math.MaxInt64))
	case limited && f.orZero:
		o.set("minimum", 0).set("maximum", f.most).
			set("not", newObject().set("exclusiveMinimum", 0).set("exclusiveMaximum", f.least))
	case limited:
		o.set("minimum", f.least).set("maximum", f.most)
	}
	o.setIf(limited && f.NonZero, "not", newObject().set("const", 0))
}

// codes lists the refusals of an endpoint: its own, and those of any.
func (e *endpoint) codes() (own, any []codec.Code) {
	isOwn := make(map[codec.Code]bool)
	for _, c := range e.Codes {
		isOwn[c] = true
	}
	for _, c := range codec.Codes() {
		switch {
		case isOwn[c]:
			own = append(own, c)
		case c != codec.NotFound && c != codec.Conflict:
			any = append(any, c)
		}
	}
	return own, any
}
