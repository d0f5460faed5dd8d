package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/subjects"
)

func (a *app) permissionsCommand() *cobra.Command {
	p := &permissions{a: a}
	cmd := &cobra.Command{
		Use:   "permissions --user USER",
		Short: "Print the NATS permissions of a user of the store",
		Long: `Print the permissions that let a user of a NATS server do so much with a store
and nothing else, to paste into the server's configuration beside the user's
password or nkey. It connects to nothing. With -o json as JSON, with -o raw as
flags of nsc, for servers with an operator.

What they allow is what the subject says: who reads config/ may ask on
kv.get.config.> and follow kv.changed.config.>, and sees no other key. That
holds for users whose inboxes are their own: connect with the --inbox-prefix
that is printed (_INBOX.USER), in Go nats.CustomInboxPrefix.

--consumer is for users whom you trust with the feed's history: JetStream
answers a pull on whatever subject its user names, also that which deletes the
stream. Keys and services are safe from that, and the store makes its stream
anew.

--store prints what the store's own user needs where the store joins a NATS
server instead of bringing its own. It answers users in _INBOX.>, and in each
--inbox-prefix beside the first, which is its own.`,
		Example: `  sett permissions --user app --read config/ --write app/x/
  sett permissions --user app --read config/ --consumer app
  sett permissions --user web-1 --service web --find db
  sett permissions --user ops --admin
  sett permissions --user sett --store
  nsc edit user app $(sett permissions --user app --read config/ -o raw)`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.check(cmd); err != nil {
				return usagef(cmd, "%s", strings.TrimPrefix(err.Error(), "invalid: "))
			}
			return p.print()
		},
	}
	p.add(cmd)
	return cmd
}

// permissions is one run of `sett permissions`.
type permissions struct {
	a       *app
	user    string
	grant   subjects.Grant
	store   bool
	own     subjects.StoreGrant
	inboxes []string
}

// add defines the flags. Those that the connection has too mean another thing
// here: nobody connects.
func (p *permissions) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&p.user, "user", "", "name of the `USER`, or its public nkey")
	fs.StringArrayVar(&p.grant.Read, "read", nil, "read and follow keys below `PREFIX`, which ends in /; may be repeated")
	fs.StringArrayVar(&p.grant.Write, "write", nil, "write keys below `PREFIX`; may be repeated")
	fs.StringArrayVar(&p.grant.Serve, "service", nil, "register, keep, deregister and find instances of the service `NAME`; may be repeated")
	fs.StringArrayVar(&p.grant.Find, "find", nil, "find and follow instances of the service `NAME`; may be repeated")
	fs.BoolVar(&p.grant.Admin, "admin", false, "everything that the store answers, and its whole feed")
	fs.StringVar(&p.grant.Consumer, "consumer", "", "follow the durable feed too, by a consumer of this `NAME`")
	fs.BoolVar(&p.store, "store", false, "the store's own user")
	fs.BoolVar(&p.own.Discover, "discover-services", false, "with --store: it registers NATS services, as with this flag of sett serve")
	fs.StringArrayVar(&p.inboxes, "inbox-prefix", nil, "`SUBJECT` that the user's inboxes begin with (default _INBOX.USER)")
}

// check completes the grant, and says what is wrong with it.
func (p *permissions) check(cmd *cobra.Command) error {
	if p.user == "" {
		return fmt.Errorf("--user USER must say whose permissions to print")
	}
	if len(p.inboxes) == 0 {
		p.inboxes = []string{subjects.PrivateInbox(p.user)}
	}
	p.grant.Prefix, p.own.Prefix = subjects.Prefix(p.a.prefix), subjects.Prefix(p.a.prefix)
	p.grant.Inbox, p.own.Inbox = p.inboxes[0], p.inboxes[0]
	p.own.Inboxes = append([]string{"_INBOX"}, p.inboxes[1:]...)
	if p.store {
		for _, name := range []string{"read", "write", "service", "find", "admin", "consumer"} {
			if cmd.Flags().Changed(name) {
				return fmt.Errorf("--%s is for users, and --store is the store's own", name)
			}
		}
		return p.own.Validate()
	}
	if p.own.Discover || len(p.inboxes) > 1 {
		return fmt.Errorf("--discover-services, and --inbox-prefix more than once, go with --store")
	}
	g := &p.grant
	if !g.Admin && len(g.Read)+len(g.Write)+len(g.Serve)+len(g.Find) == 0 {
		return fmt.Errorf("say what the user may do: --read, --write, --service, --find, --admin or --store")
	}
	return g.Validate()
}

