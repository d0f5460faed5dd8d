package main

import (
	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

func (a *app) subjectCommand() *cobra.Command {
	reverse := false
	cmd := &cobra.Command{
		Use:   "subject KEY...",
		Short: "Print a key as subject tokens",
		Long: `Print a key as it stands in subjects: behind kv.get, kv.set, kv.changed and so
on. With -o table all of its subjects.`,
		Example: `  sett subject config/host
  nats req kv.get.$(sett subject config.host) ''
  sett subject config/host -o table
  sett subject --reverse config%2Ehost`,
		Args: someArgs("KEY"),
		RunE: func(cmd *cobra.Command, keys []string) error {
			for _, key := range keys {
				if err := a.showSubject(key, reverse); err != nil {
					return usagef(cmd, "%v", err)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&reverse, "reverse", false, "print the key of subject tokens")
	return cmd
}

func (a *app) showSubject(text string, reverse bool) error {
	if reverse {
		key, err := subjects.Key(text)
		if err != nil {
			return err
		}
		return a.println(key)
	}
	if err := codec.ValidateKey(text); err != nil {
		return err
	}
	tokens := subjects.Tokens(text)
	if a.format != asTable {
		return a.println(tokens)
	}
	for _, info := range subjects.All() {
		if info.Form == subjects.Keyed {
			if err := a.println(subjects.Prefix(a.prefix).Wrap(info.Subject) + "." + tokens); err != nil {
				return err
			}
		}
	}
	return a.println(subjects.Prefix(a.prefix).Wrap(subjects.KVChanged.Subject) + "." + tokens)
}
