package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

func (a *app) envCommand() *cobra.Command {
	e := &env{a: a, grace: 10 * time.Second, settle: 200 * time.Millisecond}
	cmd := &cobra.Command{
		Use:   "env PREFIX -- COMMAND ARGS",
		Short: "Run a command with keys as its environment",
		Long: `Run a command with the keys below PREFIX as its environment: below config/ the
key config/db/host is DB_HOST. Names are in upper case, and what is neither a
letter, a digit nor _ becomes _. They are added to the environment that is
there, and replace variables of the same name; so whoever may write below PREFIX
decides how the command runs. Two keys of one name are an error, as is a value
with a NUL byte.

With --restart-on-change the command is ended when that changes (SIGTERM, and
SIGKILL with its process group after --grace) and started again, but not before
the keys have been quiet for --settle. What would be an error is told, and the
command runs on as it is. It also runs on while the server is away.

SIGINT, SIGTERM and SIGHUP go to the command. Status: the command's (128 and the
signal's number if one ended it), 126 and 127 it cannot be run.`,
		Example: `  sett env config/ -- ./server
  sett env config/web/ --restart-on-change -- ./web --port 8080
  sett env config/ -- env`,
		Args: thenCommand("PREFIX"),
		RunE: func(cmd *cobra.Command, args []string) error {
			e.prefix, e.argv = args[0], args[1:]
			if e.prefix != "" && !strings.HasSuffix(e.prefix, "/") {
				e.prefix += "/"
			}
			if e.prefix == "/" {
				return usagef(cmd, "PREFIX is %q; give '' for all keys", args[0])
			}
			return e.run(cmd.Context())
		},
	}
	cmd.ValidArgsFunction = a.completeArgs("prefix")
	cmd.Flags().BoolVar(&e.restart, "restart-on-change", false, "end the command when a key changes, and start it again")
	addDuration(cmd.Flags(), "grace", "`DURATION` that the command may take to end before SIGKILL", &e.grace)
	addDuration(cmd.Flags(), "settle", "`DURATION` that the keys must be quiet before it is started again", &e.settle)
	return cmd
}

// env is one run of `sett env`.
type env struct {
	a             *app
	prefix        string // "" or ends in "/"
	argv          []string
	restart       bool
	grace, settle time.Duration
}

func (e *env) run(ctx context.Context) error {
	s, err := e.a.open()
	if err != nil {
		return err
	}
	defer s.close()
	client, err := subjects.NewClient(s.nc, subjects.Options{Prefix: s.prefix, Timeout: s.timeout})
	if err != nil {
		return err
	}
	if e.restart {
		return e.follow(ctx, s, client)
	}
	values := make(map[string][]byte)
	for entry, err := range client.List(ctx, e.prefix) {
		if err != nil {
			return s.failed(subjects.KVList.Subject, err)
		}
		values[entry.Key] = entry.Value
	}
	vars, err := environment(e.prefix, values)
	if err != nil {
		return err
	}
	s.close() // the command may run for long
	signals, stop := catchSignals(ctx, relayed)
	defer stop()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c, err := e.a.startChild(e.argv, vars)
	if err != nil {
		return err
	}
	await(c, signals)
	return c.status()
}

// failed is an error of the client as other commands report it.
func (s *session) failed(subject string, err error) error {
	if refusal, ok := errors.AsType[*codec.Error](err); ok {
		return &failure{subject: subject, server: s.where(), err: refusal}
	}
	return err
}

// environment makes variables of the keys below a prefix, in order.
func environment(prefix string, values map[string][]byte) ([]string, error) {
	var vars []string
	from := make(map[string]string) // the key that a name comes from
	for _, key := range slices.Sorted(maps.Keys(values)) {
		name := variable(strings.TrimPrefix(key, prefix))
		switch {
		case name == "":
			return nil, fmt.Errorf("the key %q leaves no name for a variable below %q", key, prefix)
		case from[name] != "":
			return nil, fmt.Errorf("the keys %q and %q are both the variable %s", from[name], key, name)
		case bytes.IndexByte(values[key], 0) >= 0:
			return nil, fmt.Errorf("the value of the key %q has a NUL byte, which no variable can have", key)
		}
		from[name] = key
		vars = append(vars, name+"="+string(values[key]))
	}
	return vars, nil
}

// variable is the name of a key as an environment variable.
func variable(key string) string {
	name := []byte(key)
	for i, b := range name {
		switch {
		case 'a' <= b && b <= 'z':
			name[i] = b - 'a' + 'A'
		case 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		default:
			name[i] = '_'
		}
	}
	return string(name)
}
