package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

func (a *app) kvCommand() *cobra.Command {
	kv := group(&cobra.Command{
		Use:   "kv",
		Short: "Read and write keys",
		Example: `  sett kv set config/host 10.0.0.1
  sett kv get config/host
  sett kv list config/ --values
  sett kv delete config/host`,
	})
	kv.AddCommand(a.kvGet(), a.kvSet(), a.kvDelete(), a.kvClear(), a.kvList(), a.kvTouch(), a.kvIncrement(), a.kvEdit(), a.kvHistory())
	return kv
}

func (a *app) kvSet() *cobra.Command {
	return verb[codec.Set, codec.SetReply]{
		endpoint: subjects.KVSet,
		command: cobra.Command{
			Use:     "set KEY VALUE|-|@FILE",
			Aliases: []string{"put"},
			Short:   "Store a value under a key",
			Long: `Store a value under a key. It is on the store's disk when this returns.

VALUE - reads the standard input and @FILE a file, byte for byte; --value takes
what begins with - or @ as it is. Without --ttl or --keep-ttl the key never
expires.`,
			Example: `  sett kv set config/host 10.0.0.1
  sett kv set config/app @app.yaml
  sett kv set session/42 - --ttl 30m < token
  sett kv set lock/job me --create --ttl 30s
  sett kv set config/host 10.0.0.2 --if-revision 17`,
		},
		args:  []string{"key", "value"},
		value: readValue,
		flags: func(cmd *cobra.Command, req *codec.Set) { addCreate(cmd, &req.IfRevision) },
		show: func(a *app, req *codec.Set, resp *codec.SetReply) error {
			how := ""
			if resp.Created {
				how = "new"
			}
			if err := a.say("set %s %s", req.Key, details(revision(resp.Revision), how, expiring(resp.ExpiresAtMs))); err != nil {
				return err
			}
			return a.showPrevious(req.ReturnPrevious, resp.Previous)
		},
		raw: func(_ *codec.Set, resp *codec.SetReply) string { return number(resp.Revision) },
	}.build(a)
}

// addCreate adds --create, which is --if-revision 0.
func addCreate(cmd *cobra.Command, ifRevision **uint64) {
	addSwitch(cmd.Flags(), "create", "only if it is not there; the same as --if-revision 0", func() {
		*ifRevision = codec.Revision(0)
	})
	exclude(cmd, "create", "if-revision")
}

// readValue takes a value from the command line, the standard input or a file.
func readValue(a *app, arg string) ([]byte, error) {
	switch {
	case arg == "-":
		data, err := limited(a.stdin, codec.MaxValue)
		if err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		return data, nil
	case len(arg) > 1 && arg[0] == '@':
		f, err := os.Open(arg[1:])
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return limited(f, codec.MaxValue)
	}
	return []byte(arg), nil
}

// limited reads everything, but no more than one byte beyond limit: enough to
// find it too long.
func limited(r io.Reader, limit int64) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, limit+1))
}

// showPrevious tells what was there before, if it was asked for.
func (a *app) showPrevious(asked bool, previous *codec.Entry) error {
	switch {
	case !asked:
		return nil
	case previous == nil:
		return a.say("there was nothing before")
	}
	return a.println("before: " + printable(previous.Value) + " " + details(revision(previous.Revision)))
}

func (a *app) kvTouch() *cobra.Command {
	return verb[codec.Touch, codec.TouchReply]{
		endpoint: subjects.KVTouch,
		command: cobra.Command{
			Use:   "touch KEY",
			Short: "Move a key's deadline",
			Long: `Move a key's deadline, and change nothing else. Without --ttl the key gets its
last TTL again; --ttl 0 takes the deadline off.`,
			Example: `  sett kv touch session/42
  sett kv touch session/42 --ttl 1h
  sett kv touch lock/job --if-revision 17`,
		},
		args: []string{"key"},
		show: func(a *app, req *codec.Touch, resp *codec.TouchReply) error {
			when := expiring(resp.ExpiresAtMs)
			if when == "" {
				when = "never expires"
			}
			return a.say("touched %s %s", req.Key, details(revision(resp.Revision), when))
		},
		raw: func(_ *codec.Touch, resp *codec.TouchReply) string { return number(resp.Revision) },
	}.build(a)
}

func (a *app) kvIncrement() *cobra.Command {
	return verb[codec.Increment, codec.IncrementReply]{
		endpoint: subjects.KVIncrement,
		command: cobra.Command{
			Use:     "increment KEY",
			Aliases: []string{"incr", "inc"},
			Short:   "Add to a number, and print it",
			Long: `Add to a number that is kept as decimal text, and print it. A key that is not
there counts from 0.`,
			Example: `  sett kv increment visits
  sett kv increment stock/apples --by -5
  sett kv increment attempts/alice --ttl 10m`,
		},
		args:  []string{"key"},
		flags: func(cmd *cobra.Command, req *codec.Increment) { addCreate(cmd, &req.IfRevision) },
		show: func(a *app, _ *codec.Increment, resp *codec.IncrementReply) error {
			return a.println(number(resp.Value))
		},
		raw: func(_ *codec.Increment, resp *codec.IncrementReply) string { return number(resp.Value) },
	}.build(a)
}
