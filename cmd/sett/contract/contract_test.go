package contract

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

func described(t *testing.T) *document {
	t.Helper()
	d, err := newDocument("")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Nothing is said about what does not exist. (That something is said about
// everything is checked whenever the contract is written.)
func TestNotesAreUsed(t *testing.T) {
	d := described(t)
	fields, messages, types := make(map[string]bool), make(map[string]bool), make(map[string]bool)
	for _, m := range d.messages {
		messages[m.name] = true
		if m.typ == nil {
			continue
		}
		types[m.typ.Name()] = true
		for _, f := range codec.Fields(m.typ) {
			own := m.typ.Name() + "." + f.Name
			if _, has := notes[own]; has {
				fields[own] = true
			} else {
				fields[f.Name] = true
			}
		}
	}
	outer := make(map[string]bool)
	for _, e := range d.endpoints {
		outer[e.Subject] = true
	}
	for _, e := range d.events {
		outer[e.Subject] = true
	}
	unused(t, "notes", notes, fields)
	unused(t, "sentences", sentences, messages)
	unused(t, "between", between, types)
	unused(t, "remarks", remarks, outer)
	unused(t, "examples", examples, outer)
	unused(t, "announced", announced, outer)
	if len(whens) != len(codec.Codes()) {
		t.Errorf("notes.go explains %d codes, there are %d", len(whens), len(codec.Codes()))
	}
	for _, code := range codec.Codes() {
		if whens[code] == "" {
			t.Errorf("notes.go does not explain %s", code)
		}
	}
}

func unused[V any](t *testing.T, table string, entries map[string]V, used map[string]bool) {
	t.Helper()
	for name := range entries {
		if !used[name] {
			t.Errorf("%s: nothing is called %s", table, name)
		}
	}
}

// What is said are sentences.
func TestSentences(t *testing.T) {
	check := func(where, text string) {
		if text == "" || !strings.HasSuffix(text, ".") || strings.ToUpper(text[:1]) != text[:1] && text[0] != '`' || strings.Contains(text, "|") {
			t.Errorf("%s: %q is no sentence that fits in a table", where, text)
		}
	}
	for _, m := range described(t).messages {
		check(m.name, m.doc)
		for _, f := range m.fields {
			check(m.name+"."+f.Name, describe(m, &f))
		}
	}
	for name, text := range remarks {
		check(name, text)
	}
}

// A field or message without a sentence is an error that names it.
func TestMissingSentence(t *testing.T) {
	d := described(t)
	d.messages = append(d.messages, &message{name: "New", doc: "It is new.", fields: []field{{Field: codec.Field{Name: "field"}}}}, &message{name: "Other"})
	if err := d.complete(); err == nil || !strings.HasSuffix(err.Error(), " New.field, Other") {
		t.Error(err)
	}
}

// The examples are of their endpoints' types, and the store takes the requests.
func TestExamples(t *testing.T) {
	for _, e := range described(t).endpoints {
		for _, c := range []struct {
			is  any
			typ reflect.Type
		}{{e.example.request, e.Request}, {e.example.reply, e.Reply}, {e.example.chunk, e.Chunk}} {
			if (c.is == nil) != (c.typ == nil) || c.is != nil && reflect.TypeOf(c.is).Elem() != c.typ {
				t.Errorf("%s: an example is a %T, not a %v", e.Subject, c.is, c.typ)
			}
		}
		request := reflect.New(e.Request).Interface() // Validate fills in what was left out
		_, err := codec.DecodeRequest(codec.Append(nil, codec.JSON, e.example.request), request)
		if err == nil {
			err = request.(interface{ Validate() error }).Validate()
		}
		if err != nil {
			t.Errorf("%s: %v", e.Subject, err)
		}
	}
	for _, e := range described(t).events {
		if reflect.TypeOf(e.example).Elem() != e.Body {
			t.Errorf("%s: the example is a %T, not a %v", e.Subject, e.example, e.Body)
		}
	}
}

func TestWrite(t *testing.T) {
	for _, f := range Formats() {
		var plain, again, prefixed bytes.Buffer
		for _, c := range []struct {
			to     io.Writer
			prefix subjects.Prefix
		}{{&plain, ""}, {&again, ""}, {&prefixed, "prod"}} {
			if err := Write(c.to, f.Name, c.prefix); err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
		}
		if !bytes.Equal(plain.Bytes(), again.Bytes()) {
			t.Errorf("%s is different each time", f.Name)
		}
		if strings.Contains(plain.String(), "prod.kv.set") || !strings.Contains(prefixed.String(), "prod.kv.set") {
			t.Errorf("%s does not heed the prefix", f.Name)
		}
		if strings.HasSuffix(f.File, ".json") && !json.Valid(plain.Bytes()) {
			t.Errorf("%s is no JSON", f.Name)
		}
		if !bytes.HasSuffix(plain.Bytes(), []byte("\n")) || bytes.HasSuffix(plain.Bytes(), []byte("\n\n")) {
			t.Errorf("%s does not end with one newline", f.Name)
		}
	}
	if err := Write(io.Discard, "yaml", ""); err == nil || !strings.Contains(err.Error(), `"yaml"`) {
		t.Error(err)
	}
}

// Links in the page lead to headings.
func TestMarkdownLinks(t *testing.T) {
	text, err := described(t).markdown()
	if err != nil {
		t.Fatal(err)
	}
	var anchors []string
	for line := range strings.Lines(string(text)) {
		if heading := strings.TrimLeft(line, "#"); heading != line {
			anchors = append(anchors, anchor(strings.TrimSpace(heading)))
		}
	}
	rest, links := string(text), 0
	for {
		_, after, found := strings.Cut(rest, "](#")
		if !found {
			break
		}
		to, more, _ := strings.Cut(after, ")")
		if !slices.Contains(anchors, to) {
			t.Errorf("a link leads to #%s, and there is no such heading", to)
		}
		rest, links = more, links+1
	}
	if links == 0 {
		t.Error("there are no links")
	}
}

func TestDigits(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 315_360_000_000: "315,360,000,000"} {
		if got := digits(n); got != want {
			t.Errorf("%d is written %s", n, got)
		}
	}
}
