package contract

import (
	"reflect"
	"strings"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// role is where a message stands, which decides over its name and fields.
type role uint8

const (
	asRequest role = iota
	asReply        // replies and events; what they consist of
	asPart         // what requests consist of
	asOp           // a command in a batch
	asResult       // a reply in that of a batch
)

// message is a type of the contract. It has fields, or is one of others.
type message struct {
	name   string
	doc    string
	typ    reflect.Type
	role   role
	fields []field
	oneOf  []*message
	bound  string // the field that the subject may carry instead; or ""
}

// field is a field of a message.
type field struct {
	codec.Field
	note
	must bool     // it is always there
	of   *message // what it holds, or what the elements of its list are
}

// strict says that the store refuses what it does not know here.
func (m *message) strict() bool { return m.role != asReply && m.role != asResult }

var (
	refusalType = reflect.TypeFor[codec.Error]()
	bytesType   = reflect.TypeFor[[]byte]()
	textsType   = reflect.TypeFor[[]string]()
	textMapType = reflect.TypeFor[map[string]string]()
	opsType     = reflect.TypeFor[[]codec.Command]()
	repliesType = reflect.TypeFor[[]codec.Reply]()
)

// message describes a type in its role, once.
func (d *document) message(t reflect.Type, r role) *message {
	name := messageName(t, r)
	if m := d.byName[name]; m != nil {
		return m
	}
	m := &message{name: name, typ: t, role: r, doc: sentences[name]}
	d.byName[name] = m
	if r == asOp {
		m.fields = append(m.fields, field{Field: codec.Field{Name: "op", Type: reflect.TypeFor[string]()}, must: true})
	}
	for _, f := range codec.Fields(t) {
		if f.Top && r == asResult || r == asOp && f.Name == notInBatches {
			continue
		}
		m.fields = append(m.fields, field{Field: f, note: noteOf(t, f.Name), must: !f.Optional, of: d.holds(f.Type, m)})
	}
	d.messages = append(d.messages, m)
	return m
}

// notInBatches is the field that the commands in a batch do not have.
const notInBatches = "return_previous"

func messageName(t reflect.Type, r role) string {
	switch {
	case r == asRequest:
		return t.Name() + "Request"
	case r == asOp:
		return t.Name() + "Op"
	case r == asResult:
		return strings.TrimSuffix(t.Name(), "Reply") + "Result"
	case t == refusalType:
		return "ErrorReply"
	}
	return t.Name()
}

// holds describes what a field of m holds, or its elements; nil if that is no
// message.
func (d *document) holds(t reflect.Type, m *message) *message {
	switch t {
	case opsType:
		return d.ops()
	case repliesType:
		return d.results()
	case bytesType:
		return nil
	}
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	if m.strict() {
		return d.message(t, asPart)
	}
	return d.message(t, asReply)
}

// ops describes what a batch takes: one of several commands.
func (d *document) ops() *message {
	return d.union("Op", asOp, func(op codec.Command) *message {
		m := d.message(reflect.TypeOf(op).Elem(), asOp)
		m.doc = "The command `" + op.Op() + "` in a batch."
		m.fields[0].note = note{doc: "Which command it is.", values: []string{op.Op()}}
		return m
	})
}

// results describes what a batch answers for each op.
func (d *document) results() *message {
	return d.union("Result", asResult, func(op codec.Command) *message {
		m := d.message(reflect.TypeOf(op.NewReply()).Elem(), asResult)
		m.doc = "What `" + op.Op() + "` gave in a batch."
		return m
	})
}

func (d *document) union(name string, r role, each func(codec.Command) *message) *message {
	if m := d.byName[name]; m != nil {
		return m
	}
	m := &message{name: name, role: r, doc: sentences[name]}
	d.byName[name] = m
	for _, info := range subjects.All() {
		if op := codec.NewOp(info.Subject); op != nil {
			m.oneOf = append(m.oneOf, each(op))
		}
	}
	d.messages = append(d.messages, m)
	return m
}

// bind notes which field the subject of a request may carry.
func (m *message) bind(form subjects.Form) {
	for _, f := range m.fields {
		if f.must && f.Name == carried(form) {
			m.bound = f.Name
		}
	}
}
