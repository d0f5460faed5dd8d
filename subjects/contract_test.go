package subjects

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/settkv/sett/codec"
)

var update = flag.Bool("update", false, "write testdata/contract.golden anew")

// TestContract compares the whole contract with its golden file: a change in
// it is a change on the wire, and has to be read by someone.
func TestContract(t *testing.T) {
	var b bytes.Buffer
	for _, e := range All() {
		kind := "read"
		if e.Write {
			kind = "write"
		}
		fmt.Fprintf(&b, "%s  %s, %s\n", e.Subject, kind, []string{"bare", "+key", "+name", "+prefix"}[e.Form])
		fmt.Fprintf(&b, "  # %s\n", e.Doc)
		fmt.Fprintf(&b, "  request %s\n", wireFields(e.Request))
		if e.Chunk != nil {
			fmt.Fprintf(&b, "  chunk   %s\n", wireFields(e.Chunk))
		}
		fmt.Fprintf(&b, "  reply   %s\n", wireFields(e.Reply))
		fmt.Fprintf(&b, "  codes   %v\n", e.Codes)
	}
	for _, e := range Events() {
		fmt.Fprintf(&b, "%s.%s  event\n  # %s\n  body    %s\n", e.Subject, e.Tail, e.Doc, wireFields(e.Body))
	}
	for _, t := range nested {
		fmt.Fprintf(&b, "%s\n  fields  %s\n", wireType(t), wireFields(t))
	}
	const golden = "testdata/contract.golden"
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	got, wanted := strings.Split(b.String(), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(got), len(wanted)) {
		if got[i] != wanted[i] {
			t.Fatalf("%s:%d: the contract differs (after review: go test ./subjects -update)\n got %s\nwant %s", golden, i+1, got[i], wanted[i])
		}
	}
	if len(got) != len(wanted) {
		t.Fatalf("%s: the contract has %d lines, not %d", golden, len(got), len(wanted))
	}
}

// nested are the structs that stand inside of others.
var nested = []reflect.Type{
	reflect.TypeFor[codec.Entry](), reflect.TypeFor[codec.Condition](), reflect.TypeFor[codec.Instance](),
	reflect.TypeFor[codec.Service](), reflect.TypeFor[codec.FeedStatus](), reflect.TypeFor[codec.Limits](),
	reflect.TypeFor[codec.Error](),
}

// wireFields lists the fields of a struct with their types; "?" marks those
// that may be absent, "!" those that a request must have.
func wireFields(t reflect.Type) string {
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("wire")
		if f.Anonymous && !tagged {
			names = append(names, wireFields(f.Type))
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		mark := ""
		for option := range strings.SplitSeq(options, ",") {
			switch option {
			case "omitempty":
				mark = "?"
			case "required":
				mark = "!"
			}
		}
		names = append(names, name+mark+":"+wireType(f.Type))
	}
	return strings.Join(slices.DeleteFunc(names, func(s string) bool { return s == "" }), " ")
}

func wireType(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[[]byte]():
		return "bytes"
	case reflect.TypeFor[codec.Command]():
		return "op"
	case reflect.TypeFor[codec.Reply]():
		return "reply"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return wireType(t.Elem())
	case reflect.Slice:
		return "[" + wireType(t.Elem()) + "]"
	case reflect.Struct:
		return strings.ToLower(t.Name())
	case reflect.Map:
		return "{text}"
	case reflect.String:
		return "text"
	case reflect.Int64:
		return "int"
	case reflect.Uint64:
		return "uint"
	}
	return t.Kind().String()
}

