package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// verb is a command that asks one endpoint once. Its flags are the fields of
// the request.
type verb[Req, Resp any] struct {
	endpoint subjects.Endpoint[Req, Resp]
	command  cobra.Command // Use, Short, Long, Example, Aliases
	args     []string      // the fields that the arguments set, "?" behind optional ones

	flags func(cmd *cobra.Command, req *Req)                    // more flags; or nil
	value func(a *app, arg string) ([]byte, error)              // reads an argument for a field of bytes
	show  func(a *app, req *Req, resp *Resp) error              // for people
	raw   func(req *Req, resp *Resp) string                     // the bare result
	check func(s *session, resp *Resp) error                    // what the reply means, when it is printed; or nil
	run   func(ctx context.Context, s *session, req *Req) error // instead of one request; or nil
}

// subjectsKey marks a command with the endpoints that it asks.
const subjectsKey = "sett_subjects"

func (v verb[Req, Resp]) build(a *app) *cobra.Command {
	req := new(Req)
	cmd := &v.command
	cmd.Annotations = map[string]string{subjectsKey: v.endpoint.Subject}
	cmd.Args = v.checkArgs
	cmd.ValidArgsFunction = a.completeArgs(fieldsOf(v.args)...)
	addFields(cmd.Flags(), v.endpoint.Subject, req)
	if v.flags != nil {
		v.flags(cmd, req)
	}
	for _, field := range fieldsOf(v.args) {
		hideField(cmd, field)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := v.setArgs(a, cmd, args); err != nil {
			return err
		}
		s, err := a.open()
		if err != nil {
			return err
		}
		defer s.close()
		if v.run != nil {
			return v.run(cmd.Context(), s, req)
		}
		resp, err := ask(cmd.Context(), s, v.endpoint, req)
		if err != nil {
			return err
		}
		if err := v.print(a, req, resp); err != nil || v.check == nil {
			return err
		}
		return v.check(s, resp)
	}
	return cmd
}

// fieldsOf are the names of arguments without the marks of optional ones.
func fieldsOf(args []string) (fields []string) {
	for _, arg := range args {
		fields = append(fields, strings.TrimSuffix(arg, "?"))
	}
	return fields
}

// hideField keeps the flag of a field that has an argument out of the help.
func hideField(cmd *cobra.Command, field string) {
	for _, name := range []string{flagName(field), singular[field]} {
		if f := cmd.Flags().Lookup(name); f != nil {
			f.Hidden = true
		}
	}
}

func (v verb[Req, Resp]) checkArgs(cmd *cobra.Command, args []string) error {
	if len(args) > len(v.args) {
		return usagef(cmd, "too many arguments: %q", args[len(v.args):])
	}
	for _, field := range v.args[len(args):] {
		if !strings.HasSuffix(field, "?") && !cmd.Flags().Changed(flagName(field)) {
			return usagef(cmd, "%s is missing", strings.ToUpper(field))
		}
	}
	return nil
}

// setArgs puts the arguments into the fields, by way of their flags.
func (v verb[Req, Resp]) setArgs(a *app, cmd *cobra.Command, args []string) error {
	fields := fieldsOf(v.args)
	for i, arg := range args {
		field := fields[i]
		if v.value != nil && field == "value" {
			data, err := v.value(a, arg)
			if err != nil {
				return err
			}
			arg = string(data)
		}
		if cmd.Flags().Changed(flagName(field)) {
			return usagef(cmd, "%s is given twice: as an argument and with --%s", strings.ToUpper(field), flagName(field))
		}
		if err := cmd.Flags().Set(flagName(field), arg); err != nil {
			return usagef(cmd, "%s: %v", strings.ToUpper(field), err)
		}
	}
	return nil
}

func (v verb[Req, Resp]) print(a *app, req *Req, resp *Resp) error {
	switch {
	case a.format == asJSON:
		return a.printJSON(resp)
	case a.format == asRaw && v.raw != nil:
		return a.println(v.raw(req, resp))
	}
	return v.show(a, req, resp)
}

// ask sends one request and waits for its answer.
func ask[Req, Resp any](ctx context.Context, s *session, e subjects.Endpoint[Req, Resp], req *Req, opts ...subjects.Option) (*Resp, error) {
	client, err := subjects.NewClient(s.nc, subjects.Options{Prefix: s.prefix, Scope: scopeOf(req)})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	resp, err := subjects.Do(ctx, client, e, req, opts...)
	if refusal, ok := errors.AsType[*codec.Error](err); ok {
		err = &failure{subject: e.Subject, write: e.Write, server: s.where(), err: refusal}
	}
	if e.Write && errors.Is(err, context.Canceled) {
		err = fmt.Errorf("%s: interrupted; it may have been applied: %w", e.Subject, err)
	}
	return resp, err
}

// scopeOf is the folder that a request about several keys lies in, or "": so a
// user who may touch only that folder can use the command line too.
func scopeOf(req any) string {
	switch r := req.(type) {
	case *codec.BatchGet:
		return commonFolder(r.Keys)
	case *codec.Batch:
		return commonFolder(batchKeys(r))
	}
	return ""
}

// batchKeys lists the keys of a batch, with "" for what is none: a bound
// subject takes keys only.
func batchKeys(b *codec.Batch) []string {
	var keys []string
	for _, op := range b.Ops {
		key := ""
		if v := reflect.ValueOf(op).Elem().FieldByName("Key"); v.IsValid() {
			key = v.String()
		}
		keys = append(keys, key)
	}
	for _, c := range b.If {
		keys = append(keys, c.Key)
	}
	return keys
}

// folder is a key or prefix up to its last "/".
func folder(key string) string { return key[:strings.LastIndexByte(key, '/')+1] }

func commonFolder(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	common := folder(keys[0])
	for _, key := range keys[1:] {
		for !strings.HasPrefix(key, common) {
			common = folder(strings.TrimSuffix(common, "/"))
		}
	}
	return common
}

// noArgs is for commands without arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef(cmd, "takes no arguments, but got %q", args)
	}
	return nil
}

// someArgs is for commands with at least one argument.
func someArgs(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef(cmd, "%s is missing", name)
		}
		return nil
	}
}

func one(what string, n int64) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
