package contract

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

const asyncAbout = `A key-value store and service registry that speaks NATS. Commands and reads are requests; ` +
	`every change is an event.

A payload is JSON if it begins with {, else msgpack; the reply speaks as the request did. Every reply says with ` +
	`store_revision up to which change it includes all, and with epoch in which history. A refusal is a reply with the ` +
	`headers Nats-Service-Error and Nats-Service-Error-Code and a body with code, message and temporary.

In a subject a key is written as tokens: a "/" is a dot, and a byte outside A-Z a-z 0-9 - _ : = @ + ~ is %XX. So ` +
	`config/host is kv.get.config.host. A key, name or prefix stands in the payload or behind the subject.`

// asyncAPI is the contract as AsyncAPI 3.0, as the store sees it: it receives
// requests and sends events.
func (d *document) asyncAPI() ([]byte, error) {
	channels, operations := newObject(), newObject()
	for i := range d.endpoints {
		d.addEndpoint(channels, operations, &d.endpoints[i])
	}
	for i := range d.events {
		d.addEvent(channels, operations, &d.events[i])
	}
	channels.set(inbox, d.inbox())
	s := schemas{refs: "#/components/schemas/"}
	return toJSON(newObject().
		set("asyncapi", "3.0.0").
		set("info", newObject().
			set("title", "sett").
			set("version", Version).
			set("description", asyncAbout).
			set("license", newObject().set("name", "Apache-2.0").set("url", "https://www.apache.org/licenses/LICENSE-2.0")).
			set("tags", list{tag("write"), tag("read"), tag("event")})).
		set("defaultContentType", jsonType).
		set("servers", newObject().set("local", newObject().
			set("host", "127.0.0.1:4222").set("protocol", "nats").set("description", "The NATS server that sett serve brings along."))).
		set("channels", channels).
		set("operations", operations).
		set("components", newObject().set("schemas", s.all(d)).set("messages", d.asyncMessages())), "  ")
}

const (
	jsonType    = "application/json"
	msgpackType = "application/msgpack"
	inMsgpack   = ".msgpack" // ends the name of a message in msgpack
	inbox       = "reply"    // the channel of replies
)

func tag(name string) *object { return newObject().set("name", name) }

func ref(path ...string) *object { return newObject().set("$ref", "#/"+strings.Join(path, "/")) }

// forms are the channels of an endpoint, with the request that each takes and
// what it has behind its subject.
func (e *endpoint) forms() []form {
	all := []form{{e.Subject, e.subject, e.request, ""}}
	if field := carried(e.Form); field != "" {
		all = append(all, form{e.Subject + "." + field, e.subject + ".{" + field + "}", e.request.behind(), field})
	}
	return all
}

type form struct {
	channel, address string
	request          *message
	carries          string // the field behind the subject, or ""
}

func (d *document) addEndpoint(channels, operations *object, e *endpoint) {
	what := "read"
	if e.Write {
		what = "write"
	}
	for _, f := range e.forms() {
		channel := newObject().set("address", f.address).set("description", e.Doc).
			set("messages", inBoth(f.request.name))
		if f.carries != "" {
			channel.set("parameters", newObject().set(f.carries, newObject().set("description", parameters[f.carries])))
		}
		channels.set(f.channel, channel)
		operations.set(f.channel, newObject().
			set("action", "receive").
			set("channel", ref("channels", f.channel)).
			set("summary", e.Doc).
			set("description", plainText(e.remarks()+refusals(e))).
			set("tags", list{tag(what)}).
			set("messages", messagesOf(f.channel, f.request.name)).
			set("reply", newObject().
				set("channel", ref("channels", inbox)).
				set("messages", messagesOf(inbox, namesOf(append(e.answers(), d.refusal))...))))
	}
}

var parameters = map[string]string{
	"key":     "The key as subject tokens: config/host is config.host.",
	"name":    "The service's name as one subject token.",
	"prefix":  "A folder as subject tokens, without its last /: all that the request names must lie under it.",
	"id":      "The instance's id as one subject token.",
	"reason":  "Why: restored, rewound or gap.",
	"command": "The command's subject, without prefix.",
}

// refusals says how a request may be refused.
func refusals(e *endpoint) string {
	own, any := e.codes()
	text := func(codes []codec.Code) string {
		var all []string
		for _, c := range codes {
			all = append(all, fmt.Sprintf("`%s` (%d)", c, c.Status()))
		}
		return strings.Join(all, ", ")
	}
	if len(own) == 0 {
		return "May be refused with " + text(any) + "."
	}
	return "May be refused with " + text(own) + "; as any request with " + text(any) + "."
}

