package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// Completion of arguments asks the store, but not for long: a shell waits.
const completeTimeout = time.Second

// completer finds what an argument may be.
type completer func(ctx context.Context, s *session, typed string) ([]string, error)

// completers are those of the fields that arguments set.
var completers = map[string]completer{"key": completeKeys, "prefix": completeKeys, "name": completeNames}

// completeArgs completes the arguments, which set the fields; the last one
// may be repeated.
func (a *app) completeArgs(fields ...string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		const nothing = cobra.ShellCompDirectiveNoFileComp
		if len(args) >= len(fields) {
			return nil, nothing
		}
		find := completers[fields[len(args)]]
		if find == nil {
			return nil, nothing
		}
		if err := a.prepare(cmd); err != nil {
			return nil, nothing
		}
		a.timeout = min(a.timeout, completeTimeout)
		s, err := a.open()
		if err != nil {
			return nil, nothing
		}
		defer s.close()
		found, err := find(cmd.Context(), s, typed)
		if err != nil {
			return nil, nothing
		}
		return found, nothing | cobra.ShellCompDirectiveNoSpace
	}
}

// completeKeys goes down one level, as shells do with files.
func completeKeys(ctx context.Context, s *session, typed string) (found []string, err error) {
	page, err := ask(ctx, s, subjects.KVList, &codec.List{Prefix: typed, Delimiter: "/"})
	if err != nil {
		return nil, err
	}
	for _, e := range mergePrefixes(page, false) {
		found = append(found, e.Key)
	}
	return found, nil
}

func completeNames(ctx context.Context, s *session, typed string) (found []string, err error) {
	page, err := ask(ctx, s, subjects.SvcList, &codec.ListServices{Prefix: typed})
	if err != nil {
		return nil, err
	}
	for _, svc := range page.Services {
		found = append(found, svc.Name)
	}
	return found, nil
}