func (p *permissions) print() error {
	rights := p.grant.Rights()
	if p.store {
		rights = p.own.Rights()
	}
	switch p.a.format {
	case asJSON:
		return p.printJSON(rights)
	case asRaw:
		return p.a.println(nscFlags(rights))
	}
	_, err := p.a.stdout.Write(p.config(rights))
	return err
}

// config is the block as it stands in the configuration of a NATS server.
func (p *permissions) config(rights *subjects.Rights) []byte {
	var b bytes.Buffer
	who, how := "a user of the store", "connect with"
	if p.store {
		who, how = "the store's own user", "run sett serve with"
	}
	fmt.Fprintf(&b, "# %q, %s: %s --inbox-prefix %s\n", p.user, who, how, p.inboxes[0])
	if p.grant.Consumer != "" && !p.grant.Admin {
		b.WriteString("# With a consumer the user can make JetStream delete the feed's history, but no key: see --help.\n")
	}
	b.WriteString("permissions: {\n")
	writeSide(&b, "publish", rights.Publish)
	writeSide(&b, "subscribe", rights.Subscribe)
	if rights.Responses {
		b.WriteString("  allow_responses: true # acknowledge the chunks of a backup\n")
	}
	b.WriteString("}\n")
	return b.Bytes()
}

// writeSide writes one of the two lists, a line for each subject.
func writeSide(b *bytes.Buffer, side string, list []subjects.Right) {
	widest := 0
	for _, right := range list {
		widest = max(widest, len(right.Subject))
	}
	fmt.Fprintf(b, "  %s: { allow: [\n", side)
	for _, right := range list {
		line := fmt.Sprintf("    %-*s", widest+2, `"`+right.Subject+`"`)
		if right.For != "" {
			line += " # " + strings.TrimSuffix(printable([]byte(right.For)), ".")
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	b.WriteString("  ] }\n")
}

// allowList is one side of permissions as NATS has them in JSON.
type allowList struct {
	Allow []string `json:"allow"`
}

// allows are both.
type allows struct {
	Publish   allowList `json:"publish"`
	Subscribe allowList `json:"subscribe"`
	Responses bool      `json:"allow_responses,omitempty"`
}

func allowed(list []subjects.Right) (a allowList) {
	for _, right := range list {
		a.Allow = append(a.Allow, right.Subject)
	}
	return a
}

func (p *permissions) printJSON(rights *subjects.Rights) error {
	enc := json.NewEncoder(p.a.stdout)
	enc.SetEscapeHTML(false) // ">" is part of most subjects
	return enc.Encode(struct {
		User        string `json:"user"`
		InboxPrefix string `json:"inbox_prefix"`
		Permissions allows `json:"permissions"`
	}{p.user, p.inboxes[0], allows{allowed(rights.Publish), allowed(rights.Subscribe), rights.Responses}})
}

// nscFlags are the same for `nsc add user` and `nsc edit user`.
func nscFlags(rights *subjects.Rights) string {
	flags := "--allow-pub " + strings.Join(allowed(rights.Publish).Allow, ",") +
		" --allow-sub " + strings.Join(allowed(rights.Subscribe).Allow, ",")
	if rights.Responses {
		flags += " --allow-pub-response"
	}
	return flags
}
