package subjects

import (
	"strings"

	"github.com/settkv/sett/codec"
)

// Grant says what a user may do with a store. [Grant.Rights] are the NATS
// permissions for it, on which the promise rests that nobody sees or writes a
// key that is not theirs: whoever has more (_INBOX.>, kv.>, streams of the
// account) is outside of it.
type Grant struct {
	// Prefix is the token that the store's subjects begin with.
	Prefix Prefix
	// Read and Write are prefixes of keys, each ending in "/". To write does
	// not include to read, but return_previous shows what a write replaces.
	Read, Write []string
	// Find and Serve are names of services: to find instances and follow them,
	// and to register, keep and deregister them too, also those of others.
	Find, Serve []string
	// Admin is everything that the store answers, and its whole feed.
	Admin bool
	// Consumer is the one name that the user's consumer of the durable feed
	// has. "": the user follows the live feed only.
	Consumer string
	// Inbox is what the user's inboxes begin with, and those of nobody else.
	Inbox string
}

// StoreGrant says what the store's own user needs on a broker that is not
// embedded.
type StoreGrant struct {
	// Prefix is the token that the store's subjects begin with.
	Prefix Prefix
	// Inbox is what the store's own inboxes begin with.
	Inbox string
	// Inboxes are what those begin with that ask the store.
	Inboxes []string
	// Discover: the store registers NATS services.
	Discover bool
}

// Right is one subject that a user may publish on, or subscribe to.
type Right struct {
	Subject string
	For     string // what it is good for
}

// Rights are permissions as NATS servers have them: allowed is what is listed.
type Rights struct {
	Publish, Subscribe []Right
	// Responses: the user may answer messages, on their reply subjects.
	Responses bool
}

// PrivateInbox is what the inboxes of a user begin with, unless it is given
// another. All of them lie below _INBOX, where the store may answer.
func PrivateInbox(user string) string {
	parts := strings.Split(user, "/") // a user's name is one token
	for i, part := range parts {
		parts[i] = Tokens(part)
	}
	return "_INBOX." + strings.Join(parts, "%2F")
}

// Validate says what is wrong with the grant, if anything.
func (g *Grant) Validate() error {
	if err := g.Prefix.Validate(); err != nil {
		return err
	}
	for field, prefixes := range map[string][]string{"read": g.Read, "write": g.Write} {
		for _, prefix := range prefixes {
			if !strings.HasSuffix(prefix, "/") {
				return codec.Invalidf(field, `is %q, but must end in "/": permissions cover whole tokens of a key`, prefix)
			}
			if err := codec.ValidateKey(prefix); err != nil {
				return codec.Invalidf(field, "is %q: %v", prefix, err)
			}
		}
	}
	for field, names := range map[string][]string{"find": g.Find, "service": g.Serve} {
		for _, name := range names {
			if err := (&codec.GetService{Name: name}).Validate(); err != nil {
				return codec.Invalidf(field, "is %q: %v", name, err)
			}
		}
	}
	if err := checkConsumer(g.Consumer); err != nil {
		return err
	}
	if g.Consumer != "" && !g.Admin && len(g.Read)+len(g.Find)+len(g.Serve) == 0 {
		return codec.Invalidf("consumer", "has nothing to follow: give a prefix to read, or a service")
	}
	return checkInbox(g.Inbox)
}

// Validate says what is wrong with the grant, if anything.
func (g *StoreGrant) Validate() error {
	if err := g.Prefix.Validate(); err != nil {
		return err
	}
	for _, inbox := range append([]string{g.Inbox}, g.Inboxes...) {
		if err := checkInbox(inbox); err != nil {
			return err
		}
	}
	return nil
}

// checkInbox checks what inboxes begin with: a subject without wildcards, and
// none of the server's or the store's own.
func checkInbox(inbox string) error {
	for token := range strings.SplitSeq(inbox, ".") {
		if token == "" || strings.ContainsAny(token, "*> \t\r\n\"\\") {
			return codec.Invalidf("inbox-prefix", "is %q, but must be a subject without wildcards, as _INBOX.app", inbox)
		}
	}
	if inbox[0] == '$' || strings.HasPrefix(inbox+".", "_sett.") {
		return codec.Invalidf("inbox-prefix", "is %q, where the store answers nobody", inbox)
	}
	return nil
}

// Rights are the permissions that the grant amounts to.
func (g *Grant) Rights() *Rights {
	r := &Rights{}
	if g.Admin {
		g.admin(r)
	}
	for _, prefix := range g.Write {
		g.keys(r, prefix, true)
	}
	for _, prefix := range g.Read {
		g.keys(r, prefix, false)
		r.subscribe(KVChanged.Under(g.Prefix, prefix), "changes of keys below "+prefix)
	}
	for _, name := range g.Serve {
		g.service(r, name, true)
	}
	for _, name := range append(g.Serve[:len(g.Serve):len(g.Serve)], g.Find...) {
		g.service(r, name, false)
		r.subscribe(SvcChanged.Under(g.Prefix, name+"/"), "changes of instances of "+name)
	}
	if len(r.Subscribe) > 0 && !g.Admin {
		r.subscribe(StoreChanged.Under(g.Prefix, ""), "a new epoch: load again")
	}
	if g.Consumer != "" && !g.Admin {
		g.durable(r)
	}
	r.subscribe(g.Inbox+".>", "answers, and nobody else's")
	return r
}

