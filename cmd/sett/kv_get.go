package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

func (a *app) kvGet() *cobra.Command {
	v := verb[codec.Get, codec.GetReply]{
		endpoint: subjects.KVGet,
		command: cobra.Command{
			Use:   "get KEY...",
			Short: "Print the value of a key, or of several",
			Long: `Print the value of a key: its bytes and nothing else, but for a newline on a
terminal. Several keys are read from one snapshot and printed as a table (with
-o raw their values, a line each); one that is missing is status 3.`,
			Example: `  sett kv get config/host
  sett kv get config/app > app.yaml
  sett kv get config/host -o json
  sett kv get config/host config/port`,
		},
		args: []string{"key"},
		show: func(a *app, _ *codec.Get, resp *codec.GetReply) error {
			if a.format == asTable {
				return a.entries([]codec.Entry{resp.Entry}, true)
			}
			return a.bytes(resp.Value)
		},
	}
	cmd := v.build(a)
	single := cmd.RunE
	cmd.Annotations[subjectsKey] += " " + subjects.BatchGet.Subject
	several := &codec.BatchGet{}
	addFields(cmd.Flags(), subjects.BatchGet.Subject, several)
	hideField(cmd, "keys")
	cmd.ValidArgsFunction = a.completeArgs("key...")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 && len(several.Keys) == 0 && !cmd.Flags().Changed("key") {
			return usagef(cmd, "KEY is missing")
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		several.Keys = append(several.Keys, args...)
		if len(several.Keys) > 1 {
			return a.getSeveral(cmd.Context(), several)
		}
		return single(cmd, several.Keys)
	}
	return cmd
}

// bytes prints a value as it is, and ends the line where people read it.
func (a *app) bytes(value []byte) error {
	if isTerminal(a.stdout) && (len(value) == 0 || value[len(value)-1] != '\n') {
		value = append(value, '\n')
	}
	_, err := a.stdout.Write(value)
	return err
}

func (a *app) getSeveral(ctx context.Context, req *codec.BatchGet) error {
	s, err := a.open()
	if err != nil {
		return err
	}
	defer s.close()
	resp, err := ask(ctx, s, subjects.BatchGet, req)
	if err != nil {
		return err
	}
	switch a.format {
	case asJSON:
		err = a.printJSON(resp)
	case asRaw:
		for _, e := range resp.Entries {
			fmt.Fprintf(a.stdout, "%s\n", e.Value)
		}
	default:
		err = a.entries(resp.Entries, true)
	}
	if err != nil {
		return err
	}
	return missing(s, req.Keys, resp.Entries)
}

// missing is an error about the keys that a reply does not have.
func missing(s *session, keys []string, entries []codec.Entry) error {
	found := make(map[string]bool)
	for _, e := range entries {
		found[e.Key] = true
	}
	var absent []string
	for _, key := range keys {
		if !found[key] {
			absent = append(absent, key)
		}
	}
	if len(absent) == 0 {
		return nil
	}
	return &failure{
		subject: subjects.BatchGet.Subject, server: s.where(),
		err: codec.Errorf(codec.NotFound, "no such key: %s", strings.Join(absent, ", ")),
	}
}

// entries prints keys as a table. A prefix is an entry without revision.
func (a *app) entries(entries []codec.Entry, values bool) error {
	now := time.Now()
	header := []string{"KEY", "REVISION", "EXPIRES"}
	if values {
		header = append(header, "VALUE")
	}
	var rows [][]string
	for _, e := range entries {
		if e.Revision == 0 {
			rows = append(rows, []string{e.Key})
			continue
		}
		row := []string{e.Key, number(e.Revision), expires(e.ExpiresAtMs, now)}
		if values {
			row = append(row, printable(e.Value))
		}
		rows = append(rows, row)
	}
	return a.table(header, rows)
}