// TestContractIsComplete checks what the generic sides rely on but no compiler
// does.
func TestContractIsComplete(t *testing.T) {
	seen := make(map[string]bool)
	for _, e := range All() {
		if seen[e.Subject] {
			t.Errorf("%s is declared twice", e.Subject)
		}
		seen[e.Subject] = true
		req := reflect.New(e.Request).Interface()
		if _, ok := req.(request); !ok {
			t.Errorf("%s: %T has no Validate", e.Subject, req)
		}
		if _, ok := req.(bound); ok != (e.Form != Bare) {
			t.Errorf("%s: its form is %d, but whether %T has Bind is %v", e.Subject, e.Form, req, ok)
		}
		cmd := codec.NewCommand(e.Subject)
		if (cmd != nil) != e.Write {
			t.Errorf("%s: Write is %v, but NewCommand gives %T", e.Subject, e.Write, cmd)
		}
		if e.Write && reflect.TypeOf(cmd).Elem() != e.Request {
			t.Errorf("%s: NewCommand gives %T, the request is %v", e.Subject, cmd, e.Request)
		}
		if e.Write && (cmd.Op() != e.Subject || reflect.TypeOf(cmd.NewReply()).Elem() != e.Reply) {
			t.Errorf("%s: %T is %q and answers %T", e.Subject, cmd, cmd.Op(), cmd.NewReply())
		}
		if _, ok := reflect.New(e.Reply).Interface().(interface{ At() *codec.Position }); !ok {
			t.Errorf("%s: %v has no position", e.Subject, e.Reply)
		}
		if info, tail := Parse(e.Subject); info != e || tail != "" {
			t.Errorf("Parse(%q) gives %v, %q", e.Subject, info, tail)
		}
		if !strings.HasSuffix(e.Doc, ".") {
			t.Errorf("%s: %q is no sentence", e.Subject, e.Doc)
		}
		if c := new(Client); (c.tail(req) != "") != (e.Form == Keyed || e.Form == Named) {
			t.Errorf("%s: the client appends %q", e.Subject, c.tail(req))
		}
		for _, code := range e.Codes {
			if !slices.Contains(codec.Codes(), code) {
				t.Errorf("%s: the store never sends %q", e.Subject, code)
			}
		}
	}
	for _, e := range Events() {
		if info, _ := Parse(e.Subject); info != nil {
			t.Errorf("%s is both asked and announced", e.Subject)
		}
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		subject string
		info    *Info
		tail    string
	}{
		{"kv.set", KVSet.Info, ""},
		{"kv.get.config.host", KVGet.Info, "config.host"},
		{"svc.list.a", SvcList.Info, "a"}, // a known command; its tail is refused later
		{"kv.set.a..b", KVSet.Info, "a..b"},
		{"kv.set.", nil, ""},
		{"kv", nil, ""}, {"", nil, ""}, {".", nil, ""}, {"kv.", nil, ""}, {".set", nil, ""}, {"..", nil, ""},
		{"set", nil, ""}, {"kvset", nil, ""}, {"kv.sets", nil, ""}, {"KV.SET", nil, ""}, {"xkv.set", nil, ""},
		{"kv.changed.a", nil, "a"}, {"prod.kv.set", nil, "set"}, {"$JS.API.INFO", nil, "INFO"},
	} {
		info, tail := Parse(c.subject)
		if info != c.info || info != nil && tail != c.tail {
			t.Errorf("Parse(%q) = %v, %q", c.subject, info, tail)
		}
	}
}

func TestPrefix(t *testing.T) {
	for p, ok := range map[Prefix]bool{
		"": true, "prod": true, "a-b_c9": true, "Z": true, "-": true, "kvs": true, "x_": true,
		"kv": false, "svc": false, "batch": false, "store": false, "_x": false, "_": false, "a.b": false, "a b": false,
		"*": false, ">": false, "a:b": false, "a=b": false, "a@b": false, "a+b": false, "a~b": false, "é": false, "$JS": false,
		"a/b": false, "%": false, "a\n": false,
	} {
		if err := p.Validate(); (err == nil) != ok {
			t.Errorf("Prefix(%q): %v", p, err)
		}
	}
	if got := Prefix("").Wrap("kv.set"); got != "kv.set" {
		t.Error(got)
	}
	if got := Prefix("prod").Wrap("kv.set"); got != "prod.kv.set" {
		t.Error(got)
	}
	if got := Prefix("prod").Private("claim") + " " + Prefix("").Private("claim"); got != "_sett.prod.claim _sett._.claim" {
		t.Error(got)
	}
	for _, c := range []struct {
		prefix        Prefix
		subject, rest string
		ok            bool
	}{
		{"", "kv.set", "kv.set", true},
		{"prod", "prod.kv.set", "kv.set", true},
		{"prod", "kv.set", "", false},
		{"prod", "production.kv.set", "", false},
		{"prod", "prod", "", false},
		{"prod", "prod.", "", true}, // and nothing of the contract
		{"prod", "", "", false},
	} {
		if rest, ok := c.prefix.Strip(c.subject); rest != c.rest || ok != c.ok {
			t.Errorf("Prefix(%q).Strip(%q) = %q, %v", c.prefix, c.subject, rest, ok)
		}
	}
}

func TestAnnounced(t *testing.T) {
	for _, c := range []struct {
		prefix Prefix
		event  codec.Event
		want   string
	}{
		{"", codec.Event{Kind: codec.KeyEvent, Name: "config/a.b"}, "kv.changed.config.a%2Eb"},
		{"prod", codec.Event{Kind: codec.KeyEvent, Name: "/"}, "prod.kv.changed.%.%"},
		{"prod", codec.Event{Kind: codec.ServiceEvent, Name: "web api", ID: "10.0.0.1:80"}, "prod.svc.changed.web%20api.10%2E0%2E0%2E1:80"},
		{"", codec.Event{Kind: codec.StoreEvent, Name: codec.ReasonRestored}, "store.changed.restored"},
	} {
		if got := Announced(c.prefix, &c.event); got != c.want {
			t.Errorf("Announced: %q, want %q", got, c.want)
		}
	}
	for _, c := range []struct{ prefix, want string }{
		{"", "p.kv.changed.>"}, {"config/", "p.kv.changed.config.>"}, {"a/b/", "p.kv.changed.a.b.>"}, {"/", "p.kv.changed.%.>"},
	} {
		if got := KVChanged.Under("p", c.prefix); got != c.want {
			t.Errorf("Under(%q) = %q, want %q", c.prefix, got, c.want)
		}
	}
}
