package integration

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// step is one request of a scenario and its answer, either want or code.
type step struct {
	subject string
	send    obj
	want    obj    // the fields of a success, beside store_revision and epoch
	code    string // of an error,
	detail  obj    // whose fields beside code, message and temporary are these
	bare    bool   // has no appended form
}

// scenario is a story told to the store once for every variant.
type scenario struct {
	name  string
	steps []step
}

// variant is a way to write the same request.
type variant struct {
	encoding
	form string // bare; tail: what the subject carries is left out of the payload; both
}

// variants are all of them.
func variants() (all []variant) {
	for _, enc := range encodings {
		for _, form := range []string{"bare", "tail", "both"} {
			all = append(all, variant{enc, form})
		}
	}
	return all
}

// namespace begins all keys and names of a variant, so that it meets no other.
func (w variant) namespace(scenario string) string {
	return strings.ReplaceAll(scenario, " ", "-") + "-" + w.name + "-" + w.form
}

// address turns a request into the variant's form. It writes tokens by itself:
// the scenarios use no byte that needs escaping, and "/".
func (w variant) address(info *subjects.Info, s step, send obj, namespace string) (string, obj) {
	if w.form == "bare" || s.bare || info.Form == subjects.Bare {
		return s.subject, send
	}
	var field, tail string
	switch info.Form {
	case subjects.Keyed:
		field, tail = "key", send["key"].(string)
	case subjects.Named:
		field, tail = "name", send["name"].(string)
	case subjects.Scoped:
		field, tail = "prefix", namespace
	}
	send = maps.Clone(send)
	if w.form == "tail" && (info.Form != subjects.Scoped || send["prefix"] == namespace+"/") {
		delete(send, field)
	}
	return s.subject + "." + strings.ReplaceAll(tail, "/", "."), send
}

// coverage counts what the contract tests have seen.
type coverage map[string]bool

// endpoints are those of the contract by their subject.
func endpoints() map[string]*subjects.Info {
	all := make(map[string]*subjects.Info)
	for _, info := range subjects.All() {
		all[info.Subject] = info
	}
	return all
}

// TestContract tells every scenario in every variant, and then checks that no
// endpoint, no form and no error of the contract was left out.
func TestContract(t *testing.T) {
	p := serve(t)
	nc := p.connect()
	seen := coverage{}
	scenarios := slices.Concat(kvScenarios(), limitScenarios(), svcScenarios(), batchScenarios(), readScenarios())
	for _, s := range scenarios {
		for _, w := range variants() {
			t.Run(s.name+"/"+w.name+"/"+w.form, func(t *testing.T) { s.tell(t, nc, w, seen) })
		}
	}
	if !t.Failed() {
		seen.checkComplete(t)
		seen.checkDeclared(t)
	}
}

// tell runs the steps of a scenario.
func (s scenario) tell(t *testing.T, nc *nats.Conn, w variant, seen coverage) {
	namespace, v, known := w.namespace(s.name), vars{}, endpoints()
	for i, step := range s.steps {
		info := known[step.subject]
		if info == nil {
			t.Fatalf("step %d: %s is none of subjects.All()", i, step.subject)
		}
		subject, send := w.address(info, step, fill(step.send, namespace, v).(obj), namespace)
		payload := w.payload(t, send)
		a := ask(t, nc, subject, payload)
		if err := step.check(a, w, namespace, v); err != nil {
			t.Fatalf("step %d: %s %s: %v\nreply: %s", i, subject, clip(inJSON.payload(t, send)), err, clip(a.raw))
		}
		code := step.code
		if code == "" {
			code = "ok"
		}
		seen[step.subject+" "+code] = true
		form := "bare"
		if subject != step.subject {
			form = "appended"
		}
		seen[strings.Join([]string{step.subject, code, w.name, form}, " ")] = true
	}
}

// check compares an answer with what the step expects.
func (s step) check(a answer, w variant, namespace string, v vars) error {
	if got := encodingOf(a.raw).name; got != w.name {
		return fmt.Errorf("it answers %s in %s", w.name, got)
	}
	if s.code != "" {
		if err := checkError(a, s.code); err != nil {
			return err
		}
		for _, name := range []string{"code", "message", "temporary"} {
			delete(a.fields, name)
		}
		return s.compare(a, s.detail, namespace, v)
	}
	if a.refused() || a.fields["code"] != nil {
		return fmt.Errorf("it is refused: %v", a.fields)
	}
	if len(a.header) > 0 {
		return fmt.Errorf("a success has headers: %v", a.header)
	}
	return s.compare(a, s.want, namespace, v)
}

// compare compares the fields but the position, which every reply has.
func (s step) compare(a answer, want obj, namespace string, v vars) error {
	position := obj{"store_revision": matcher(number), "epoch": save("epoch")}
	all := fill(want, namespace, nil).(obj) // match knows what refs stand for
	maps.Copy(all, position)
	return match(a.fields, all, v)
}

// notByHand are the codes that no single request brings about; other tests
// see them: overloaded in TestOverloaded; the rest needs a broken store.
var notByHand = []codec.Code{codec.Overloaded, codec.Unavailable, codec.Internal}

// ofAnyRequest are the codes that no endpoint declares: any may answer them.
var ofAnyRequest = []codec.Code{codec.Invalid, codec.TooLarge, codec.Overloaded, codec.Unavailable, codec.Internal}

// checkDeclared looks for codes that an endpoint has answered and does not
// declare: the README's table would lie.
func (seen coverage) checkDeclared(t *testing.T) {
	for _, info := range subjects.All() {
		for _, code := range codec.Codes() {
			declared := slices.Contains(info.Codes, code) || slices.Contains(ofAnyRequest, code)
			if seen[info.Subject+" "+string(code)] && !declared {
				t.Errorf("%s answers %s, which its declaration in subjects does not have", info.Subject, code)
			}
		}
	}
}

// checkComplete looks for what of the contract was not seen.
func (seen coverage) checkComplete(t *testing.T) {
	expect := func(what ...string) {
		if key := strings.Join(what, " "); !seen[key] {
			t.Errorf("no scenario has: %s", key)
		}
	}
	codes := map[codec.Code]bool{codec.TooLarge: seen["kv.set too_large"]}
	for _, info := range subjects.All() {
		if info.Chunk != nil {
			continue // more than one message answers it: TestBackupOnTheWire
		}
		for _, enc := range encodings {
			expect(info.Subject, "ok", enc.name, "bare")
			if info.Form != subjects.Bare {
				expect(info.Subject, "ok", enc.name, "appended")
			}
		}
		for _, code := range info.Codes {
			codes[code] = true
			expect(info.Subject, string(code))
		}
		if info.Request.NumField() > 0 {
			codes[codec.Invalid] = true
			expect(info.Subject, string(codec.Invalid))
		}
	}
	for _, code := range codec.Codes() {
		if !codes[code] && !slices.Contains(notByHand, code) {
			t.Errorf("no endpoint has the code %s", code)
		}
		if statuses[string(code)] != fmt.Sprint(code.Status()) {
			t.Errorf("%s is %d on the wire, and DESIGN says %s", code, code.Status(), statuses[string(code)])
		}
	}
}
