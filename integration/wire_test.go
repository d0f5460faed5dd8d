package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/vmihailenco/msgpack/v5"
)

// obj is a message as a test writes it and reads it.
type obj = map[string]any

// list is a list in a message.
type list = []any

// encoding makes and reads payloads without codec.
type encoding struct {
	name      string
	marshal   func(any) ([]byte, error)
	unmarshal func([]byte) (any, error)
}

// inMsgpack and inJSON are the encodings of the contract.
var (
	inMsgpack = encoding{"msgpack", msgpack.Marshal, func(b []byte) (v any, err error) {
		err = msgpack.Unmarshal(b, &v)
		return v, err
	}}
	inJSON = encoding{"json", json.Marshal, func(b []byte) (v any, err error) {
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		err = d.Decode(&v)
		return v, err
	}}
)

// encodings are both of them.
var encodings = []encoding{inMsgpack, inJSON}

// payload encodes a message, and fails the test where that does not go.
func (e encoding) payload(t testing.TB, message any) []byte {
	t.Helper()
	b, err := e.marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// encodingOf is the encoding that a payload is in.
func encodingOf(payload []byte) encoding {
	if len(payload) > 0 && payload[0] == '{' {
		return inJSON
	}
	return inMsgpack
}

// decode reads a message in either encoding: numbers as int64 where they are
// whole, bytes as string, everything else as the library has it.
func decode(payload []byte) (obj, error) {
	v, err := encodingOf(payload).unmarshal(payload)
	if err != nil {
		return nil, fmt.Errorf("%w in %q", err, clip(payload))
	}
	m, ok := plainly(v).(obj)
	if !ok {
		return nil, fmt.Errorf("%q is no map", clip(payload))
	}
	return m, nil
}

// clip keeps what is printed of a payload short.
func clip(payload []byte) string {
	const most = 300
	if len(payload) > most {
		return string(payload[:most]) + "..."
	}
	return string(payload)
}

// plainly makes the forms of both libraries the same.
func plainly(v any) any {
	switch v := v.(type) {
	case obj:
		for key := range v {
			v[key] = plainly(v[key])
		}
		return v
	case list:
		for i := range v {
			v[i] = plainly(v[i])
		}
		return v
	case []byte:
		return string(v)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		return v.String()
	}
	r := reflect.ValueOf(v)
	switch {
	case r.CanInt():
		return r.Int()
	case r.CanUint() && r.Uint() <= math.MaxInt64:
		return int64(r.Uint())
	}
	return v
}

// answer is a reply as it came.
type answer struct {
	header nats.Header
	raw    []byte
	fields obj
}

// refused says that the answer is an error.
func (a answer) refused() bool { return a.header.Get("Nats-Service-Error-Code") != "" }

// int is an integer field of the answer, or -1.
func (a answer) int(name string) int64 {
	if n, ok := a.fields[name].(int64); ok {
		return n
	}
	return -1
}

// request sends a payload and reads whatever comes back.
func request(nc *nats.Conn, subject string, payload []byte, header nats.Header) (answer, error) {
	m, err := nc.RequestMsg(&nats.Msg{Subject: subject, Data: payload, Header: header}, patience)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", subject, err)
	}
	fields, err := decode(m.Data)
	if err != nil {
		return answer{}, fmt.Errorf("%s: the reply cannot be read: %w", subject, err)
	}
	return answer{m.Header, m.Data, fields}, nil
}

// ask sends a payload and must get an answer.
func ask(t testing.TB, nc *nats.Conn, subject string, payload []byte) answer {
	t.Helper()
	return askWith(t, nc, subject, payload, nil)
}

// askWith is ask with headers.
func askWith(t testing.TB, nc *nats.Conn, subject string, payload []byte, header nats.Header) answer {
	t.Helper()
	a, err := request(nc, subject, payload, header)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// must sends a message in JSON, or literal JSON, and must get a success.
func must(t testing.TB, nc *nats.Conn, subject string, message any) obj {
	t.Helper()
	payload, ok := message.(string)
	if !ok {
		payload = string(inJSON.payload(t, message))
	}
	a := ask(t, nc, subject, []byte(payload))
	if a.refused() {
		t.Fatalf("%s %s: %s", subject, clip([]byte(payload)), a.raw)
	}
	return a.fields
}

// set stores a value and returns the revision.
func set(t testing.TB, nc *nats.Conn, key, value string) int64 {
	t.Helper()
	return must(t, nc, "kv.set", obj{"key": key, "value": value})["revision"].(int64)
}

// get reads a value; ok is false where there is no such key.
func get(t testing.TB, nc *nats.Conn, key string) (value string, revision int64, ok bool) {
	t.Helper()
	a := ask(t, nc, "kv.get", inJSON.payload(t, obj{"key": key}))
	if a.refused() {
		if a.fields["code"] != "not_found" {
			t.Fatalf("kv.get %s: %s", key, a.raw)
		}
		return "", 0, false
	}
	return a.fields["value"].(string), a.int("revision"), true
}

// mustRefuse asks and must get an error of a code about a field; an empty
// field is not looked at.
func mustRefuse(t testing.TB, nc *nats.Conn, subject string, payload []byte, code, field string) answer {
	t.Helper()
	a := ask(t, nc, subject, payload)
	if err := checkError(a, code); err != nil {
		t.Errorf("%s %q: %v", subject, clip(payload), err)
	} else if got, _ := a.fields["field"].(string); field != "" && !strings.HasPrefix(got, field) {
		t.Errorf("%s %q: the field is %q, not %q: %s", subject, clip(payload), got, field, a.raw)
	}
	return a
}

// statuses are the header's numbers of the codes, written out once more.
var statuses = map[string]string{
	"invalid": "400", "not_found": "404", "conflict": "409", "too_large": "413",
	"overloaded": "429", "unavailable": "503", "internal": "500",
}

// checkError checks what every error reply has, beside its details.
func checkError(a answer, code string) error {
	message, _ := a.fields["message"].(string)
	temporary := code == "overloaded" || code == "unavailable"
	_, hasRevision := a.fields["store_revision"].(int64)
	switch {
	case a.fields["code"] != code:
		return fmt.Errorf("it answers %s, not %s", clip(a.raw), code)
	case a.header.Get("Nats-Service-Error-Code") != statuses[code]:
		return fmt.Errorf("the status in the header is %q, not %s", a.header.Get("Nats-Service-Error-Code"), statuses[code])
	case a.header.Get("Nats-Service-Error") == "":
		return fmt.Errorf("there is no Nats-Service-Error in the header")
	case message == "":
		return fmt.Errorf("there is no message in %s", a.raw)
	case a.fields["temporary"] != temporary:
		return fmt.Errorf("temporary is %v in %s", a.fields["temporary"], a.raw)
	case !hasRevision || a.int("epoch") <= 0:
		return fmt.Errorf("no store_revision and epoch in %s", a.raw)
	}
	return nil
}
