package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/cmd/sett/contract"
	"github.com/settkv/sett/subjects"
)

func (a *app) contractCommand() *cobra.Command {
	formats := []string{asTable}
	about := ""
	for _, f := range contract.Formats() {
		formats = append(formats, f.Name)
		about += "\n  " + f.Name + strings.Repeat(" ", 13-len(f.Name)) + f.What
	}
	cmd := &cobra.Command{
		Use:   "contract",
		Short: "Print what the store takes and answers",
		Long: `Print the contract of this version: its subjects, and with -o in full, to
generate clients, check messages or read on:
` + about,
		Example: `  sett contract
  sett contract -o markdown > CONTRACT.md
  sett contract -o typescript > src/sett.ts
  sett contract -o asyncapi --subject-prefix prod > asyncapi.json
  sett contract -o schema | jq '."$defs".SetRequest'`,
		Args:        noArgs,
		Annotations: map[string]string{formatsKey: strings.Join(formats, " ")},
		RunE: func(*cobra.Command, []string) error {
			if a.format == "" || a.format == asTable {
				return a.showContract()
			}
			return contract.Write(a.stdout, a.format, subjects.Prefix(a.prefix))
		},
	}
	return cmd
}

// showContract prints a line for each subject.
func (a *app) showContract() error {
	prefix := subjects.Prefix(a.prefix)
	var rows [][]string
	for _, info := range subjects.All() {
		kind := "read"
		if info.Write {
			kind = "write"
		}
		rows = append(rows, []string{prefix.Wrap(info.Subject) + appendedTo[info.Form], kind, refusalsOf(info), info.Doc})
	}
	for _, e := range subjects.Events() {
		rows = append(rows, []string{prefix.Wrap(e.Subject) + "." + e.Tail, "event", "", e.Doc})
	}
	return a.table([]string{"SUBJECT", "KIND", "REFUSALS", "WHAT"}, rows)
}

// appendedTo is what may stand behind a subject.
var appendedTo = map[subjects.Form]string{subjects.Keyed: "[.<key>]", subjects.Named: "[.<name>]", subjects.Scoped: "[.<prefix>]"}

// refusalsOf are those of an endpoint's own.
func refusalsOf(info *subjects.Info) string {
	var codes []string
	for _, code := range info.Codes {
		codes = append(codes, string(code))
	}
	return strings.Join(codes, ",")
}
