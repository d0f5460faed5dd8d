package codec

import "reflect"

// Field describes a field of a message, for documents about the contract.
type Field struct {
	Name     string
	Type     reflect.Type // of Go; pointers are only for what may be absent
	Optional bool         // not on the wire while it is zero or empty
	NonZero  bool         // a request must not say 0
	Top      bool         // in the outermost map of a message only
	Max      int          // the most elements of a list or map; 0: no limit of its own
}

// Fields describes the fields of a message type in the order in which they are
// written. It reads the plan that messages are encoded and decoded by, so it
// says what goes over the wire.
func Fields(message reflect.Type) []Field {
	p := planOf(message)
	all := make([]Field, len(p.fields))
	for i := range p.fields {
		f := &p.fields[i]
		all[i] = Field{
			Name: f.name, Type: message.FieldByIndex(f.index).Type,
			Optional: f.omitempty, NonZero: f.nonzero, Top: f.top, Max: f.max,
		}
	}
	return all
}

// NewOp returns an empty command for an op of a batch, or nil where a batch
// does not take it.
func NewOp(op string) Command { return newOp(op) }
