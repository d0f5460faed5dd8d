package codec

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestFields: the description of a message names its fields as they are
// written, in their order, and says which of them may be missing.
func TestFields(t *testing.T) {
	for _, m := range samples() {
		fields := Fields(reflect.TypeOf(m).Elem())
		empty := reflect.New(reflect.TypeOf(m).Elem()).Interface()
		for _, c := range []struct {
			m       any
			missing func(Field) bool
		}{
			{m, func(f Field) bool { return f.Optional && fieldOf(m, f).IsZero() }},
			{empty, func(f Field) bool { return f.Optional }},
		} {
			var want []string
			for _, f := range fields {
				if !c.missing(f) {
					want = append(want, f.Name)
				}
			}
			if got := jsonNames(t, Append(nil, JSON, c.m)); !slices.Equal(got, want) {
				t.Errorf("%T is written with %q, described with %q", c.m, got, want)
			}
		}
	}
}

// fieldOf is the value of a field, found without its plan.
func fieldOf(m any, f Field) reflect.Value {
	v := reflect.ValueOf(m).Elem()
	for _, sf := range reflect.VisibleFields(v.Type()) {
		if name, _, _ := strings.Cut(sf.Tag.Get("wire"), ","); name == f.Name {
			return v.FieldByIndex(sf.Index)
		}
	}
	return reflect.Value{}
}

// jsonNames lists the outermost names in an object, those of bytes in base64
// without the suffix.
func jsonNames(t *testing.T, object []byte) (names []string) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, strings.TrimSuffix(name.(string), base64Suffix))
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// TestFieldsOfTags: what a plan knows beside names is passed on.
func TestFieldsOfTags(t *testing.T) {
	byName := make(map[string]Field)
	for _, m := range []any{Increment{}, BatchGet{}, SetReply{}} {
		for _, f := range Fields(reflect.TypeOf(m)) {
			byName[f.Name] = f
		}
	}
	if !byName["by"].NonZero || byName["key"].NonZero || byName["keys"].Max != MaxKeys || !byName["epoch"].Top || byName["created"].Top {
		t.Errorf("%+v", byName)
	}
	if got := byName["previous"].Type; got != reflect.TypeFor[*Entry]() {
		t.Errorf("previous is a %v", got)
	}
}

func TestNewOp(t *testing.T) {
	if _, ok := NewOp("kv.set").(*Set); !ok {
		t.Error("kv.set is an op of a batch")
	}
	for _, op := range []string{"kv.clear", "svc.heartbeat", "batch.apply", "kv.get", ""} {
		if c := NewOp(op); c != nil {
			t.Errorf("%q is an op of a batch: %T", op, c)
		}
	}
}
