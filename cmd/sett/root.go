package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/settkv/sett/subjects"
)

// app is one run of the program: its streams and the flags that all client
// commands share.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	connect connectFlags
	timeout time.Duration
	prefix  string // of subjects
	format  string // one of the formats, or "": what suits the command
	quiet   bool
}

const about = `sett is a key-value store and service registry that speaks NATS.

  sett serve                           run a store, with its own NATS server
  sett kv set config/host 10.0.0.1     write a key
  sett kv get config/host              read it
  sett watch                           follow what changes
  sett lock nightly -- ./backup.sh     run a command while holding a lock`

// command builds the whole command line.
func (a *app) command() *cobra.Command {
	root := group(&cobra.Command{
		Use:           "sett",
		Short:         "A key-value store and service registry that speaks NATS",
		Long:          about,
		Version:       versionName(),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.prepare(cmd)
		},
	})
	root.SetVersionTemplate("sett {{.Version}}\n")
	root.SetUsageTemplate(usageTemplate)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if bad, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
			return usagef(cmd, "--%s: %v", bad.GetFlag().Name, cause(bad))
		}
		if strings.HasPrefix(err.Error(), "unknown shorthand") {
			return usagef(cmd, "%v; an argument that begins with - goes behind --", err)
		}
		return usagef(cmd, "%v", err)
	})
	a.addClientFlags(root.PersistentFlags())
	_ = root.RegisterFlagCompletionFunc("output", completeFormat) // the flag is there, so this goes
	root.AddCommand(a.serveCommand(), a.kvCommand(), a.svcCommand(), a.batchCommand(),
		a.lockCommand(), a.envCommand(), a.exportCommand(), a.importCommand(), a.backupCommand(), a.restoreCommand(), a.dataCommand(), a.watchCommand(), a.statusCommand(), a.topCommand(), a.benchCommand(), a.subjectCommand(), a.contractCommand(), a.permissionsCommand(), a.decodeCommand(), a.versionCommand(), a.completionCommand())
	addHelp(root)
	completeChoices(root)
	return root
}

func (a *app) addClientFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&a.connect.server, "server", "s", "", "`URL`s of the NATS servers (default: the context's, else "+defaultURL+")")
	fromEnv(fs, "server", "NATS_URL")
	a.connect.add(fs, natsEnv)
	a.timeout = 5 * time.Second
	addDuration(fs, "timeout", "wait at most `DURATION` for an answer", &a.timeout)
	fromEnv(fs, "timeout", "NATS_TIMEOUT")
	fs.StringVar(&a.prefix, "subject-prefix", "", "the `TOKEN` that all subjects of the store begin with")
	fromEnv(fs, "subject-prefix", "SETT_SUBJECT_PREFIX")
	fs.StringVarP(&a.format, "output", "o", "", "`FORMAT`: table, json (each reply as one line) or raw (the bare result)")
	fs.BoolVarP(&a.quiet, "quiet", "q", false, "no confirmations and no notes, only what was asked for")
}

// prepare runs before every command, when its flags are parsed.
func (a *app) prepare(cmd *cobra.Command) error {
	if err := applyEnv(cmd, os.LookupEnv); err != nil {
		return err
	}
	if err := checkExcluded(cmd); err != nil {
		return err
	}
	if err := checkFormat(cmd, a.format); err != nil {
		return err
	}
	if a.timeout <= 0 {
		return usagef(cmd, "--timeout must be positive")
	}
	if err := subjects.Prefix(a.prefix).Validate(); err != nil {
		return usagef(cmd, "--subject-prefix: %s", strings.TrimPrefix(err.Error(), "invalid: subject-prefix: "))
	}
	return nil
}

// group makes cmd one that only holds others: alone it prints its help.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		text := fmt.Sprintf("there is no command \"%s %s\"", cmd.CommandPath(), args[0])
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			text += "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return usagef(cmd, "%s", text)
	}
	cmd.SuggestionsMinimumDistance = 2
	return cmd
}

// usageTemplate is cobra's without the list of global flags, which would bury
// a command's own; `sett --help` has them.
const usageTemplate = `Usage:
{{- if .HasAvailableSubCommands}}
  {{.CommandPath}} COMMAND{{else}}
  {{.UseLine}}{{end}}
{{- if .Aliases}}

Aliases:
  {{.NameAndAliases}}{{end}}
{{- if .HasExample}}

Examples:
{{.Example}}{{end}}
{{- if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}
{{- if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}
{{- if and .HasAvailableInheritedFlags (ne .Name "serve")}}

Flags for the connection (-s, --context, --creds, ...) and the output (-o, -q):
  see sett --help{{end}}
{{- if .HasAvailableSubCommands}}

"{{.CommandPath}} COMMAND --help" tells more about a command.{{end}}
`
