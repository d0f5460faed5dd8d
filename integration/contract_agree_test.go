package integration

import (
	"encoding/json"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// bundle is the contract as JSON Schema, as the binary prints it.
func bundle(t *testing.T) schemas {
	t.Helper()
	return schemas{named: jsonDocument(t, "schema")["$defs"].(obj), prefix: "#/$defs/"}
}

// definitionOf is the name of a request's schema.
func definitionOf(info *subjects.Info) string { return info.Request.Name() + "Request" }

// examplesOf are the examples of a message in the AsyncAPI document.
func examplesOf(doc obj, message string) (all []obj) {
	m, _ := referred(doc, "#/components/messages/"+message).(obj)
	samples, _ := m["examples"].(list)
	for _, sample := range samples {
		all = append(all, sample.(obj)["payload"].(obj))
	}
	return all
}

// TestContractExamples: each message in the AsyncAPI document that is not in
// msgpack has an example, which its schema takes, in both documents.
func TestContractExamples(t *testing.T) {
	doc, s := jsonDocument(t, "asyncapi"), bundle(t)
	here := schemas{named: referred(doc, "#/components/schemas").(obj), prefix: "#/components/schemas/"}
	for name, m := range referred(doc, "#/components/messages").(obj) {
		samples := examplesOf(doc, name)
		if isJSON := m.(obj)["contentType"] == "application/json"; isJSON != (len(samples) > 0) {
			t.Errorf("%s has %d examples", name, len(samples))
		}
		for _, sample := range samples {
			if wrong := s.check(s.definition(name), sample); wrong != "" {
				t.Errorf("schema: %s does not take its example %v: %s", name, sample, wrong)
			}
			if wrong := here.check(here.definition(name), sample); wrong != "" {
				t.Errorf("asyncapi: %s does not take its example %v: %s", name, sample, wrong)
			}
		}
	}
}

// TestContractAgrees changes every field of every request, to what lies at and
// just beyond its limits and to other types: what the schema takes and what
// the store takes must be the same. So no document has a limit that the store
// does not keep, and the store none that they do not tell.
func TestContractAgrees(t *testing.T) {
	doc, s := jsonDocument(t, "asyncapi"), bundle(t)
	for _, info := range subjects.All() {
		schema := s.definition(definitionOf(info))
		sample := sampleOf(doc, info)
		taken, refused := 0, 0
		for _, request := range s.mutations(t, doc, schema, sample) {
			said := s.check(schema, clone(t, request))
			payload := inJSON.payload(t, request)
			err := storeTakes(info, payload)
			if (said == "") != (err == nil) {
				t.Errorf("%s %s\n schema: %q\n store: %v", info.Subject, clip(payload), said, err)
			}
			if err == nil {
				taken++
			} else {
				refused++
			}
		}
		if taken == 0 || refused == 0 {
			t.Errorf("%s: %d were taken and %d refused: this proves nothing", info.Subject, taken, refused)
		}
	}
}

// sampleOf is the example of a request. That of svc.register gets the id that
// the store would make for it, since no schema knows of such an id's limits.
func sampleOf(doc obj, info *subjects.Info) obj {
	sample := examplesOf(doc, definitionOf(info))[0]
	if info == subjects.SvcRegister.Info {
		sample = with(sample, "id", "10.0.0.5:8080")
	}
	return sample
}

// storeTakes is what the store decides by the request alone.
func storeTakes(info *subjects.Info, payload []byte) error {
	request := reflect.New(info.Request).Interface()
	if _, err := codec.DecodeRequest(payload, request); err != nil {
		return err
	}
	return request.(interface{ Validate() error }).Validate()
}

// mutations are the sample, and what becomes of it by one change.
func (s schemas) mutations(t *testing.T, doc, schema, sample obj) []obj {
	t.Helper()
	all := []obj{sample, with(sample, "nonsense", true)}
	for name := range sample {
		all = append(all, without(sample, name))
	}
	for name, p := range s.properties(schema) {
		if strings.HasSuffix(name, "_base64") {
			plain := strings.TrimSuffix(name, "_base64")
			all = append(all, with(sample, name, "AP8="), with(without(sample, plain), name, "AP8="))
			continue // a text that is no base64 is beyond schemas
		}
		for _, value := range s.edges(t, doc, p.(obj)) {
			all = append(all, with(sample, name, value))
		}
	}
	return all
}

// properties are those of a schema, which may come from another.
func (s schemas) properties(schema obj) obj {
	schema = s.resolve(schema)
	if properties, ok := schema["properties"].(obj); ok {
		return properties
	}
	for _, part := range schema["allOf"].(list) {
		if to := part.(obj); to["$ref"] != nil {
			return s.properties(to)
		}
	}
	return nil
}

func with(message obj, name string, value any) obj {
	message = maps.Clone(message)
	message[name] = value
	return message
}

func without(message obj, name string) obj {
	message = maps.Clone(message)
	delete(message, name)
	return message
}

// edges are values at and beyond what a schema allows, and of other types.
func (s schemas) edges(t *testing.T, doc, schema obj) []any {
	t.Helper()
	schema = s.resolve(schema)
	others := []any{"1", 1, 1.5, true, list{}, list{true}, obj{}}
	switch schema["type"] {
	case "string":
		return append(others, textEdges(t, schema)...)
	case "integer":
		return append(others, numberEdges(t, schema)...)
	case "boolean":
		return append(others, false)
	case "array":
		return append(others, s.listEdges(t, doc, schema)...)
	case "object":
		if values, ok := schema["additionalProperties"].(obj); ok {
			return append(others, s.mapEdges(t, schema, values)...)
		}
	}
	t.Fatalf("there are no edges of %v", schema)
	return nil
}

// textEdges fails where a text has no limit.
func textEdges(t *testing.T, schema obj) []any {
	t.Helper()
	edges := []any{"x", "a/b", "a\nb", "a\u0085b", "é"}
	if one, ok := schema["const"].(string); ok {
		return append(edges, one)
	}
	if values, ok := schema["enum"].(list); ok {
		return append(edges, values...)
	}
	most, least := schema["maxLength"], schema["minLength"]
	if most == nil {
		t.Fatalf("a text without a limit: %v", schema)
	}
	edges = append(edges, strings.Repeat("x", whole(most)), strings.Repeat("x", whole(most)+1))
	if least != nil {
		edges = append(edges, "")
	}
	return edges
}

// numberEdges fails where a number has no limit.
func numberEdges(t *testing.T, schema obj) []any {
	t.Helper()
	edges := []any{-1, 0, 1, 9, 10, 11}
	for _, word := range []string{"minimum", "maximum"} {
		limit, ok := schema[word].(json.Number)
		if !ok {
			t.Fatalf("a number without %s: %v", word, schema)
		}
		n, _ := new(big.Int).SetString(limit.String(), 10)
		for beside := range int64(3) {
			edges = append(edges, json.Number(new(big.Int).Add(n, big.NewInt(beside-1)).String()))
		}
	}
	return edges
}

func (s schemas) listEdges(t *testing.T, doc, schema obj) (all []any) {
	t.Helper()
	items := schema["items"].(obj)
	var good any = "passing" // is a text, and a status
	switch to, _ := items["$ref"].(string); {
	case strings.HasSuffix(to, "/Op"):
		for _, op := range s.ops(t, doc) {
			all, good = append(all, list{op}), op
		}
	case to != "":
		for _, sample := range []obj{{"key": "a", "revision": 0}, {"name": "web", "id": "a", "revision": 7}} {
			for _, m := range s.mutations(t, doc, s.resolve(items), sample) {
				all = append(all, list{m})
			}
			good = sample
		}
	default:
		for _, edge := range s.edges(t, doc, items) {
			all = append(all, list{edge})
		}
	}
	if schema["maxItems"] == nil {
		t.Fatalf("a list without a limit: %v", schema)
	}
	most := whole(schema["maxItems"])
	return append(all, slices.Repeat(list{good}, most), slices.Repeat(list{good}, most+1))
}

// ops are the commands that a batch takes, with what becomes of each by one
// change; and those that it does not take.
func (s schemas) ops(t *testing.T, doc obj) (all []obj) {
	t.Helper()
	for _, info := range subjects.All() {
		sample := with(sampleOf(doc, info), "op", info.Subject)
		schema := s.definition(info.Request.Name() + "Op")
		if schema == nil {
			all = append(all, sample)
			continue
		}
		sample = without(sample, "return_previous")
		all = append(all, with(sample, "return_previous", true))
		all = append(all, s.mutations(t, doc, schema, sample)...)
	}
	last := without(examplesOf(doc, "SetRequest")[0], "if_revision")
	return append(all, with(last, "op", "kv.set"))
}

func (s schemas) mapEdges(t *testing.T, schema, values obj) (all []any) {
	t.Helper()
	for _, edge := range s.edges(t, nil, with(values, "type", "string")) {
		all = append(all, obj{"k": edge})
	}
	for _, edge := range textEdges(t, schema["propertyNames"].(obj)) {
		all = append(all, obj{edge.(string): "v"})
	}
	many := obj{}
	for n := range whole(schema["maxProperties"]) {
		many[strings.Repeat("k", n+1)] = "v"
	}
	return append(all, many, with(many, "one more", "v"))
}

// TestContractBehind: where the subject carries a field the schema of that
// form takes a request without it, as the store does, and that of the bare
// subject does not.
func TestContractBehind(t *testing.T) {
	doc, s := jsonDocument(t, "asyncapi"), bundle(t)
	seen := 0
	for _, info := range subjects.All() {
		name, field := definitionOf(info), carries[info.Form]
		short := s.definition(name + "Behind")
		if short == nil {
			continue
		}
		seen++
		sample := examplesOf(doc, name)[0]
		short, bare := short, s.definition(name)
		if wrong := s.check(short, without(sample, field)); wrong != "" {
			t.Errorf("%sBehind: %s", name, wrong)
		}
		if s.check(bare, without(sample, field)) == "" {
			t.Errorf("%s takes a request without %s", name, field)
		}
	}
	if seen == 0 {
		t.Error("no subject carries anything")
	}
}

// carries are the fields that subjects carry.
var carries = map[subjects.Form]string{subjects.Keyed: "key", subjects.Named: "name", subjects.Scoped: "prefix"}

// TestContractSpoken sends the examples of the AsyncAPI document to a store, on
// every channel and in both encodings: none is invalid, and every reply and
// event is as its schema says.
func TestContractSpoken(t *testing.T) {
	doc, s := jsonDocument(t, "asyncapi"), bundle(t)
	nc := serve(t).connect()
	events := make(chan *nats.Msg, 1000)
	for _, e := range subjects.Events() {
		if _, err := nc.ChanSubscribe(e.Subject+".>", events); err != nil {
			t.Fatal(err)
		}
	}
	for _, info := range subjects.All() {
		request := definitionOf(info)
		sample := examplesOf(doc, request)[0]
		for _, enc := range encodings {
			s.speak(t, nc, info, info.Subject, enc, sample)
			field := carries[info.Form]
			if field == "" {
				continue
			}
			carried, given := sample[field].(string)
			if !given {
				carried = "config/" // of requests whose keys all lie there
			}
			tail := subjects.Tokens(strings.TrimSuffix(carried, "/"))
			s.speak(t, nc, info, info.Subject+"."+tail, enc, without(sample, field))
		}
	}
	conflict := inJSON.payload(t, obj{"key": "config/host", "value": "x", "if_revision": 0}) // it is there by now
	if err := nc.Publish("kv.set", conflict); err != nil {
		t.Fatal(err)
	}
	s.hear(t, events, map[string]string{"kv.changed": "Change", "svc.changed": "Change", "store.rejected": "Rejected"})
}

// speak sends one request and checks the answer.
func (s schemas) speak(t *testing.T, nc *nats.Conn, info *subjects.Info, subject string, enc encoding, sample obj) {
	t.Helper()
	sent := sample
	if enc.name == inMsgpack.name {
		sent = plainly(clone(t, sample)).(obj)
	}
	a := ask(t, nc, subject, enc.payload(t, sent))
	name := info.Reply.Name()
	if info.Chunk != nil { // which comes before the reply
		name = info.Chunk.Name()
	}
	if a.refused() {
		name = "ErrorReply"
		if code := a.fields["code"]; code != "conflict" && code != "not_found" {
			t.Errorf("%s refuses the example %v: %s", subject, sample, a.raw)
		}
	}
	if wrong := s.check(s.definition(name), clone(t, a.fields)); wrong != "" {
		t.Errorf("%s (%s): the reply is no %s: %s\n%v", subject, enc.name, name, wrong, a.fields)
	}
}

// clone is a message as it is read from JSON.
func clone(t *testing.T, message obj) obj {
	t.Helper()
	v, err := inJSON.unmarshal(inJSON.payload(t, message))
	if err != nil {
		t.Fatal(err)
	}
	return v.(obj)
}

// hear waits until an event of each kind has come.
func (s schemas) hear(t *testing.T, events <-chan *nats.Msg, kinds map[string]string) {
	t.Helper()
	for len(kinds) > 0 {
		m := within(t, patience, "event", events)
		for subject, name := range kinds {
			if !strings.HasPrefix(m.Subject, subject+".") {
				continue
			}
			v, err := inJSON.unmarshal(m.Data)
			if err != nil {
				t.Fatalf("%s: %v", m.Subject, err)
			}
			if wrong := s.check(s.definition(name), v); wrong != "" {
				t.Errorf("%s is no %s: %s", m.Subject, name, wrong)
			}
			delete(kinds, subject)
		}
	}
}
