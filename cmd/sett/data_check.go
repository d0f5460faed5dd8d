package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/engine"
)

func (a *app) dataCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "data",
		Short: "Check the data directory of a stopped store, or give it a new key",
		Long:  "Work on the data directory of a store that does not run.",
		Example: `  sett data check /var/lib/sett
  sett data rotate-key --data-dir DIR --old-key-file old --new-key-file new`,
	})
	cmd.AddCommand(a.dataCheckCommand(), a.rotateKeyCommand())
	return cmd
}

func (a *app) dataCheckCommand() *cobra.Command {
	var keyFile string
	cmd := &cobra.Command{
		Use:   "check DIR",
		Short: "Prove that a stopped store's data are whole, and say what is in them",
		Long: `Prove all that must hold in the data directory of a store that does not run:
the checksums of every table, log and record, that no commit is missing, that
the outbox has no hole, and that counters, message ids and DIR/identity agree.
Nothing in DIR is changed. The broker's files in DIR/broker are not looked at.

Status 1 if anything is wrong; all of it is listed (at most 100 problems).`,
		Example: `  sett data check /var/lib/sett
  sett data check /var/lib/sett --encryption-key-file sett.key -o json`,
		Args:        fileArg("DIR"),
		Annotations: map[string]string{ownEnv: "true"},
		RunE: func(_ *cobra.Command, args []string) error {
			key, err := a.readKey("encryption-key-file", keyFile)
			if err != nil {
				return err
			}
			return a.checkData(args[0], key)
		},
	}
	addKeyFile(cmd.Flags(), "encryption-key-file", "`FILE` with the key of an encrypted store", &keyFile)
	fromEnv(cmd.Flags(), "encryption-key-file", settEnv("encryption-key-file"))
	return cmd
}

// dataReport is what -o json prints.
type dataReport struct {
	DataDir string `wire:"data_dir"`
	engine.CheckReport
}

func (a *app) checkData(dir string, key []byte) error {
	r, err := engine.CheckDir(dir, key)
	if err != nil {
		return err
	}
	switch {
	case a.format == asJSON:
		err = a.printJSON(&dataReport{dir, r})
	case a.format == asRaw:
		err = a.println(number(r.Revision))
	case !a.quiet:
		err = a.showData(dir, &r)
	}
	if err != nil || len(r.Problems) == 0 {
		return err
	}
	if a.format != asJSON {
		for _, problem := range r.Problems {
			fmt.Fprintln(a.stderr, problem)
		}
	}
	return &exitError{status: 1, text: fmt.Sprintf("%s has %d problems", dir, int64(len(r.Problems))+r.More)}
}

func (a *app) showData(dir string, r *engine.CheckReport) error {
	whole := "yes"
	if len(r.Problems) > 0 {
		whole = "no"
	}
	left := "killed, or it runs on a copy"
	if r.Clean {
		left = "closed cleanly"
	}
	return a.table([]string{"data", dir}, [][]string{
		{"whole", whole},
		{"store", r.StoreID},
		{"encrypted", yesOrNo(r.Encrypted)},
		{"left", left},
		{"feed", r.Feed},
		{"revision", number(r.Revision)},
		{"epoch", number(r.Epoch)},
		{"last commit", number(r.Commit) + ", " + time.UnixMilli(r.TimeMs).Format(time.DateTime)},
		{"keys", number(r.Keys)},
		{"instances", number(r.Instances)},
		{"deadlines", number(r.Deadlines)},
		{"records", size(int(r.Bytes))},
		{"outbox", number(r.Outbox)},
		{"message ids", number(r.MessageIDs)},
		{"tables", number(r.Tables) + ", " + size(int(r.TableBytes))},
		{"logs", number(r.Logs)},
	})
}

func yesOrNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func (a *app) rotateKeyCommand() *cobra.Command {
	var dir, before, after string
	cmd := &cobra.Command{
		Use:   "rotate-key",
		Short: "Have a stopped, encrypted store take another key file",
		Long: `Have the data directory of a store that does not run take another key. What is
encrypted stays as it is: only the store's own key, which the key file protects,
is sealed anew, in DIR/identity and at once. The broker's files need nothing.

Afterwards the old key opens nothing in DIR. Backups that were written with it
still need it, and so do copies of DIR from before.`,
		Example:     "  sett data rotate-key --data-dir DIR --old-key-file old --new-key-file new",
		Args:        noArgs,
		Annotations: map[string]string{ownEnv: "true"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if before == "" || after == "" {
				return usagef(cmd, "--old-key-file and --new-key-file are needed")
			}
			return a.rotateKey(dir, before, after)
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", "./sett-data", "data directory `DIR`, as of sett serve")
	fromEnv(cmd.Flags(), "data-dir", settEnv("data-dir"))
	addKeyFile(cmd.Flags(), "old-key-file", "`FILE` with the present key", &before)
	addKeyFile(cmd.Flags(), "new-key-file", "`FILE` with the new one: 16, 24 or 32 random bytes", &after)
	return cmd
}

func (a *app) rotateKey(dir, before, after string) error {
	old, err := a.readKey("old-key-file", before)
	if err != nil {
		return err
	}
	fresh, err := a.readKey("new-key-file", after)
	if err != nil {
		return err
	}
	privateFiles()
	if err := engine.RotateKey(dir, old, fresh); err != nil {
		return &exitError{status: 1, text: err.Error()} // the hint would name another flag
	}
	return a.say("%s takes the key in %s from now on", dir, after)
}
