package codec

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// What JavaScript's two msgpack libraries make of the same messages.
func TestJavaScript(t *testing.T) {
	for name, want := range map[string]any{
		"set_text":   &Set{Key: "config/host", Value: []byte("10.0.0.1"), TTLMs: 30000},
		"set_bytes":  &Set{Key: "config/host", Value: []byte{0, 1, 254, 255}, KeepTTL: true, IfRevision: Revision(0)},
		"set_null":   &Set{Key: "config/host", Value: []byte("héllo")},
		"set_big":    &Set{Key: "k", Value: []byte{}, TTLMs: 5e9, IfRevision: Revision(1<<53 - 1)},
		"set_bigint": &Set{Key: "k", Value: []byte{}, IfRevision: Revision(1<<64 - 1)},
		"batch": &Batch{
			Ops: []Command{&Set{Key: "a", Value: []byte("x")}, &Delete{Key: "b"}},
			If:  []Condition{{Key: "c", Revision: Revision(0)}},
		},
		"register": &Register{
			Name: "web", Address: "10.0.0.1", Port: 8080, Tags: []string{"a", "b"},
			Meta: map[string]string{"zone": "eu", "value_base64": "x"}, TTLMs: 15000,
		},
	} {
		for _, library := range []string{"msgpack", "msgpackr"} {
			got := reflect.New(reflect.TypeOf(want).Elem()).Interface()
			payload := readHex(t, fmt.Sprintf("js_%s_%s.hex", library, name))
			if _, err := DecodeRequest(payload, got); err != nil {
				t.Errorf("%s of %s: %v", name, library, err)
			} else if !reflect.DeepEqual(got, want) {
				t.Errorf("%s of %s: got %+v, want %+v", name, library, got, want)
			}
		}
	}
}

// readHex reads the bytes of a file in testdata: hexadecimal, with comments.
func readHex(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			digits.WriteString(strings.TrimSpace(line))
		}
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}
