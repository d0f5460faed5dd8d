package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/engine"
	"github.com/settkv/sett/subjects"
)

// Completion of arguments asks the store, but not for long: a shell waits.
const completeTimeout = time.Second

// completer finds what an argument may be.
type completer func(ctx context.Context, s *session, typed string) ([]string, error)

// completers are those of the fields that arguments set.
var completers = map[string]completer{"key": completeKeys, "prefix": completeKeys, "name": completeNames}

// completeArgs completes the arguments, which set the fields; one with "..." may
// be repeated.
func (a *app) completeArgs(fields ...string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		const nothing = cobra.ShellCompDirectiveNoFileComp
		field, last := "", fields[len(fields)-1]
		switch {
		case len(args) < len(fields):
			field = fields[len(args)]
		case strings.HasSuffix(last, "..."):
			field = last
		}
		if field == "id" {
			return a.completeIDs(cmd, args, typed)
		}
		find := completers[strings.TrimSuffix(field, "...")]
		if find == nil {
			return nil, nothing
		}
		return a.completeAsking(cmd, func(ctx context.Context, s *session) ([]string, error) {
			return find(ctx, s, typed)
		})
	}
}

// completeAsking completes with what the store answers, or nothing.
func (a *app) completeAsking(cmd *cobra.Command, find func(context.Context, *session) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	const nothing = cobra.ShellCompDirectiveNoFileComp
	if err := a.prepare(cmd); err != nil {
		return nil, nothing
	}
	a.timeout = min(a.timeout, completeTimeout)
	s, err := a.open()
	if err != nil {
		return nil, nothing
	}
	defer s.close()
	found, err := find(cmd.Context(), s)
	if err != nil {
		return nil, nothing
	}
	if slices.ContainsFunc(found, func(one string) bool { return strings.HasSuffix(one, "/") }) {
		return found, nothing | cobra.ShellCompDirectiveNoSpace // it goes on
	}
	return found, nothing
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

// completeIDs completes the instance of the service that the first argument
// names.
func (a *app) completeIDs(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.completeAsking(cmd, func(ctx context.Context, s *session) (found []string, err error) {
		all := []string{codec.Passing, codec.Warning, codec.Critical}
		reply, err := ask(ctx, s, subjects.SvcGet, &codec.GetService{Name: args[0], Statuses: all})
		if err != nil {
			return nil, err
		}
		for _, in := range reply.Instances {
			if strings.HasPrefix(in.ID, typed) {
				found = append(found, in.ID)
			}
		}
		return found, nil
	})
}

// choices are the values of flags that have only so many.
var choices = map[string][]string{
	"engine":        {engine.Badger, engine.Memory},
	"feed":          {codec.FeedDurable, codec.FeedLive},
	"feed-encoding": {"json", "msgpack"},
	"feed-storage":  {"file", "memory"},
	"log-level":     {"debug", "info", "warn", "error"},
	"log-format":    {"auto", "text", "json"},
	"status":        {codec.Passing, codec.Warning, codec.Critical},
	"statuses":      {codec.Passing, codec.Warning, codec.Critical},
	"pick":          {codec.PickRandom, codec.PickRendezvous},
}

// completeChoices has every command complete them.
func completeChoices(cmd *cobra.Command) {
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if values := choices[f.Name]; values != nil {
			_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // once for each
		}
	})
	for _, sub := range cmd.Commands() {
		completeChoices(sub)
	}
}

// completionCommand stands in for cobra's, which takes any argument for a
// question and has help of its own manner.
func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a script that completes command lines in your shell",
		Long: `Print a script that completes commands, flags, keys, names and ids in your
shell: bash (with its package bash-completion), zsh, fish or powershell. Keys,
names and ids are those of the store that the command itself would ask.`,
		Example: `  source <(sett completion bash)
  sett completion bash > /etc/bash_completion.d/sett
  sett completion zsh > "${fpath[1]}/_sett"
  sett completion fish > ~/.config/fish/completions/sett.fish`,
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef(cmd, "wants one SHELL: %s", strings.Join(cmd.ValidArgs, ", "))
			}
			switch root := cmd.Root(); args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.stdout, true)
			case "zsh":
				return root.GenZshCompletion(a.stdout)
			case "fish":
				return root.GenFishCompletion(a.stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.stdout)
			}
			return usagef(cmd, "SHELL is %q, but must be one of %s", args[0], strings.Join(cmd.ValidArgs, ", "))
		},
	}
}

// addHelp adds cobra's help command, for which a command that is not there is
// an error.
func addHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	help, _, _ := root.Find([]string{"help"}) // it is there now
	help.Use, help.Long, help.Example = "help [COMMAND]", "Help about any command, as its --help prints it.", "  sett help kv set"
	help.Run, help.RunE = nil, func(_ *cobra.Command, args []string) error {
		about, rest, err := root.Find(args)
		if err != nil || len(rest) > 0 {
			return usagef(root, "there is no command %q", strings.Join(append([]string{root.Name()}, args...), " "))
		}
		about.InitDefaultHelpFlag()
		about.InitDefaultVersionFlag()
		return about.Help()
	}
}
