// Package contract writes down what the store takes and answers, for people
// and for programs: from the declarations of subjects and the plans by which
// codec reads and writes, so that no document says anything else than they do.
// What those do not know, a sentence for each field and the limits that
// Validate keeps, stands in notes.go.
package contract

import (
	"fmt"
	"io"
	"strings"

	"github.com/settkv/sett/subjects"
)

// Version is that of the words on the wire. Within 1 fields are only added.
const Version = "1.0.0"

// Format is a way to write the contract down.
type Format struct {
	Name string // as the command line has it: "asyncapi"
	File string // where its copy is kept beside this package
	What string // for people

	write func(*document) ([]byte, error)
}

// Formats lists every format.
func Formats() []Format {
	return []Format{
		{"asyncapi", "asyncapi.json", "AsyncAPI 3.0: channels, operations, messages", (*document).asyncAPI},
		{"schema", "schema.json", "JSON Schema (2020-12) of each message", (*document).schema},
		{"markdown", "CONTRACT.md", "a page for people, with examples in both encodings", (*document).markdown},
		{"typescript", "sett.ts", "types of each message and subject", (*document).typescript},
	}
}

// Write writes the contract in the format of this name; every subject begins
// with the prefix.
func Write(w io.Writer, format string, prefix subjects.Prefix) error {
	for _, f := range Formats() {
		if f.Name != format {
			continue
		}
		d, err := newDocument(prefix)
		if err != nil {
			return err
		}
		text, err := f.write(d)
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	}
	return fmt.Errorf("contract: there is no format %q", format)
}

// endpoint is a subject that is asked.
type endpoint struct {
	*subjects.Info
	subject        string // with its prefix
	request, reply *message
	chunk          *message // of what comes before the reply; or nil
	example        example
}

// event is a subject that is announced.
type event struct {
	*subjects.EventInfo
	subject string // with its prefix
	body    *message
	example any
	tail    string // of the example
}

// document is the contract, ready to be written in any format.
type document struct {
	prefix    subjects.Prefix
	endpoints []endpoint
	events    []event
	refusal   *message
	messages  []*message // all, each behind those that it consists of
	byName    map[string]*message
}

func newDocument(prefix subjects.Prefix) (*document, error) {
	d := &document{prefix: prefix, byName: make(map[string]*message)}
	for _, info := range subjects.All() {
		e := endpoint{Info: info, subject: prefix.Wrap(info.Subject), example: examples[info.Subject]}
		if e.example.request == nil {
			return nil, fmt.Errorf("contract: %s has no example", info.Subject)
		}
		d.describe(&e)
		d.endpoints = append(d.endpoints, e)
	}
	for _, info := range subjects.Events() {
		ex, ok := announced[info.Subject]
		if !ok {
			return nil, fmt.Errorf("contract: %s has no example", info.Subject)
		}
		d.events = append(d.events, event{
			EventInfo: info, subject: prefix.Wrap(info.Subject), body: d.message(info.Body, asReply), example: ex.body, tail: ex.tail,
		})
	}
	d.refusal = d.message(refusalType, asReply)
	return d, d.complete()
}

// describe describes the messages of an endpoint.
func (d *document) describe(e *endpoint) {
	e.request = d.message(e.Request, asRequest)
	e.request.doc = "What `" + e.subject + "` is asked with."
	e.request.bind(e.Form)
	if e.Chunk != nil {
		e.chunk = d.message(e.Chunk, asReply)
		e.chunk.doc = "What `" + e.subject + "` sends before its reply, again and again."
	}
	e.reply = d.message(e.Reply, asReply)
	e.reply.doc = "What `" + e.subject + "` answers."
}

// answers are the messages that come back, but for refusals.
func (e *endpoint) answers() []*message {
	if e.chunk == nil {
		return []*message{e.reply}
	}
	return []*message{e.chunk, e.reply}
}

// complete fails where a message or field has no sentence.
func (d *document) complete() error {
	var missing []string
	for _, m := range d.messages {
		if m.doc == "" {
			missing = append(missing, m.name)
		}
		for _, f := range m.fields {
			if f.doc == "" {
				missing = append(missing, m.name+"."+f.Name)
			}
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("contract: notes.go has nothing to say about %s", strings.Join(missing, ", "))
	}
	return nil
}

// carried is what may stand behind an endpoint's subject: "key", or "".
func carried(form subjects.Form) string {
	switch form {
	case subjects.Keyed:
		return "key"
	case subjects.Named:
		return "name"
	case subjects.Scoped:
		return "prefix"
	}
	return ""
}
