package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// clearing are the flags of a delete below a prefix.
type clearing struct {
	req         codec.Clear
	yes, dryRun bool
}

func (c *clearing) add(cmd *cobra.Command) {
	addFields(cmd.Flags(), subjects.KVClear.Subject, &c.req)
	cmd.Flags().BoolVarP(&c.yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "only print what would go")
}

func (a *app) kvDelete() *cobra.Command {
	req, c := &codec.Delete{}, &clearing{}
	cmd := &cobra.Command{
		Use:     "delete KEY... | --prefix PREFIX",
		Aliases: []string{"del", "rm"},
		Short:   "Delete keys",
		Long: `Delete keys, or with --prefix everything that begins with a prefix. Deleting
what is not there succeeds. --prefix asks first on a terminal, and wants --yes
elsewhere.`,
		Example: `  sett kv delete config/host
  sett kv delete lock/job --if-revision 17
  sett kv delete --prefix session/ --dry-run
  sett kv delete --prefix session/ --yes`,
		Annotations: map[string]string{subjectsKey: subjects.KVDelete.Subject + " " + subjects.KVClear.Subject},
	}
	addFields(cmd.Flags(), subjects.KVDelete.Subject, req)
	hideField(cmd, "key")
	cmd.ValidArgsFunction = a.completeArgs("key...")
	c.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, keys []string) error {
		if req.Key != "" {
			keys = append(keys, req.Key)
		}
		switch {
		case len(keys) == 0 && c.req.Prefix == "":
			return usagef(cmd, "KEY is missing, or --prefix PREFIX")
		case len(keys) > 0 && c.req.Prefix != "":
			return usagef(cmd, "--prefix does not go with keys")
		case len(keys) > 1 && req.IfRevision != nil:
			return usagef(cmd, "--if-revision is for one key; `sett batch apply` takes several")
		case c.req.Prefix != "" && (req.IfRevision != nil || req.ReturnPrevious):
			return usagef(cmd, "--if-revision and --previous do not go with --prefix")
		case c.req.Prefix != "":
			return a.clear(cmd, c)
		case c.dryRun:
			return usagef(cmd, "--dry-run is for --prefix")
		}
		return a.deleteKeys(cmd.Context(), req, keys)
	}
	return cmd
}

func (a *app) kvClear() *cobra.Command {
	c := &clearing{}
	cmd := &cobra.Command{
		Use:   "clear PREFIX",
		Short: "Delete everything that begins with a prefix",
		Long:  `Delete everything that begins with a prefix, as kv delete --prefix does.`,
		Example: `  sett kv clear session/ --dry-run
  sett kv clear session/ --yes`,
		Annotations: map[string]string{subjectsKey: subjects.KVClear.Subject},
	}
	c.add(cmd)
	hideField(cmd, "prefix")
	cmd.ValidArgsFunction = a.completeArgs("prefix")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			c.req.Prefix = args[0]
		}
		if c.req.Prefix == "" || len(args) > 1 {
			return usagef(cmd, "wants one PREFIX, which is not empty")
		}
		return a.clear(cmd, c)
	}
	return cmd
}

func (a *app) deleteKeys(ctx context.Context, req *codec.Delete, keys []string) error {
	s, err := a.open()
	if err != nil {
		return err
	}
	defer s.close()
	for _, key := range keys {
		one := *req
		one.Key = key
		resp, err := ask(ctx, s, subjects.KVDelete, &one)
		if err == nil {
			err = a.showDeleted(&one, resp)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *app) showDeleted(req *codec.Delete, resp *codec.DeleteReply) error {
	switch a.format {
	case asJSON:
		return a.printJSON(resp)
	case asRaw:
		return a.println(number(resp.Revision))
	}
	if !resp.Deleted {
		return a.say("%s was not there", req.Key)
	}
	if err := a.say("deleted %s %s", req.Key, details(revision(resp.Revision))); err != nil {
		return err
	}
	return a.showPrevious(req.ReturnPrevious, resp.Previous)
}

// clear deletes below a prefix, commit by commit.
func (a *app) clear(cmd *cobra.Command, c *clearing) error {
	if !c.yes && !c.dryRun && !isTerminal(a.stdin) {
		return usagef(cmd, "deleting everything below %q wants --yes (or look first: --dry-run)", c.req.Prefix)
	}
	s, err := a.open()
	if err != nil {
		return err
	}
	defer s.close()
	if !c.yes || c.dryRun {
		keys, err := s.keysBelow(cmd.Context(), c.req.Prefix, c.req.Limit)
		if err != nil {
			return err
		}
		if c.dryRun {
			return a.showDoomed(keys)
		}
		if len(keys) > 0 && !a.confirm(fmt.Sprintf("Delete everything that begins with %q (%s)?", c.req.Prefix, one("key", int64(len(keys))))) {
			return errors.New("nothing was deleted")
		}
	}
	return a.clearAll(cmd.Context(), s, &c.req)
}

func (a *app) clearAll(ctx context.Context, s *session, req *codec.Clear) error {
	var deleted int64
	for left := req.Limit; ; {
		req.Limit = min(left, codec.DefaultPage)
		resp, err := ask(ctx, s, subjects.KVClear, req)
		if err != nil {
			if deleted > 0 {
				a.note("%s were deleted before this", one("key", deleted))
			}
			return err
		}
		if a.format == asJSON {
			if err := a.printJSON(resp); err != nil {
				return err
			}
		}
		deleted += resp.Deleted
		if left > 0 {
			if left -= resp.Deleted; left == 0 {
				break
			}
		}
		if !resp.More {
			break
		}
	}
	switch a.format {
	case asJSON:
		return nil
	case asRaw:
		return a.println(number(deleted))
	}
	return a.say("deleted %s", one("key", deleted))
}

// keysBelow lists what a clear would delete.
func (s *session) keysBelow(ctx context.Context, prefix string, limit int64) (keys []string, err error) {
	list := &codec.List{Prefix: prefix}
	_, err = s.walk(limit, func(limit int64) (string, int, error) {
		list.Limit = limit
		page, err := ask(ctx, s, subjects.KVList, list)
		if err != nil {
			return "", 0, err
		}
		for _, e := range page.Entries {
			keys = append(keys, e.Key)
		}
		list.Cursor = page.Next
		return page.Next, len(page.Entries), nil
	})
	return keys, err
}

func (a *app) showDoomed(keys []string) error {
	for _, key := range keys {
		if err := a.println(key); err != nil {
			return err
		}
	}
	a.note("%s would be deleted", one("key", int64(len(keys))))
	return nil
}

// confirm asks on the terminal.
func (a *app) confirm(question string) bool {
	fmt.Fprintf(a.stderr, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(a.stdin).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true
	}
	return false
}
