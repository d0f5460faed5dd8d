package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

func (a *app) batchCommand() *cobra.Command {
	batch := group(&cobra.Command{
		Use:     "batch",
		Short:   "Apply several commands at once: all or none",
		Example: `  sett batch apply changes.json`,
	})
	batch.AddCommand(a.batchApply(), a.batchGet())
	return batch
}

func (a *app) batchApply() *cobra.Command {
	req := &codec.Batch{}
	cmd := &cobra.Command{
		Use:   "apply FILE|-",
		Short: "Apply all of several commands, or none",
		Long: `Apply all of several commands, or none. FILE has the ops in JSON, in a list or
one after the other, or a whole batch.apply request in JSON or msgpack:

  {"op": "kv.set", "key": "config/host", "value": "10.0.0.1"}
  {"op": "kv.delete", "key": "config/old", "if_revision": 17}

Conditions (if_revision, --if) look at the state before the batch; one that does
not hold fails all (status 4).`,
		Example: `  sett batch apply changes.json
  generate | sett batch apply -
  sett batch apply --ops '[{"op":"kv.increment","key":"n"}]' --if lock/me=17`,
		Annotations: map[string]string{subjectsKey: subjects.BatchApply.Subject},
	}
	addFields(cmd.Flags(), subjects.BatchApply.Subject, req)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 || len(args) == 0 && req.Ops == nil {
			return usagef(cmd, "wants one FILE, - for the standard input, or --ops")
		}
		for _, file := range args {
			data, err := a.readFile(file)
			if err != nil {
				return err
			}
			read, err := readBatch(data)
			if err != nil {
				return &failure{subject: subjects.BatchApply.Subject, err: codec.AsError(err)}
			}
			req.Ops, req.If = append(req.Ops, read.Ops...), append(req.If, read.If...)
		}
		s, err := a.open()
		if err != nil {
			return err
		}
		defer s.close()
		resp, err := ask(cmd.Context(), s, subjects.BatchApply, req)
		if err != nil {
			return err
		}
		return a.showApplied(req, resp)
	}
	return cmd
}

// readFile reads a batch; what is over the limit is read far enough to be
// found too large.
func (a *app) readFile(name string) ([]byte, error) {
	const most = 8 << 20 // JSON is longer than what it becomes
	if name == "-" {
		return limited(a.stdin, most)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return limited(f, most)
}

func (a *app) showApplied(req *codec.Batch, resp *codec.BatchReply) error {
	switch {
	case a.format == asJSON:
		return a.printJSON(resp)
	case a.format == asRaw:
		return a.println(number(resp.Revision))
	case a.quiet:
		return nil
	}
	var rows [][]string
	for i, op := range req.Ops {
		rows = append(rows, []string{op.Op(), subjectOf(op), number(resp.Results[i].Changed()), outcome(resp.Results[i])})
	}
	return a.table([]string{"OP", "ON", "REVISION", "RESULT"}, rows)
}

// subjectOf is what an op is about.
func subjectOf(op codec.Command) string {
	switch c := op.(type) {
	case *codec.Register:
		return c.Name + " " + c.ID
	case *codec.Deregister:
		return c.Name + " " + c.ID
	}
	return batchKeys(&codec.Batch{Ops: []codec.Command{op}})[0]
}

// outcome says in a word what an op did.
func outcome(reply codec.Reply) string {
	word := func(done bool, yes, no string) string {
		if done {
			return yes
		}
		return no
	}
	switch r := reply.(type) {
	case *codec.SetReply:
		return word(r.Created, "created", "set")
	case *codec.DeleteReply:
		return word(r.Deleted, "deleted", "was not there")
	case *codec.TouchReply:
		return "touched"
	case *codec.IncrementReply:
		return fmt.Sprintf("is %d", r.Value)
	case *codec.RegisterReply:
		return word(r.Created, "registered", "renewed")
	case *codec.DeregisterReply:
		return word(r.Deregistered, "deregistered", "was not there")
	}
	return ""
}

func (a *app) batchGet() *cobra.Command {
	req := &codec.BatchGet{}
	cmd := &cobra.Command{
		Use:         "get KEY...",
		Short:       "Read several keys from one snapshot",
		Long:        `Read several keys from one snapshot, as sett kv get does with several keys.`,
		Example:     `  sett batch get config/host config/port`,
		Annotations: map[string]string{subjectsKey: subjects.BatchGet.Subject},
	}
	addFields(cmd.Flags(), subjects.BatchGet.Subject, req)
	hideField(cmd, "keys")
	cmd.ValidArgsFunction = a.completeArgs("key...")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Keys = append(req.Keys, args...)
		if len(req.Keys) == 0 {
			return usagef(cmd, "KEY is missing")
		}
		return a.getSeveral(cmd.Context(), req)
	}
	return cmd
}
