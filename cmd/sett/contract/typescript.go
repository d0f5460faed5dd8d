package contract

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/settkv/sett/codec"
)

const typescriptAbout = `// Written by "sett contract -o typescript"; do not edit.

// The messages of sett, version %s, in JSON. In msgpack they are the same maps,
// with the bytes of a value as Uint8Array under its own name, and never under
// value_base64.

/** What any request in JSON may say. */
export interface Request {
  /** %s */
  base64?: boolean;
}

/** Every code that the store refuses with. */
export type Code = %s;

/** A request whose field K stands behind the subject, and need not be said again. */
export type Behind<R, K extends PropertyKey> = R extends unknown ? Omit<R, K> & { [P in K & keyof R]?: R[P] } : never;
`

// typescript is the contract as types for TypeScript.
func (d *document) typescript() ([]byte, error) {
	p := &page{}
	var codes []string
	for _, c := range codec.Codes() {
		codes = append(codes, string(c))
	}
	fmt.Fprintf(p, typescriptAbout, Version, base64Doc, literals(codes))
	for _, m := range d.messages {
		p.tsMessage(m)
	}
	d.tsSubjects(p)
	return p.Bytes(), nil
}

func (p *page) tsMessage(m *message) {
	p.line("\n/** %s */", m.doc)
	if m.oneOf != nil {
		var names []string
		for _, one := range m.oneOf {
			names = append(names, one.name)
		}
		p.line("export type %s = %s;", m.name, strings.Join(names, " | "))
		return
	}
	must := ""
	for _, f := range m.fields {
		if f.must && f.Type == bytesType {
			must = f.Name
		}
	}
	base := ""
	if m.role == asRequest {
		base = "Request"
	}
	switch {
	case must != "" && base != "":
		p.line("export type %s = %s & {", m.name, base)
	case must != "":
		p.line("export type %s = {", m.name)
	case base != "":
		p.line("export interface %s extends %s {", m.name, base)
	default:
		p.line("export interface %s {", m.name)
	}
	for i := range m.fields {
		p.tsField(m, &m.fields[i])
	}
	if must == "" {
		p.line("}")
		return
	}
	p.line("} & (\n  | { /** In JSON where the bytes are UTF-8. */ %s: string; %s_base64?: never }", must, must)
	p.line("  | { %s?: never; /** The same in base64, with padding. */ %s_base64: string }\n);", must, must)
}

func (p *page) tsField(m *message, f *field) {
	if f.Type == bytesType && f.must {
		return // it is one of two, behind the others
	}
	optional := mark(f)
	p.line("  /** %s */", describe(m, f))
	p.line("  %s%s: %s;", f.Name, optional, tsType(f))
	if f.Type == bytesType {
		p.line("  /** The same in base64, where the bytes are no UTF-8 or shorter that way. */")
		p.line("  %s_base64%s: string;", f.Name, optional)
	}
}

func tsType(f *field) string {
	switch {
	case f.Type == bytesType:
		return "string"
	case f.Type == reflect.TypeFor[codec.Code]():
		return "Code"
	case f.Type == textMapType:
		return "Record<string, string>"
	case f.Type == textsType && f.values != nil:
		return "(" + literals(f.values) + ")[]"
	case f.Type == textsType:
		return "string[]"
	case f.of != nil && f.Type.Kind() == reflect.Slice:
		return f.of.name + "[]"
	case f.of != nil:
		return f.of.name
	case f.values != nil:
		return literals(f.values)
	}
	return map[string]string{"string": "string", "integer": "number", "boolean": "boolean"}[typeName(f.Type)]
}

func literals(values []string) string { return `"` + strings.Join(values, `" | "`) + `"` }

// tsSubjects says which types belong to which subject.
func (d *document) tsSubjects(p *page) {
	p.line("\n/** What each subject is asked with and answers. A refusal is an ErrorReply. */\nexport interface Endpoints {")
	for _, e := range d.endpoints {
		p.line("  /** %s */", e.Doc)
		chunk := ""
		if e.chunk != nil {
			chunk = " chunk: " + e.chunk.name + ";"
		}
		p.line("  %q: { request: %s;%s reply: %s };", e.subject, e.request.name, chunk, e.reply.name)
		if carried(e.Form) == "" {
			continue
		}
		request := e.request.name
		if e.request.bound != "" {
			request = fmt.Sprintf("Behind<%s, %q>", request, e.request.bound)
		}
		p.line("  [behind: `%s.${string}`]: { request: %s; reply: %s };", e.subject, request, e.reply.name)
	}
	p.line("}\n\n/** What is announced on each subject. */\nexport interface Events {")
	for _, e := range d.events {
		p.line("  /** %s */", e.Doc)
		p.line("  [subject: `%s.${string}`]: %s;", e.subject, e.body.name)
	}
	p.line("}")
}
