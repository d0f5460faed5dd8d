package contract

import (
	"bytes"
	_ "embed" // for about.md
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/settkv/sett/codec"
)

const markdownHead = `<!-- Written by "sett contract -o markdown"; do not edit. -->
# The contract of sett

Version %s. `

// about is what holds for all subjects.
//
//go:embed about.md
var about string

// page is the contract for people, as it is written.
type page struct{ bytes.Buffer }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// markdown is the contract as a page for people.
func (d *document) markdown() ([]byte, error) {
	p := &page{}
	fmt.Fprintf(p, markdownHead, Version)
	p.WriteString(about)
	d.overview(p)
	for i := range d.endpoints {
		p.endpoint(&d.endpoints[i])
	}
	for i := range d.events {
		p.event(&d.events[i])
	}
	p.refusals(d)
	p.line("## Types\n")
	for _, m := range d.messages {
		if !d.isOuter(m) {
			p.part(m)
		}
	}
	return bytes.TrimSuffix(p.Bytes(), []byte{'\n'}), nil
}

func (d *document) overview(p *page) {
	p.line("| subject | | what |\n|---|---|---|")
	for _, e := range d.endpoints {
		what := "read"
		if e.Write {
			what = "write"
		}
		p.line("| [`%s`](#%s) | %s | %s |", e.subject, anchor(e.subject), what, e.Doc)
	}
	for _, e := range d.events {
		p.line("| [`%s.%s`](#%s) | event | %s |", e.subject, e.Tail, anchor(e.subject+"."+e.Tail), e.Doc)
	}
	p.line("")
}

// anchor is the name that a heading gets from its text.
func anchor(heading string) string {
	return strings.ToLower(strings.NewReplacer(".", "", "<", "", ">", "").Replace(heading))
}

func (p *page) endpoint(e *endpoint) {
	p.line("## %s\n\n%s\n", e.subject, e.Doc)
	if field := carried(e.Form); field != "" {
		p.line("Also `%s.<%s>`.\n", e.subject, field)
	}
	p.table("request", e.request)
	if e.chunk != nil {
		p.table("chunk", e.chunk)
	}
	p.table("reply", e.reply)
	p.line("%s%s\n", e.remarks(), refusals(e))
	p.line("```sh\nnats req %s '%s'\n```\n", e.subject, codec.Append(nil, codec.JSON, e.example.request))
	p.packed(e.example.request)
	if e.chunk != nil {
		p.sample("A chunk", e.example.chunk)
	}
	p.sample("The reply", e.example.reply)
}

func (p *page) event(e *event) {
	p.line("## %s.%s\n\n%s\n", e.subject, e.Tail, e.Doc)
	p.line("It is announced as a %s. %s\n", link(e.body), remarks[e.Subject])
	p.sample("On `"+e.subject+"."+e.tail+"`", e.example)
}

// table lists the fields of a message.
func (p *page) table(title string, m *message) {
	if len(m.fields) == 0 {
		p.line("The %s has no fields.\n", title)
		return
	}
	p.line("| %s | | |\n|---|---|---|", title)
	for i := range m.fields {
		f := &m.fields[i]
		p.line("| `%s`%s | %s | %s |", f.Name, mark(f), kind(f), describe(m, f))
	}
	p.line("")
}

// mark says whether a field may be left out, or be absent.
func mark(f *field) string {
	if f.must {
		return ""
	}
	return "?"
}

// sample shows a message in both encodings.
func (p *page) sample(what string, m any) {
	p.line("%s:\n\n```json\n%s\n```\n", what, codec.Append(nil, codec.JSON, m))
	p.packed(m)
}

// packed shows a message in msgpack, in lines that fit on a page.
func (p *page) packed(m any) {
	const most = 112
	p.line("In msgpack:\n\n```")
	for line := range slices.Chunk([]byte(hex.EncodeToString(codec.Append(nil, codec.Msgpack, m))), most) {
		p.line("%s", line)
	}
	p.line("```\n")
}

func (p *page) refusals(d *document) {
	p.line("## Refusals\n\nA refusal has the headers `Nats-Service-Error` (a sentence) and `Nats-Service-Error-Code`, and this body:\n")
	p.table("error", d.refusal)
	p.line("| `code` | header | `temporary` | |\n|---|---|---|---|")
	for _, c := range codec.Codes() {
		p.line("| `%s` | %d | %v | %s |", c, c.Status(), c.Temporary(), whens[c])
	}
	p.line("")
	p.sample("The reply", refused)
}

// isOuter says whether a message has a place of its own in the page.
func (d *document) isOuter(m *message) bool {
	if m == d.refusal {
		return true
	}
	for _, e := range d.endpoints {
		if m == e.request || slices.Contains(e.answers(), m) {
			return true
		}
	}
	return false
}

// part describes what other messages consist of.
func (p *page) part(m *message) {
	p.line("### %s\n\n%s\n", m.name, m.doc)
	if m.oneOf == nil {
		p.table("field", m)
		return
	}
	var names []string
	for _, one := range m.oneOf {
		names = append(names, link(one))
	}
	p.line("One of %s.\n", strings.Join(names, ", "))
}
