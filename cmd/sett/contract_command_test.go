package main

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/settkv/sett/subjects"
)

func TestContractCommand(t *testing.T) {
	got := sett(t, "", "contract", "--subject-prefix", "prod")
	for _, info := range subjects.All() {
		if !strings.Contains(got.stdout, "\nprod."+info.Subject) || !strings.Contains(got.stdout, info.Doc) {
			t.Errorf("%s is not in\n%s", info.Subject, got.stdout)
		}
	}
	for _, s := range []step{
		{args: "contract", stdout: "~kv.touch[.<key>]          write  not_found,conflict  Move a key's deadline.\n"},
		{args: "contract", stdout: "~svc.changed.<name>.<id>   event                      An instance was"},
		{args: "contract -o schema", stdout: "~\"$defs\""},
		{args: "contract -o asyncapi --subject-prefix prod", stdout: "~\"address\": \"prod.kv.set.{key}\""},
		{args: "contract -o markdown", stdout: "~# The contract of sett"},
		{args: "contract -o typescript", stdout: "~export interface Endpoints {"},
		{args: "contract -o json", code: 2, stderr: "~--output is \"json\", but must be table, asyncapi, schema, markdown or typescript"},
		{args: "__complete contract -o ''", stdout: "table\nasyncapi\nschema\nmarkdown\ntypescript\n:4\n", stderr: "~ShellCompDirectiveNoFileComp"},
		{args: "__complete status -o ''", stdout: "table\njson\nraw\n:4\n", stderr: "~ShellCompDirectiveNoFileComp"},
		{args: "contract kv.set", code: 2, stderr: "~takes no arguments"},
		{args: "status -o schema", code: 2, stderr: "~--output is \"schema\", but must be table, json or raw"},
	} {
		s.check(t)
	}
}

// The help of all commands reads as that of one program.
func TestHelpIsConsistent(t *testing.T) {
	const widest = 70
	values := make(map[string]string) // what a flag takes, by its name
	for _, cmd := range allCommands(t) {
		if first := cmd.Short[:1]; first != strings.ToUpper(first) || len(cmd.Short) > widest || strings.Contains(cmd.Short, "\n") {
			t.Errorf("%s: %q wants a capital and at most %d columns", cmd.CommandPath(), cmd.Short, widest)
		}
		if cmd.Long != "" && strings.HasSuffix(cmd.Long, "\n") {
			t.Errorf("%s: the long text ends with an empty line", cmd.CommandPath())
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			value, usage := pflag.UnquoteUsage(f)
			where := cmd.CommandPath() + " --" + f.Name
			if usage == "" || strings.HasSuffix(usage, ".") {
				t.Errorf("%s: %q wants a text without full stop", where, usage)
			}
			if value != strings.ToUpper(value) {
				t.Errorf("%s takes a %q: name it in capitals between backquotes", where, value)
			}
			if f.Value.Type() == "duration" && value != "DURATION" {
				t.Errorf("%s takes a %s, others a DURATION", where, value)
			}
			if value == "" || f.Name == "from" { // a switch; what is imported, or followed behind
				return
			}
			if before, known := values[f.Name]; known && before != value {
				t.Errorf("%s takes a %s, elsewhere a %s", where, value, before)
			}
			values[f.Name] = value
		})
	}
}

// Every command has an example that shows itself.
func TestExamplesShowTheCommand(t *testing.T) {
	for _, cmd := range allCommands(t) {
		if cmd.HasParent() && !cmd.HasSubCommands() && !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("%s: no example shows it:\n%s", cmd.CommandPath(), cmd.Example)
		}
		for _, line := range strings.Split(cmd.Example, "\n") {
			if line != "" && (!strings.HasPrefix(line, "  ") || !strings.Contains(line, "sett ")) {
				t.Errorf("%s: the example %q is no command line of sett, two columns in", cmd.CommandPath(), line)
			}
		}
	}
}