func (d *document) addEvent(channels, operations *object, e *event) {
	address, params := e.subject, newObject()
	for _, token := range strings.Split(e.Tail, ".") {
		name := strings.Trim(token, "<>")
		address += ".{" + name + "}"
		params.set(name, newObject().set("description", parameters[name]))
	}
	channels.set(e.Subject, newObject().set("address", address).set("description", e.Doc).
		set("messages", inBoth(e.body.name)).set("parameters", params))
	operations.set(e.Subject, newObject().
		set("action", "send").
		set("channel", ref("channels", e.Subject)).
		set("summary", e.Doc).
		set("tags", list{tag("event")}).
		set("messages", messagesOf(e.Subject, e.body.name)))
}

// inBoth lists a message in both encodings.
func inBoth(name string) *object {
	return newObject().set(name, componentMessage(name)).set(name+inMsgpack, componentMessage(name+inMsgpack))
}

func componentMessage(name string) *object { return ref("components", "messages", name) }

func namesOf(messages []*message) (names []string) {
	for _, m := range messages {
		names = append(names, m.name)
	}
	return names
}

// messagesOf refers to messages of a channel, in both encodings.
func messagesOf(channel string, names ...string) (all list) {
	for _, name := range names {
		all = append(all, ref("channels", channel, "messages", name), ref("channels", channel, "messages", name+inMsgpack))
	}
	return all
}

// inbox is where replies go.
func (d *document) inbox() *object {
	messages := newObject()
	add := func(name string) {
		messages.set(name, componentMessage(name)).set(name+inMsgpack, componentMessage(name+inMsgpack))
	}
	for _, e := range d.endpoints {
		for _, m := range e.answers() {
			add(m.name)
		}
	}
	add(d.refusal.name)
	return newObject().set("address", nil).
		set("description", "The reply subject of the request. Where it has none a command is applied all the same, and nothing is answered.").
		set("messages", messages)
}

// asyncMessages writes every message in both encodings.
func (d *document) asyncMessages() *object {
	all := newObject()
	for _, e := range d.endpoints {
		headers := (*object)(nil)
		if e.Write {
			headers = idHeader()
		}
		addMessage(all, e.request, headers, e.example.request)
		if e.request.bound != "" {
			addMessage(all, e.request.behind(), headers, e.example.request)
		}
		if e.chunk != nil {
			addMessage(all, e.chunk, nil, e.example.chunk)
		}
		addMessage(all, e.reply, nil, e.example.reply)
	}
	samples := make(map[*message]list)
	for _, e := range d.events {
		samples[e.body] = append(samples[e.body], e.example)
	}
	for _, e := range d.events {
		if samples[e.body] != nil {
			addMessage(all, e.body, nil, samples[e.body]...)
			samples[e.body] = nil // events may share a message
		}
	}
	addMessage(all, d.refusal, errorHeaders(), refused)
	return all
}

func addMessage(all *object, m *message, headers *object, samples ...any) {
	var payloads list
	for _, sample := range samples {
		payloads = append(payloads, newObject().set("payload", json.RawMessage(codec.Append(nil, codec.JSON, sample))))
	}
	about, payload := plainText(m.doc), ref("components", "schemas", m.name)
	all.set(m.name, newObject().set("name", m.name).set("summary", about).set("contentType", jsonType).
		setIf(headers != nil, "headers", headers).set("payload", payload).set("examples", payloads))
	all.set(m.name+inMsgpack, newObject().set("name", m.name+inMsgpack).set("summary", about+" In msgpack, with bytes as bin.").
		set("contentType", msgpackType).setIf(headers != nil, "headers", headers).set("payload", payload))
}

func idHeader() *object {
	return newObject().set("type", "object").set("properties", newObject().
		set(subjects.HeaderMsgID, newObject().set("type", "string").set("minLength", 1).set("maxLength", codec.MaxMsgID).
			set("description", "A repeat of a command with the same id within two minutes is not applied again, and answered as the first one.")))
}

func errorHeaders() *object {
	var numbers list
	for _, code := range codec.Codes() {
		numbers = append(numbers, fmt.Sprint(code.Status()))
	}
	return newObject().set("type", "object").set("properties", newObject().
		set(subjects.HeaderError, newObject().set("type", "string").set("description", "A sentence.")).
		set(subjects.HeaderErrorCode, newObject().set("type", "string").set("enum", numbers).set("description", "The code's number."))).
		set("required", list{subjects.HeaderError, subjects.HeaderErrorCode})
}
