package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
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

// listed is up to which revision a listing has shown each service. What is in
// it is told; an event that is not above it is not told again.
type listed struct {
	epoch  uint64
	all    uint64            // of the names
	byName map[string]uint64 // of their instances
}

func (l *listed) has(c *codec.Change) bool {
	return c.Name != "" && c.Epoch == l.epoch && c.Revision <= max(l.all, l.byName[c.Name])
}

// present tells the instances that are there. The events since are waiting.
func (w *watch) present(ctx context.Context, s *session) error {
	names := []string{w.name}
	w.shown.byName = make(map[string]uint64)
	if w.name == "" {
		list := &codec.ListServices{}
		names = nil
		_, err := s.walk(0, func(limit int64) (string, int, error) {
			list.Limit = limit
			page, err := ask(ctx, s, subjects.SvcList, list)
			if err != nil {
				return "", 0, err
			}
			for _, svc := range page.Services {
				names = append(names, svc.Name)
			}
			w.shown.epoch, w.shown.all, list.Cursor = page.Epoch, page.StoreRevision, page.Next
			return page.Next, len(page.Services), nil
		})
		if err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := w.presentOf(ctx, s, name); err != nil {
			return err
		}
	}
	return nil
}

func (w *watch) presentOf(ctx context.Context, s *session, name string) error {
	get := &codec.GetService{Name: name, Statuses: allStatuses}
	_, err := s.walk(0, func(limit int64) (string, int, error) {
		get.Limit = limit
		page, err := ask(ctx, s, subjects.SvcGet, get)
		if err != nil {
			return "", 0, err
		}
		for i := range page.Instances {
			in := &page.Instances[i]
			err := w.print(&codec.Change{
				Op: codec.OpRegister, Name: in.Name, ID: in.ID, Revision: in.Revision, Epoch: page.Epoch,
				TTLMs: in.TTLMs, ExpiresAtMs: in.ExpiresAtMs, Instance: in,
			}, nil)
			if err != nil {
				return "", 0, err
			}
		}
		w.shown.epoch, w.shown.byName[name], get.Cursor = page.Epoch, page.StoreRevision, page.Next
		return page.Next, len(page.Instances), nil
	})
	return err
}

// holds reports whether an instance is known as it was then, or later: a late
// page of a listing may show it newer than the first one.
func (w *watch) holds(c *codec.Change) bool {
	known := w.known[c.Name+"\x00"+c.ID]
	return w.list && known != nil && c.Epoch == w.shown.epoch && c.Revision <= known.Revision
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