// keys allows the endpoints that take keys below a prefix.
func (g *Grant) keys(r *Rights, prefix string, write bool) {
	scope := Tokens(prefix[:len(prefix)-1])
	for _, info := range All() {
		subject := g.Prefix.Wrap(info.Subject) + "." + scope
		switch {
		case info.Write != write:
		case info.Form == Keyed:
			r.publish(subject+".>", info.Doc)
		case info.Form == Scoped:
			r.publish(subject, info.Doc)
			r.publish(subject+".>", "the same, below a longer prefix")
		}
	}
}

// service allows the endpoints that take the name of a service.
func (g *Grant) service(r *Rights, name string, write bool) {
	for _, info := range All() {
		if info.Form == Named && info.Write == write {
			r.publish(g.Prefix.Wrap(info.Subject)+"."+Tokens(name), info.Doc)
		}
	}
}

// durable allows one consumer of the durable feed, with the filters that the
// user may subscribe to. Never STREAM.INFO, which shows every key.
func (g *Grant) durable(r *Rights) {
	stream := g.Prefix.Stream()
	for _, feed := range r.Subscribe {
		if feed.Subject != StoreChanged.Under(g.Prefix, "") { // that one is followed live
			r.publish(consumerCall(consumerCreate, stream, g.Consumer)+"."+feed.Subject, "the durable feed, by the consumer "+g.Consumer)
		}
	}
	for _, verb := range []string{consumerNext, consumerInfos, consumerDelete} {
		r.publish(consumerCall(verb, stream, g.Consumer), "")
	}
	r.publish(consumerAck(stream, g.Consumer)+".>", "acknowledge what it has brought")
}

// admin allows everything that the store answers and tells, and every consumer
// of its feed. Never to publish an event: kv.> would be too much.
func (g *Grant) admin(r *Rights) {
	for _, info := range All() {
		r.publish(g.Prefix.Wrap(info.Subject), info.Doc)
		if info.Form != Bare {
			r.publish(g.Prefix.Wrap(info.Subject)+".>", "")
		}
	}
	r.publish(serviceQuestions, "ask what NATS services there are")
	stream := g.Prefix.Stream()
	r.publish("$JS.API.STREAM.INFO."+stream, "the durable feed, by any consumer")
	for _, verb := range []string{consumerCreate, consumerNext, consumerInfos, consumerDelete} {
		r.publish(consumerCall(verb, stream, ">"), "")
	}
	r.publish(consumerAck(stream, ">"), "")
	for _, event := range Events() {
		r.subscribe(g.Prefix.Wrap(event.Subject)+".>", event.Doc)
	}
	r.Responses = true // the chunks of a backup are acknowledged
}

// serviceQuestions are the subjects on which NATS services are asked.
const serviceQuestions = "$SRV.>"

// Rights are the permissions that the grant amounts to. The publish list keeps
// a requester, who chooses the reply subject, from borrowing more of them.
func (g *StoreGrant) Rights() *Rights {
	r := &Rights{}
	for _, inbox := range g.Inboxes {
		r.publish(inbox+".>", "replies")
	}
	for _, event := range Events() {
		r.publish(g.Prefix.Wrap(event.Subject)+".>", event.Doc)
	}
	r.publish(g.Prefix.Private("claim"), "tell other stores that it serves here")
	r.publish(g.Prefix.Private("feed.>"), "the durable feed, into its stream")
	stream := g.Prefix.Stream()
	for _, call := range []string{"INFO", "STREAM.NAMES"} {
		r.publish("$JS.API."+call, "is there JetStream, and does a stream capture requests?")
	}
	for _, call := range []string{"CREATE", "INFO", "UPDATE", "PURGE", "MSG.GET"} {
		r.publish("$JS.API.STREAM."+call+"."+stream, "the stream of the durable feed")
	}
	if g.Discover {
		r.publish(serviceQuestions, "ask for NATS services, to register them")
	}
	for _, info := range All() {
		r.subscribe(g.Prefix.Wrap(info.Subject), info.Doc)
		r.subscribe(g.Prefix.Wrap(info.Subject)+".>", "")
	}
	r.subscribe(g.Prefix.Private("claim"), "hear other stores")
	r.subscribe(serviceQuestions, "answer as a NATS service")
	r.subscribe(g.Inbox+".>", "answers to its own questions")
	return r
}

func (r *Rights) publish(subject, what string)   { r.Publish = include(r.Publish, subject, what) }
func (r *Rights) subscribe(subject, what string) { r.Subscribe = include(r.Subscribe, subject, what) }

// include adds a subject that is not listed yet.
func include(list []Right, subject, what string) []Right {
	for _, right := range list {
		if right.Subject == subject {
			return list
		}
	}
	return append(list, Right{subject, what})
}
