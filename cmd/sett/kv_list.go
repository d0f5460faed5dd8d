package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

func (a *app) kvList() *cobra.Command {
	return verb[codec.List, codec.ListReply]{
		endpoint: subjects.KVList,
		command: cobra.Command{
			Use:     "list [PREFIX]",
			Aliases: []string{"ls"},
			Short:   "List keys in byte order",
			Long: `List the keys that begin with PREFIX, in byte order: all pages, unless --limit
stops earlier. With -o raw the keys alone, a line each.`,
			Example: `  sett kv list
  sett kv list config/ --values
  sett kv list --tree
  sett kv list log/ --reverse --limit 10`,
		},
		args: []string{"prefix?"},
		flags: func(cmd *cobra.Command, req *codec.List) {
			addSwitch(cmd.Flags(), "tree", "one level only; the same as --delimiter /", func() { req.Delimiter = "/" })
			exclude(cmd, "tree", "delimiter")
		},
		run: func(ctx context.Context, s *session, req *codec.List) error {
			var all []codec.Entry
			next, err := s.walk(req.Limit, func(limit int64) (string, int, error) {
				req.Limit = limit
				page, err := ask(ctx, s, subjects.KVList, req)
				if err != nil {
					return "", 0, err
				}
				req.After, req.Cursor = "", page.Next
				found := mergePrefixes(page, req.Reverse)
				if s.app.format == "" || s.app.format == asTable {
					all = append(all, found...)
					return page.Next, len(found), nil
				}
				return page.Next, len(found), s.app.printPage(page, found)
			})
			if err != nil {
				return err
			}
			return showRows(s.app, all, "keys", next, func(list []codec.Entry) error {
				return s.app.entries(list, req.ReturnValues)
			})
		},
	}.build(a)
}

// walk asks for page after page until there are no more, or limit entries
// came. It returns where to go on. 0 is no limit.
func (s *session) walk(limit int64, page func(limit int64) (next string, n int, err error)) (string, error) {
	for came := int64(0); ; {
		ask := limit // none, or one that the store refuses
		if limit > 0 {
			ask = min(limit-came, codec.MaxPage)
		}
		next, n, err := page(ask)
		if err != nil || next == "" {
			return "", err
		}
		if came += int64(n); limit > 0 && came >= limit {
			return next, nil
		}
	}
}

// showRows prints what a walk found for people, and where to go on.
func showRows[Item any](a *app, all []Item, what, next string, table func([]Item) error) error {
	switch {
	case a.format == asJSON:
		return nil
	case next != "":
		defer a.note("there is more: --cursor %s", next)
	}
	if a.format == asRaw {
		return nil
	}
	if len(all) == 0 {
		a.note("no %s", what)
		return nil
	}
	return table(all)
}

// mergePrefixes puts the folded prefixes among the entries, in order.
func mergePrefixes(page *codec.ListReply, reverse bool) []codec.Entry {
	all := page.Entries
	for _, prefix := range page.Prefixes {
		all = append(all, codec.Entry{Key: prefix})
	}
	slices.SortFunc(all, func(x, y codec.Entry) int {
		order := strings.Compare(x.Key, y.Key)
		if reverse {
			return -order
		}
		return order
	})
	return all
}

// printPage prints a page for programs: as it came, or the keys alone.
func (a *app) printPage(page *codec.ListReply, found []codec.Entry) error {
	if a.format == asJSON {
		return a.printJSON(page)
	}
	for _, e := range found {
		if err := a.println(e.Key); err != nil {
			return err
		}
	}
	return nil
}
