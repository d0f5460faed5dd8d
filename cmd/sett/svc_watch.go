package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
)

func (a *app) svcWatch() *cobra.Command {
	w := &watch{a: a, services: true}
	cmd := &cobra.Command{
		Use:   "watch [NAME]",
		Short: "Print what happens to services as it happens",
		Long: `Print what happens to the instances of the service NAME, or of all, a line each:
register (also a change of the status, the note, the tags, ...; it says what was
before, where it has seen that), deregister and expire. Renewals are not told.

It begins now; with --list what is there comes first, as "present". What happens
while the connection is down is missed (it says so). With -o json each event is
one line of JSON, and what is present looks like an event with time_ms 0.`,
		Example: `  sett svc watch
  sett svc watch web --list
  sett svc watch web -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef(cmd, "wants one NAME at most")
			}
			w.name = strings.Join(args, "")
			return w.run(cmd.Context())
		},
	}
	cmd.ValidArgsFunction = a.completeArgs("name")
	cmd.Flags().BoolVar(&w.list, "list", false, "begin with the instances that are there")
	cmd.Flags().IntVar(&w.count, "count", 0, "end after `N` changes")
	return cmd
}

// knew takes note of what a change says about an instance, and returns what
// was known before, or nil.
func (w *watch) knew(c *codec.Change) *codec.Instance {
	key := c.Name + "\x00" + c.ID
	before := w.known[key]
	if c.Op == codec.OpRegister && c.Instance != nil {
		w.known[key] = c.Instance
	} else {
		delete(w.known, key)
	}
	return before
}

// differences say what an instance was before, as far as that is known.
func differences(before, after *codec.Instance) (told []string) {
	if before == nil || after == nil {
		return nil
	}
	was := func(what, x, y string) {
		switch {
		case x == y:
		case x == "":
			told = append(told, "no "+what+" before")
		default:
			told = append(told, what+" before: "+printable([]byte(x)))
		}
	}
	was("status", before.Status, after.Status)
	was("note", before.Note, after.Note)
	was("address", address(*before), address(*after))
	was("tags", strings.Join(before.Tags, ","), strings.Join(after.Tags, ","))
	was("meta", pairs(before.Meta), pairs(after.Meta))
	was("ttl", ttl(before.TTLMs), ttl(after.TTLMs))
	return told
}
