package contract

import (
	"bytes"
	"encoding/json"
)

// object is a JSON object that keeps the order in which its members were set:
// documents are read by people too.
type object struct {
	names  []string
	values []any
}

// list is a JSON list.
type list = []any

// set adds a member and returns the object.
func (o *object) set(name string, value any) *object {
	o.names = append(o.names, name)
	o.values = append(o.values, value)
	return o
}

// setIf adds a member that says something.
func (o *object) setIf(ok bool, name string, value any) *object {
	if ok {
		o.set(name, value)
	}
	return o
}

// MarshalJSON writes the members in their order.
func (o *object) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, name := range o.names {
		if i > 0 {
			b = append(b, ',')
		}
		for j, part := range []any{name, o.values[i]} {
			if j > 0 {
				b = append(b, ':')
			}
			text, err := toJSON(part, "")
			if err != nil {
				return nil, err
			}
			b = append(b, bytes.TrimSuffix(text, []byte{'\n'})...)
		}
	}
	return append(b, '}'), nil
}

// toJSON writes JSON in which < and & stay what they are, with a newline.
func toJSON(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	err := e.Encode(v)
	return b.Bytes(), err
}

func newObject() *object { return &object{} }
