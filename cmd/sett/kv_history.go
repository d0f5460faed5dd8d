package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// history is a run of `sett kv history`.
type history struct {
	a        *app
	key      string
	limit    int
	reverse  bool
	consumer string
}

func (a *app) kvHistory() *cobra.Command {
	h := &history{a: a}
	cmd := &cobra.Command{
		Use:   "history KEY",
		Short: "Show every change of a key that the durable feed still has",
		Long: `Show every change of a key that the durable feed still has, the newest last. It
says where the feed begins, if it does not have everything. With -o json each
change as one line of JSON, with -o raw the values that were set, a line each.`,
		Example: `  sett kv history config/host
  sett kv history config/host --limit 10 --reverse
  sett kv history config/host -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return usagef(cmd, "KEY is missing")
			case len(args) > 1:
				return usagef(cmd, "too many arguments: %q", args[1:])
			case h.limit < 0:
				return usagef(cmd, "--limit must not be negative")
			}
			h.key = args[0]
			return h.run(cmd.Context())
		},
	}
	cmd.ValidArgsFunction = a.completeArgs("key")
	cmd.Flags().IntVar(&h.limit, "limit", 0, "the newest `N` changes only (0: all)")
	cmd.Flags().BoolVar(&h.reverse, "reverse", false, "the newest first")
	cmd.Flags().StringVar(&h.consumer, "consumer", "", "`NAME` of the JetStream consumer, for users who may use only one")
	return cmd
}

func (h *history) run(ctx context.Context) error {
	s, err := h.a.open()
	if err != nil {
		return err
	}
	defer s.close()
	client, err := subjects.NewClient(s.nc, subjects.Options{Prefix: s.prefix, Timeout: s.timeout})
	if err != nil {
		return err
	}
	found, err := client.History(ctx, h.key, subjects.HistoryOptions{Limit: h.limit, Consumer: h.consumer})
	if err != nil {
		return s.failed("kv history", err)
	}
	if h.reverse {
		slices.Reverse(found.Changes)
	}
	if err := h.print(found.Changes); err != nil {
		return err
	}
	if found.Begins > 1 {
		h.a.note("the feed begins at revision %d; what changed before is not in it", found.Begins)
	}
	if len(found.Changes) == 0 {
		h.a.note("no changes of %s", h.key)
	}
	return nil
}

func (h *history) print(changes []codec.Change) error {
	if h.a.format == asJSON || h.a.format == asRaw {
		for i := range changes {
			if err := h.line(&changes[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if len(changes) == 0 {
		return nil
	}
	var rows [][]string
	for _, c := range changes {
		at := time.UnixMilli(c.TimeMs).Format("2006-01-02 15:04:05.000")
		rows = append(rows, []string{number(c.Revision), at, c.Op, ttl(c.TTLMs), printable(c.Value)})
	}
	return h.a.table([]string{"REVISION", "TIME", "OP", "TTL", "VALUE"}, rows)
}

// line prints a change for programs.
func (h *history) line(c *codec.Change) error {
	switch {
	case h.a.format == asJSON:
		return h.a.printJSON(c)
	case c.Op == codec.OpSet:
		return h.a.println(string(c.Value))
	}
	return nil
}
